"""Whatever becomes of the compiler's process, there is an error in one sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from agent.probes import compiler
from agent.probes.bpf_call import MapShape
from agent.probes.compiler import Compiled, CompilerError, Failed, Source
from agent.probes.instructions import named_maps

BROKEN = Source("int broken(", [], ["broken"])
COUNTING = """
#include <linux/types.h>
BPF_ARRAY(first, u64, 3);
BPF_HASH(second, u32, u64, 5);
int count(void *ctx)
{
	int zero = 0;
	u32 one = 1;
	u64 *found = first.lookup(&zero);
	if (found)
		second.update(&one, found);
	return 0;
}
"""
ANSWERING = """#!{python}
import sys
sys.stdin.read()
sys.stdout.buffer.write({answer!r})
"""


def answering(path: Path, answer: bytes) -> str:
    """The path of a compiler with this answer."""
    path.write_text(ANSWERING.format(python=sys.executable, answer=answer))
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "the compiler ended with status 0"),
        (b"\x81", "the compiler gave no answer"),
        (msgspec.msgpack.encode({"type": "Compiled", "maps": 1}), "the compiler gave no answer"),
        (msgspec.msgpack.encode(Failed("no such thing")), "no such thing"),
    ],
)
def test_an_answer_that_is_none_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, reason: str
) -> None:
    monkeypatch.setattr(sys, "executable", answering(tmp_path / "compiler", answer))
    with pytest.raises(CompilerError, match=f"^{reason}"):
        compiler.compile_apart(BROKEN)


def test_a_compiler_that_ends_at_once_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(CompilerError, match=r"^the compiler (?:gave no answer|ended with status 1)"):
        compiler.compile_apart(BROKEN)


@pytest.mark.root
@pytest.mark.parametrize("source", [BROKEN, Source(COUNTING, [], ["count", "other"])])
def test_what_cannot_be_compiled_is_an_error(source: Source) -> None:
    with pytest.raises(CompilerError):
        compiler.compile_apart(source)


@pytest.mark.root
def test_code_comes_with_its_maps_by_number_and_with_the_files_of_the_compiler() -> None:
    found = compiler.compile_apart(Source(COUNTING, [], ["count"]))
    array, table = (next(shape for shape in found.maps if shape.name == name) for name in ("first", "second"))
    assert array == MapShape("first", 2, 4, 8, 3)  # BPF_MAP_TYPE_ARRAY
    assert table == MapShape("second", 1, 4, 8, 5)  # BPF_MAP_TYPE_HASH
    used = named_maps(found.programs["count"])
    assert [found.maps[number].name for number in used] == ["first", "second"]
    assert {Path(file.path).name.split("-")[0].split(".")[0] for file in found.compiler} >= {"libbcc"}
    assert all(compiler.state_of(file.path) == file for file in found.compiler)
    assert Compiled(found.maps, found.programs, found.compiler) == found
