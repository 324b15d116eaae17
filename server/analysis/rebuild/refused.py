"""Operations that were called and never accepted: too little is known of them to describe them.

A server may refuse before it looks for an operation (401 and 403 to whatever is asked), so the operation may
be real, or a scanner's guess. Where the server says itself that there is none, it is left out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from server.analysis.rebuild.learner import Learner
from server.analysis.specs.judging.fault import NO_SUCH_OPERATION


@dataclass(frozen=True, slots=True)
class RefusedOperation:
    """An operation and its answers by status."""

    method: str
    path: str
    statuses: tuple[tuple[int, int], ...]

    @property
    def calls(self) -> int:
        return sum(times for _, times in self.statuses)


def refused_operations(learner: Learner) -> list[RefusedOperation]:
    """The operations without an accepted call, most called first."""
    found: dict[tuple[str, str], Counter[int]] = {}
    for method, path, operation in learner.operations.refused():
        answers = operation.answers.by_status.items()
        counted = {status: one.times.count for status, one in answers if status not in NO_SUCH_OPERATION}
        if counted:
            found.setdefault((method, path), Counter()).update(counted)
    named = [RefusedOperation(*key, tuple(sorted(counts.items()))) for key, counts in found.items()]
    return sorted(named, key=lambda one: (-one.calls, one.path, one.method))
