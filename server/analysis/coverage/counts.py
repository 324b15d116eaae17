"""Counts of exercised parts, by operation and by consumer, from files or from the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

from agent.wire import Record
from server.analysis.coverage.names import PartNames
from server.analysis.coverage.outline import Outline
from server.analysis.coverage.parts import parts_of, undescribed_answer
from server.analysis.inventory import MAX_NAME, name_of_process
from server.analysis.paths import template
from server.analysis.specs.judging.judged import Judged
from server.analysis.specs.judging.masks import Masks
from server.analysis.specs.kinds import Kind

MAX_CALLERS = 2_000  # consumers kept by name; further ones share a count
MAX_UNKNOWN = 500  # templates of undocumented calls; further ones share a count
MAX_UNKNOWN_PARTS = 100  # undescribed parameters and fields of an operation; further ones share a count
UNKNOWN_PARTS = (Kind.UNKNOWN_PARAMETER, Kind.UNKNOWN_FIELD, Kind.UNKNOWN_HEADER)
OTHER = "(other)"
NOBODY = "(unknown)"


class By(StrEnum):
    """What distinguishes consumers."""

    WORKLOAD = "workload"
    POD = "pod"
    NAMESPACE = "namespace"
    IMAGE = "image"
    CHART = "chart"  # Helm's, with its version
    PROCESS = "process"
    USER_AGENT = "user_agent"
    TEST = "test"  # what follows " -- " in a user agent, as Kubernetes' end-to-end tests write it
    AGGREGATION = "aggregation"  # the header that the agent is configured to keep
    IP = "ip"


def callers(records: Iterable[Record]) -> Iterable[tuple[By, str]]:
    """Every name of the consumer in an exchange's views, one per kind."""
    told: dict[By, str] = {}
    for record in records:
        for by, name in _told_by(record):
            if name and by not in told:
                told[by] = name[:MAX_NAME]
    return told.items()


def _told_by(record: Record) -> Iterator[tuple[By, str | None]]:
    client, consumer = record.client, record.consumer
    if client is not None:
        yield By.WORKLOAD, client.workload and _within(client.namespace, client.workload)
        yield By.POD, client.pod and _within(client.namespace, client.pod)
        yield By.NAMESPACE, client.namespace
        yield By.IMAGE, client.image
        yield By.CHART, client.labels.get("helm.sh/chart")
        yield By.IP, client.ip
    if record.side == "client" and record.process is not None:
        yield By.PROCESS, name_of_process(record.process)
    yield By.USER_AGENT, consumer.user_agent
    yield By.TEST, consumer.test_name
    yield By.AGGREGATION, consumer.aggregation


def _within(namespace: str | None, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


class Counts:
    """`everyone[operation][part]`, `callers[operation][caller][part]`, `unknown[method, path][status]`,
    `unknown_parts[operation][place]`; and `keywords[operation][name]`, None unless they are asked for, since
    looking at every value takes several times as long as looking for names.
    """

    def __init__(self, with_keywords: bool = False) -> None:
        self.keywords: dict[str, Counter[str]] | None = {} if with_keywords else None
        self.exchanges = 0
        self.everyone: dict[str, Counter[str]] = {}
        self.callers: dict[str, dict[str, Counter[str]]] = {}
        self.unknown: dict[tuple[str, str], Counter[str]] = {}
        self.unknown_parts: dict[str, Counter[str]] = {}
        self._known: set[str] = set()

    def add(self, operation: str, caller: str | None, parts: Iterable[str], count: int = 1) -> None:
        """Adds parts for one consumer or (None) for everyone; a consumer's parts are not added for
        everyone.
        """
        if caller is None:
            into = self.everyone.setdefault(operation, Counter())
        else:
            into = self.callers.setdefault(operation, {}).setdefault(self._bounded(caller), Counter())
        for part in parts:
            into[part] += count

    def add_unknown(self, method: str, path: str, status: str, count: int = 1) -> None:
        """Adds a call that no operation describes."""
        key = (method, path)
        if key not in self.unknown and len(self.unknown) >= MAX_UNKNOWN:
            key = ("", OTHER)
        self.unknown.setdefault(key, Counter())[status] += count

    def add_unknown_part(self, operation: str, where: str, place: str, count: int = 1) -> None:
        """Adds a parameter or field that is not described."""
        known = self.unknown_parts.setdefault(operation, Counter())
        name = f"{where}{place}" if place.startswith("/") else f"{where}:{place}"
        known[name if name in known or len(known) < MAX_UNKNOWN_PARTS else OTHER] += count

    def add_exchange(
        self, judged: Judged, outline: Outline, by: By, views: Sequence[Record] | None = None
    ) -> PartNames:
        """Adds one exchange, validated by one of its views; all views contribute consumers. Returns the
        exercised parts.
        """
        self.exchanges += 1
        record, judgement = judged.record, judged.judgement
        parts = parts_of(judged, outline)
        if judgement.operation is not None and parts:
            self.add(judgement.operation, None, parts)
            self.add(judgement.operation, dict(callers(views or [record])).get(by, NOBODY), parts)
            if self.keywords is not None:
                hit = outline.keywords(outline.offers[judgement.operation]).hits(judged)
                self.keywords.setdefault(judgement.operation, Counter()).update(hit)
            for one in judgement.deviations:
                if one.kind in UNKNOWN_PARTS:
                    self.add_unknown_part(judgement.operation, one.where, one.place)
        elif record.request is not None:
            request = record.request
            shape = template(request.path, Masks(record).segments())
            self.add_unknown(request.method, shape, undescribed_answer(judged))
        return parts

    def _bounded(self, caller: str) -> str:
        if caller not in self._known:
            if len(self._known) >= MAX_CALLERS:
                return OTHER
            self._known.add(caller)
        return caller
