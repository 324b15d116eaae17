"""The backend is the first that works, and all that was refused before it is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.capture.choice import BACKENDS, Open, Wanted, open_source
from agent.options import BACKENDS as NAMES
from agent.probes.btf import BtfError
from agent.probes.kernel import CaptureFilters, SourceError
from agent.probes.nothing import NoCapture
from agent.probes.programs import ProgramError, Sizes

WANTED = Wanted(CaptureFilters(), Sizes(), Path("/nonexistent"))


def refusing(error: Exception) -> Open:
    def opened(wanted: Wanted) -> NoCapture:
        raise error

    return opened


def test_the_first_that_works_is_used_and_knows_why_the_others_are_not() -> None:
    rows = {
        "a": refusing(ProgramError("not in this kernel")),
        "b": refusing(BtfError("no types")),
        "c": lambda wanted: NoCapture(),
        "d": lambda wanted: pytest.fail("tried"),
    }
    source = open_source(WANTED, rows=rows)
    assert source.watching.refused == {"a": "not in this kernel", "b": "no types"}


def test_a_backend_that_is_asked_for_is_used_or_refused_and_no_other_is_tried() -> None:
    rows: dict[str, Open] = {
        "a": lambda wanted: NoCapture(),
        "b": lambda wanted: NoCapture(),
        "c": refusing(SourceError("no")),
    }
    assert open_source(WANTED, "b", rows).watching.refused == {}
    with pytest.raises(SourceError, match=r"^--backend c does not work here: no$"):
        open_source(WANTED, "c", rows)


def test_where_none_works_each_reason_is_given_once() -> None:
    rows = {name: refusing(SourceError("no root" if name in "ab" else "no socket")) for name in "abc"}
    with pytest.raises(SourceError, match=r"^a, b: no root\. c: no socket$"):
        open_source(WANTED, rows=rows)


def test_the_option_names_the_backends_in_the_order_they_are_tried() -> None:
    assert tuple(BACKENDS) == NAMES
