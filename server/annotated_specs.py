"""Keeps the specifications that Services of the cluster name by annotation, each with its workload's API.

| Service               | event                                | next                                    |
|-----------------------|--------------------------------------|-----------------------------------------|
| new, or its place or  | a turn, at least LEAST_S after the   | read; uploaded if it is not stored      |
| workload has changed  | last reading                         | already                                 |
| read                  | REFRESH_S                            | read again; uploaded if it has changed  |
| not readable          | a pause, longer after each failure   | read again                              |
| gone, or not annotated| a turn                               | forgotten; what was uploaded stays      |
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.kube.access import Access
from agent.kube.read import ReadError, config_map
from server.analysis.specs.model import SpecError
from server.background import BackgroundThread, Pace
from server.cluster.service_names import ServiceNames
from server.cluster.settings import ClusterSettings
from server.cluster.spec_annotations import AnnotatedSpec, InPods, Unusable, annotated, annotated_specs
from server.fetching import FetchError, fetched
from server.services.attaching import AttachTarget
from server.services.errors import InvalidInput
from server.services.sent import Sent
from server.services.specifications import Specifications
from server.store.store import Store

log = logging.getLogger(__name__)

TICK_S = 5.0
LEAST_S, REFRESH_S = 10.0, 600.0
STOP_S = 1.0
MAX_SPEC = 8 * 1024 * 1024  # bytes; Kubernetes' own has 5 MB

Name = tuple[str, str]
"""Namespace and name of a Service."""


@dataclass(slots=True)
class _State:
    """What is known of one Service's specification; times are monotonic."""

    spec: AnnotatedSpec | None = None
    read_s: float | None = None
    failures: int = 0
    kept: tuple[str, bytes] | None = None
    """The workload and a digest of what was uploaded last."""
    trouble: str | None = None

    def is_due(self, spec: AnnotatedSpec, now_s: float) -> bool:
        """Whether to read it now."""
        if self.read_s is None:
            return True
        pause = min(REFRESH_S, LEAST_S * 2.0 ** min(self.failures - 1, 10)) if self.failures else REFRESH_S
        return now_s - self.read_s >= (LEAST_S if spec != self.spec else pause)


class AnnotatedSpecs:
    """Started and stopped with the server."""

    def __init__(
        self,
        settings: ClusterSettings,
        names: ServiceNames,
        store: Store,
        specifications: Specifications,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._names, self._store = settings, names, store
        self._specifications, self._clock = specifications, clock
        self._states: dict[Name, _State] = {}
        self._thread = BackgroundThread("annotated specifications", self._turn, TICK_S)

    def start(self) -> None:
        """Begins, if any namespace is listed."""
        if self._settings.specs_from:
            self._thread.start()

    def stop(self) -> None:
        """Prevents further readings; one that is under way is not waited for."""
        self._thread.stop(STOP_S)

    def _turn(self, asked: set[int]) -> Pace:
        if not self._names.are_listed:
            return Pace.WHEN_ASKED
        services = annotated(self._names.services.all(), self._settings.specs_from)
        slices, cluster = self._names.slices.all(), self._settings.name
        found = (
            self._store.write(lambda unit: [*annotated_specs(services, slices, cluster, unit.pods)]).result()
            if services
            else []
        )
        known, self._states = self._states, {}
        for one in found:
            name = (one.namespace, one.service)
            self._states[name] = known.get(name) or _State()
        for one in found:
            if self._thread.stopping:
                break
            self._look(one, self._states[one.namespace, one.service])
        return Pace.WHEN_ASKED

    def _look(self, one: AnnotatedSpec | Unusable, state: _State) -> None:
        if isinstance(one, Unusable):
            _report(one, state, one.why)
        elif state.is_due(one, self._clock()):
            self._take(one, state)
            state.spec, state.read_s = one, self._clock()

    def _take(self, one: AnnotatedSpec, state: _State) -> None:
        try:
            raw = self._read(one, state.failures)
            kept = (one.workload, hashlib.sha256(raw).digest())
            if kept != state.kept:
                target = AttachTarget(workload=one.workload, unless_same=True, cluster=self._settings.name)
                self._specifications.add(Sent(raw), target)
                state.kept = kept
        except (FetchError, ReadError, SpecError, InvalidInput) as error:
            state.failures += 1
            _report(one, state, str(error))
        else:
            state.failures, state.trouble = 0, None

    def _read(self, one: AnnotatedSpec, failures: int) -> bytes:
        """The document; after failures from another pod. Raises FetchError and ReadError.

        A pod's certificate is not verified: it has no name that could be.
        """
        if isinstance(one.place, InPods):
            urls = one.place.urls
            return fetched(urls[failures % len(urls)], MAX_SPEC, verify=False, redirects=0)
        return _of_config_map(self._settings.access, one.namespace, one.place.name, one.place.key)


def _of_config_map(access: Access, namespace: str, name: str, key: str | None) -> bytes:
    try:
        texts = config_map(access, namespace, name).data or {}
    except ReadError as error:
        raise ReadError(f"the ConfigMap {name} {error}") from None
    if key is None and len(texts) == 1:
        return next(iter(texts.values())).encode()
    if key is None:
        raise ReadError(f"the ConfigMap {name} has {len(texts)} texts: name one, as configmap:{name}/KEY")
    if key not in texts:
        raise ReadError(f"the ConfigMap {name} has no text {key}")
    return texts[key].encode()


def _report(one: AnnotatedSpec | Unusable, state: _State, why: str) -> None:
    """Logs what has changed."""
    if state.trouble != why:
        log.warning("specification of the Service %s/%s: %s", one.namespace, one.service, why)
    state.trouble = why
