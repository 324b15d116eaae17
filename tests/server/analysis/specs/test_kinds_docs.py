"""The README beside the engine documents exactly the verdicts and kinds of the code."""

from __future__ import annotations

import re
from pathlib import Path

import server.analysis.specs.kinds as kinds
from server.analysis.specs.kinds import KINDS, Kind, Severity, Unmentioned, Verdict, Where, severity_of

README = Path(kinds.__file__).with_name("README.md").read_text()


def section(title: str) -> str:
    return README.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def table(title: str) -> list[str]:
    """The first cell of each row that is only code."""
    return re.findall(r"^\| `([a-z-]+)` \|", section(title), re.MULTILINE)


def test_every_kind_of_deviation_is_a_row_and_documented_and_no_other() -> None:
    assert sorted(table("Kinds of deviation")) == sorted(Kind)
    assert KINDS.keys() == set(Kind)


def test_severities_are_documented_as_the_rows_have_them() -> None:
    text = section("Kinds of deviation")
    documented = re.findall(r"^\| `([a-z-]+)` \| (\w+[^|]*) \|", text, re.MULTILINE)
    places = {"in a request": "sent", "in an answer": "answered"}
    assert dict(documented) == {
        kind: ", ".join(
            [row.severity, *(f"{name} {own}" for name, at in places.items() if (own := getattr(row, at)))]
        )
        for kind, row in KINDS.items()
    }
    assert re.findall(r"^\| (high|medium|low) \|", text, re.MULTILINE) == [*Severity]


def test_the_kinds_that_a_mask_hides_are_documented() -> None:
    sentence = re.search(r"A masked value is never blamed by ([^:]*):", section("Decisions"))
    assert sentence is not None
    hidden = [kind for kind, row in KINDS.items() if row.hidden_by_mask]
    assert re.findall(r"`([a-z-]+)`", sentence[1]) == hidden


def test_a_policy_decides_of_all_that_may_be_unmentioned() -> None:
    assert {row.unmentioned for row in KINDS.values()} == {None, *Unmentioned}


def test_every_verdict_is_documented_and_no_other() -> None:
    assert sorted(table("Verdicts")) == sorted(Verdict)


def test_what_is_accepted_unchecked_is_more_severe_than_what_is_answered() -> None:
    assert severity_of(Kind.PATTERN, Where.QUERY) == "medium"
    assert severity_of(Kind.PATTERN, Where.RESPONSE_BODY) == "low"
    assert severity_of(Kind.FORBIDDEN_FIELD, Where.REQUEST_BODY) == "medium"
    assert severity_of(Kind.FORBIDDEN_FIELD, Where.RESPONSE_BODY) == "high"
    assert severity_of(Kind.TYPE, Where.RESPONSE_BODY) == severity_of(Kind.TYPE, Where.QUERY) == "medium"
