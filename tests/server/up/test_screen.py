"""One live line on a terminal, an occasional line elsewhere, and no terminal control sequences from
outside.
"""

from __future__ import annotations

import io

import pytest

from server.up.screen import CLEAR, Screen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_live_line_is_rewritten_and_stays_below_what_is_said() -> None:
    out = Terminal()
    screen = Screen(False, out)
    screen.live("1 exchange")
    screen.live("2 exchanges")
    screen.write("a new library")
    screen.still()
    assert out.getvalue() == (f"{CLEAR}1 exchange{CLEAR}2 exchanges{CLEAR}a new library\n2 exchanges{CLEAR}")


def test_a_live_line_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    out = Terminal()
    Screen(False, out).live("x" * 100)
    assert out.getvalue() == CLEAR + "x" * 19


def test_elsewhere_live_lines_come_now_and_then() -> None:
    out = io.StringIO()
    screen = Screen(False, out)
    screen.live("1 exchange")
    screen.live("2 exchanges")
    assert out.getvalue() == "1 exchange\n"


def test_what_children_say_cannot_steer_the_terminal() -> None:
    out = Terminal()
    Screen(False, out).relay("agent", "\x1b]0;owned\x07 \r fine")
    assert "\x1b]" not in out.getvalue()
    assert "\x07" not in out.getvalue()
    assert out.getvalue().endswith(" fine\n")


def test_json_of_children_passes_and_their_text_is_wrapped() -> None:
    out = io.StringIO()
    screen = Screen(True, out)
    screen.relay("agent", '{"message": "as it is"}')
    screen.relay("agent", "text")
    first, second = out.getvalue().splitlines()
    assert first == '{"message": "as it is"}'
    assert '"from": "agent", "message": "text"' in second
