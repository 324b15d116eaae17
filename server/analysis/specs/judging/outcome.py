"""The results for one exchange, until they become a judgement."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from agent.wire import Request, Response
from server.analysis.specs.deviation import Deviation
from server.analysis.specs.judging.fault import PROBE, FaultRuling, settled, settled_undescribed
from server.analysis.specs.judging.json_reading import JsonBodies
from server.analysis.specs.judging.masks import Masks
from server.analysis.specs.judging.policy import ReportingPolicy
from server.analysis.specs.kinds import Kind, Verdict, Where
from server.analysis.specs.model import Judgement, Operation

MAX_DEVIATIONS = 100
NOTHING = FaultRuling((), None)


NamesPlace = Callable[[Where, str], str]


def as_sent(_where: Where, pointer: str) -> str:
    """The place itself: of a redacted record names are as printable as they were sent."""
    return pointer


class JudgementDraft:
    """Collects deviations, each kind once per place (array items count as one), and reasons for unvalidated
    parts.
    """

    __slots__ = ("_found", "_names", "_policy", "_unseen", "bodies", "masks")

    def __init__(
        self, masks: Masks, policy: ReportingPolicy, bodies: JsonBodies, names: NamesPlace = as_sent
    ) -> None:
        """`names` makes a place in a part of the exchange printable."""
        self.masks = masks
        self.bodies = bodies
        self._names = names
        self._policy = policy
        self._found: dict[tuple[Kind, Where, str], Deviation] = {}
        self._unseen: dict[str, None] = {}

    def add(self, kind: Kind, where: Where, pointer: str, message: str, spans: bool = False) -> None:
        """Adds a deviation, unless a mask may have caused it, or the policy ignores it."""
        if not self._policy.reports(kind, pointer):
            return
        if self.masks.hide(kind, where, pointer, spans):
            self.unseen(f"a masked value in {where}")
            return
        if self.masks.unseen_field(kind, where):
            self.unseen("some header fields were not seen")
            return
        if len(self._found) < MAX_DEVIATIONS:
            deviation = Deviation.at(kind, where, self._names(where, pointer), message)
            self._found.setdefault((kind, where, deviation.place), deviation)

    def unseen(self, why: str) -> None:
        """Records that something could not be validated."""
        self._unseen[why] = None

    def judgement(self, operation: Operation | None, response: Response | None) -> Judgement:
        """By precedence: shadow, deviating, zombie, unjudged, conforming."""
        status = None if response is None else response.status
        if self._found or (status is not None and status >= 400):
            return self._judgement(operation, settled(tuple(self._found.values()), status))
        if operation is not None and not self._unseen:
            return _conforming(operation.key, operation.deprecated)
        return self._judgement(operation, NOTHING)

    def breaks(self, where: Where) -> bool:
        """Whether a deviation was found in a part of the exchange."""
        return any(found is where for _, found, _ in self._found)

    def probe(self) -> Judgement:
        """The judgement of a call for which the server says that there is no such operation."""
        return self._judgement(None, PROBE)

    def undescribed(self, kind: Kind, message: str, request: Request, response: Response | None) -> Judgement:
        """The judgement of a call of an unknown path or method."""
        deviation = Deviation.at(kind, Where.PATH, "", message)
        status = None if response is None else response.status
        return self._judgement(None, settled_undescribed(deviation, request, status))

    def _judgement(self, operation: Operation | None, found: FaultRuling) -> Judgement:
        deprecated = operation is not None and operation.deprecated
        partial = found.unjudged or bool(self._unseen)
        if found.deviations:
            verdict = Verdict.DEVIATING if operation is not None else Verdict.SHADOW
        elif deprecated:
            verdict = Verdict.ZOMBIE
        else:
            verdict = Verdict.UNJUDGED if partial else Verdict.CONFORMING
        return Judgement(
            operation.key if operation is not None else None,
            deprecated,
            verdict,
            "; ".join(filter(None, (*self._unseen, found.why))) or None,
            found.deviations,
            found.fault,
            partial,
        )


@lru_cache(maxsize=4096)
def _conforming(operation: str, deprecated: bool) -> Judgement:
    """The judgement of a call in which all was seen and nothing differs."""
    verdict = Verdict.ZOMBIE if deprecated else Verdict.CONFORMING
    return Judgement(operation, deprecated, verdict, None, ())
