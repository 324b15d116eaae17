"""Children's lines and ends arrive as facts, in order and completely."""

from __future__ import annotations

import os
import signal
import sys
import time

from server.up.children import MOST_LINE, ChildEnded, ChildEvent, ChildProcesses, Line

PATIENCE_S = 30.0


def events_of(program: str) -> list[ChildEvent]:
    """All facts about a child running `program`."""
    found: list[ChildEvent] = []
    with ChildProcesses() as children:
        children.start("child", [sys.executable, "-S", "-c", program])
        deadline = time.monotonic() + PATIENCE_S
        while not any(isinstance(happening, ChildEnded) for happening in found):
            assert time.monotonic() < deadline
            found += children.wait(PATIENCE_S)
    return found


def text(found: list[ChildEvent]) -> list[str]:
    return [happening.text for happening in found if isinstance(happening, Line)]


def test_every_line_comes_before_the_end_and_the_last_needs_no_newline() -> None:
    found = events_of("import sys; [print(i) for i in range(5000)]; sys.stderr.write('last')")
    assert text(found) == [*map(str, range(5000)), "last"]
    assert isinstance(found[-1], ChildEnded)
    assert found[-1].child.code == 0


def test_a_line_without_end_is_cut_and_bytes_that_are_no_text_are_shown_as_such() -> None:
    lines = text(events_of(f"import os; os.write(1, b'x' * {3 * MOST_LINE}); os.write(1, b'\\xff\\n')"))
    assert "".join(lines) == "x" * 3 * MOST_LINE + "\N{REPLACEMENT CHARACTER}"
    assert max(map(len, lines)) <= 2 * MOST_LINE


def test_a_child_has_a_session_of_its_own_and_no_standard_input() -> None:
    lines = text(events_of("import os, sys; print(os.getsid(0) == os.getpid(), repr(sys.stdin.read()))"))
    assert lines == ["True ''"]


def test_a_child_whose_grandchild_holds_the_pipe_still_ends() -> None:
    program = "import os, time; pid = os.fork(); pid or time.sleep(60); print(pid, flush=True); os._exit(3)"
    found = events_of(program)
    ended = found[-1]
    os.kill(int(text(found)[0]), signal.SIGKILL)
    assert isinstance(ended, ChildEnded)
    assert ended.child.code == 3


def test_leaving_kills_whoever_is_left_and_puts_signals_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with ChildProcesses() as children:
        child = children.start("child", [sys.executable, "-S", "-c", "import time; time.sleep(600)"])
        assert signal.getsignal(signal.SIGINT) is not before
    assert child.popen.returncode == -signal.SIGKILL
    assert signal.getsignal(signal.SIGINT) is before
