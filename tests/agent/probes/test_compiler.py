"""Whatever becomes of the compiler's process, there is an error in one sentence and nothing stays open."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from agent.probes import compiler
from agent.probes.compiler import CompilerError, Source

SOURCE = Source("int broken(", [], [], {})
ANSWERING = """#!{python}
import os, socket, sys
with socket.socket(fileno=int(sys.argv[3])) as agent:
    while agent.recv(4096):
        pass
    socket.send_fds(agent, [b"0"], [0, 1])
    agent.sendall({answer!r})
"""


def answering(path: Path, answer: bytes) -> str:
    """The path of a compiler that hands over two descriptors with this answer."""
    path.write_text(ANSWERING.format(python=sys.executable, answer=answer))
    path.chmod(0o755)
    return str(path)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "the compiler ended with status 0"),
        (b'{"maps": ["one"', "the compiler gave no answer"),
        (b'{"maps": 1}', "the compiler gave no answer"),
        (b'{"maps": ["one"], "programs": ["two", "three"]}', "the compiler ended with status 0"),
        (b'{"error": "no such thing"}', "no such thing"),
    ],
)
def test_an_answer_that_is_none_is_an_error_and_its_descriptors_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, reason: str
) -> None:
    monkeypatch.setattr(sys, "executable", answering(tmp_path / "compiler", answer))
    before = open_files()
    with pytest.raises(CompilerError, match=f"^{reason}"):
        compiler.load(SOURCE)
    assert open_files() == before


def test_a_compiler_that_ends_at_once_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    before = open_files()
    with pytest.raises(CompilerError, match=r"^the compiler (?:gave no answer|ended with status 1)"):
        compiler.load(SOURCE)
    assert open_files() == before


@pytest.mark.root
def test_what_cannot_be_compiled_is_an_error() -> None:
    with pytest.raises(CompilerError):
        compiler.load(SOURCE)
