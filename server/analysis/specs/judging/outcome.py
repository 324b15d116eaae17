"""The results for one exchange, until they become a judgement."""

from __future__ import annotations

from server.analysis.specs.deviation import Deviation
from server.analysis.specs.judging.json_reading import JsonBodies
from server.analysis.specs.judging.masks import Masks
from server.analysis.specs.judging.policy import ReportingPolicy
from server.analysis.specs.kinds import Kind, Verdict, Where
from server.analysis.specs.model import Judgement, Operation

MAX_DEVIATIONS = 100


class JudgementDraft:
    """Collects deviations, each kind once per place (array items count as one), and reasons for unvalidated
    parts.
    """

    __slots__ = ("_found", "_policy", "_unseen", "bodies", "masks")

    def __init__(self, masks: Masks, policy: ReportingPolicy, bodies: JsonBodies) -> None:
        self.masks = masks
        self.bodies = bodies
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
            deviation = Deviation.at(kind, where, pointer, message)
            self._found.setdefault((kind, where, deviation.place), deviation)

    def unseen(self, why: str) -> None:
        """Records that something could not be validated."""
        self._unseen[why] = None

    def judgement(self, operation: Operation | None, shadow: bool = False) -> Judgement:
        """By precedence: shadow, deviating, zombie, unjudged, conforming."""
        deprecated = operation is not None and operation.deprecated
        if shadow:
            verdict = Verdict.SHADOW
        elif self._found:
            verdict = Verdict.DEVIATING
        elif deprecated:
            verdict = Verdict.ZOMBIE
        elif self._unseen:
            verdict = Verdict.UNJUDGED
        else:
            verdict = Verdict.CONFORMING
        return Judgement(
            operation.key if operation is not None else None,
            deprecated,
            verdict,
            "; ".join(self._unseen) or None,
            tuple(self._found.values()),
        )
