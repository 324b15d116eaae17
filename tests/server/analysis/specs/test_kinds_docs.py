"""The README beside the engine documents every verdict and kind, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import server.analysis.specs.kinds as kinds

README = Path(kinds.__file__).with_name("README.md").read_text()


def table(title: str) -> set[str]:
    section = README.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE))


def test_every_kind_of_deviation_is_documented_and_no_other() -> None:
    assert table("Kinds of deviation") == set(kinds.Kind)


def test_every_verdict_is_documented_and_no_other() -> None:
    assert table("Verdicts") == set(kinds.Verdict)
