"""The counts that reports are made of: verdicts, calls of operations, deviations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from server.analysis.paths import template
from server.analysis.specs.deviation import DeviationIdentity
from server.analysis.specs.kinds import Fault, Severity, Verdict, Where, severity_of
from server.analysis.specs.model import Judgement
from server.offline.judged_call import JudgedCall
from server.offline.reports.failing import Failing

MAX_ROWS = 10_000
"""Deviations told apart; further ones are counted in `unlisted`: their places come from the network."""

ZOMBIE = "zombie"
ZOMBIE_MESSAGE = "the operation is deprecated, and is called"
SEVERITIES = (Severity.HIGH, Severity.MEDIUM, Severity.LOW)


@dataclass(slots=True)
class ReportRow:
    """One deviation of one operation, or `zombie` for a deprecated one that is called.

    `rule` is the deviation's kind, or `zombie`; `where` and `place` are empty for a zombie. `described`: the
    operation is the specification's, otherwise it is a template made from the path. `first` is the number of
    the first exchange, counted from 0 over all files, `status` that exchange's status.
    """

    operation: str
    described: bool
    rule: str
    where: Where | None
    place: str
    verdict: Verdict
    severity: Severity
    message: str
    first: int
    status: int | None
    calls: int = 0

    def identity(self) -> DeviationIdentity:
        return DeviationIdentity(self.operation, self.rule, self.where or "", self.place)

    def located(self) -> str:
        """The part of the exchange and the place in it, for people."""
        return " ".join(filter(None, (self.where, self.place)))


class MatchReport:
    """Collects judgements. `calls` counts the exchanges of each described operation, by verdict; `faults`
    counts all, by whether their operation is described.
    """

    def __init__(self) -> None:
        self.verdicts: Counter[Verdict | None] = Counter()
        self.faults: Counter[tuple[Fault, bool]] = Counter()
        self.calls: dict[str, Counter[Verdict]] = {}
        self.unlisted = 0
        self._verdicts: set[Verdict] = set()
        self._severities: set[Severity] = set()
        self._rows: dict[DeviationIdentity, ReportRow] = {}

    def add(self, call: JudgedCall) -> None:
        """Counts an exchange, which has no judgement without a specification."""
        judgement = call.judgement
        self.verdicts[judgement.verdict if judgement else None] += 1
        if judgement is None:
            return
        self._verdicts.add(judgement.verdict)
        if judgement.fault is not None:
            self.faults[judgement.fault, judgement.operation is not None] += 1
        if judgement.operation is not None:
            self.calls.setdefault(judgement.operation, Counter())[judgement.verdict] += 1
        if judgement.deviations or judgement.deprecated:
            for row in _rows(call, judgement):
                self._count(row)

    def rows(self) -> list[ReportRow]:
        """The most severe first, then the most frequent."""
        return sorted(
            self._rows.values(), key=lambda row: (SEVERITIES.index(row.severity), -row.calls, row.identity())
        )

    def has(self, failing: Failing) -> bool:
        """Whether there is anything that counts as a failure. A deprecated operation is one also if its calls
        deviate."""
        return bool(failing.verdicts & self._verdicts or failing.severities & self._severities)

    def _count(self, row: ReportRow) -> None:
        identity = row.identity()
        self._verdicts.add(row.verdict)
        self._severities.add(row.severity)
        if identity not in self._rows:
            if len(self._rows) >= MAX_ROWS:
                self.unlisted += 1
                return
            self._rows[identity] = row
        self._rows[identity].calls += 1


def summary(verdicts: Counter[Verdict | None]) -> str:
    """One sentence with the number of exchanges by verdict."""
    total = sum(verdicts.values())
    told = [f"{verdicts[verdict]:,} {verdict}" for verdict in Verdict if verdicts[verdict]]
    text = f"{total:,} exchange{'' if total == 1 else 's'}"
    return f"{text}: {', '.join(told)}" if told else text


def blamed(faults: Counter[tuple[Fault, bool]]) -> str:
    """What was wrong of requests, as a part of a sentence; empty if nothing was."""
    counted = {
        "wrong but accepted": faults[Fault.SERVER_LAX, True],
        "wrong and refused": faults[Fault.CALLER, True],
        "of nothing that is there": faults[Fault.CALLER, False],
    }
    told = [f"{count:,} {name}" for name, count in counted.items() if count]
    return f"requests: {', '.join(told)}" if told else ""


def calls(count: int) -> str:
    """A number of calls, in words."""
    return f"{count:,} call{'' if count == 1 else 's'}"


def _rows(call: JudgedCall, judgement: Judgement) -> list[ReportRow]:
    described = judgement.operation is not None
    operation, status = judgement.operation or _undocumented(call), call.status

    def row(
        rule: str, where: Where | None, place: str, verdict: Verdict, severity: Severity, message: str
    ) -> ReportRow:
        return ReportRow(operation, described, rule, where, place, verdict, severity, message, call.i, status)

    verdict = Verdict.DEVIATING if described else Verdict.SHADOW
    found = [
        row(one.kind, one.where, one.place, verdict, severity_of(one.kind, one.where), one.message)
        for one in judgement.deviations
    ]
    if judgement.deprecated:
        found.append(row(ZOMBIE, None, "", Verdict.ZOMBIE, Severity.MEDIUM, ZOMBIE_MESSAGE))
    return found


def _undocumented(call: JudgedCall) -> str:
    """The method and the provisional template of a call that no operation describes."""
    path = call.path
    return "?" if path is None else f"{call.method} {template(*path)}"
