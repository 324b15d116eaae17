"""The report as JSON (schema.json) and as text."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from agent.doctor.facts import Outcome, Program, Report, Sees, Sight

VERSION = 1
"""The version of the JSON document; it grows when a field is removed or changes its meaning."""

SHOWN_PIDS = 6
WITHIN = "  "
IN_WORDS: dict[str, str] = {
    Sight.SEEN: "captured",
    Sight.DARK: "not captured",
    Outcome.PARTLY: "in part",
    Outcome.UNSEEN: "not captured",
}
"""How the text names a state of the JSON; others have the same name in both."""

ANSWER = {
    Sees.ALL: "everything checked can be captured",
    Sees.SOME: "some can be captured, some not; each line that is not ok or captured says why",
    Sees.NONE: "nothing can be captured",
}


def document(report: Report) -> dict[str, Any]:
    """The document that `--json` prints; schema.json describes it."""
    facts = dataclasses.asdict(report)
    failures = [{"path": path, "reason": reason} for path, reason in report.self_test.failures]
    return {
        "version": VERSION,
        "spectap": facts["spectap"],
        "time": facts["time"],
        "sees": report.sees,
        "host": facts["host"],
        "self_test": facts["self_test"] | {"failures": failures},
        "programs": facts["programs"],
        "notes": facts["notes"],
    }


def lines(report: Report) -> Iterator[str]:
    """The report as text: one fact a line, its remedy on the next."""
    yield f"spectap {report.spectap}: {ANSWER[report.sees]}"
    yield ""
    yield "Host"
    for check in report.host:
        yield from _fact(check.state, check.subject, check.what, check.cure)
    yield ""
    yield "Self-test"
    yield from _self_test(report)
    yield ""
    yield "Processes" if report.programs else "Processes: none with a TCP socket"
    for program in report.programs:
        yield WITHIN + _heading(program)
        for view in program.views:
            where = f" ({view.path})" if view.path else ""
            what = f"{view.what}{where}" + (f": {', '.join(view.functions)}" if view.functions else "")
            yield from (WITHIN + line for line in _fact(view.sight, view.of, what, view.cure))
    for note in report.notes:
        yield WITHIN + note


def _self_test(report: Report) -> Iterator[str]:
    test = report.self_test
    if test.why_not:
        yield f"{WITHIN}not completed: {test.why_not}"
    else:
        for trial in test.trials:
            yield from _fact(trial.outcome, trial.protocol, trial.what, trial.cure)
    for path, reason in test.failures:
        yield from _fact("warning", "probe", f"{path}: {reason}", None)


def _fact(state: str, subject: str, what: str, cure: str | None) -> Iterator[str]:
    start = f"{WITHIN}{IN_WORDS.get(state, state):12}  {subject:18}"
    yield start + what
    if cure:
        yield f"{' ' * len(start)}remedy: {cure}"


def _heading(program: Program) -> str:
    shown = ", ".join(map(str, program.pids[:SHOWN_PIDS]))
    more = len(program.pids) - SHOWN_PIDS
    parts = [f"pid {shown}" + (f" and {more} more" if more > 0 else "")]
    if program.listening:
        parts.append(f"listening at {', '.join(map(str, program.listening))}")
    if program.connections:
        parts.append(f"{program.connections} connection{'s' if program.connections > 1 else ''}")
    if program.unit:
        parts.append(program.unit)
    if program.container:
        parts.append(f"container {program.container[:12]}")
    names = f" ({', '.join(program.names)})" if program.names else ""
    return f"{program.executable or 'no program file'}{names}: {'; '.join(parts)}"
