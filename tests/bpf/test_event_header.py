"""bpf/event.h is authoritative; agent/probes/abi.py must mirror every byte and number of it."""

import re
import shutil
import subprocess
from enum import IntEnum
from pathlib import Path

import pytest

from agent.probes import abi, tls
from agent.probes.backend import BACKENDS, Backend
from agent.probes.programs import FOLDER, HEADERS, JAVA, PROGRAMS, Sizes, source_text

HEADER = FOLDER / "event.h"
PREFIXES: dict[str, type[IntEnum]] = {
    "EVENT_": abi.EventKind,
    "SOURCE_": abi.EventSource,
    "DIRECTION_": abi.EventDirection,
    "ROLE_": abi.EventRole,
    "COUNT_": abi.Counter,
    "SETTING_": abi.Setting,
}


def compiled(tmp_path: Path, body: str) -> list[str]:
    """The output of a C program that includes the header. Implicit padding is an error."""
    compiler = shutil.which("cc") or pytest.skip("no C compiler")
    source = tmp_path / "probe.c"
    source.write_text(
        "#include <stdio.h>\n#include <stddef.h>\n"
        f'#include "{HEADER}"\nint main(void) {{ {body} return 0; }}\n'
    )
    program = tmp_path / "probe"
    subprocess.run([compiler, "-Wpadded", "-Wall", "-Werror", "-o", program, source], check=True)
    return subprocess.run([program], check=True, capture_output=True, text=True).stdout.split()


def test_every_field_of_the_mirror_lies_where_the_compiler_puts_it(tmp_path: Path) -> None:
    fields = abi.RawEvent._fields
    printed = compiled(
        tmp_path,
        "".join(
            f'printf("%zu %zu\\n", offsetof(struct event, {name}), sizeof(((struct event *)0)->{name}));'
            for name in fields
        )
        + 'printf("%zu\\n", sizeof(struct event));',
    )
    assert int(printed[-1]) == abi.LAYOUT.size
    for index, name in enumerate(fields):
        offset, size = int(printed[2 * index]), int(printed[2 * index + 1])
        raw = bytearray(abi.LAYOUT.size)
        raw[offset : offset + size] = b"\x01" * size
        event, _ = abi.parse(bytes(raw))
        expected = b"\x01" * size if size == 16 else int.from_bytes(b"\x01" * size, "little")
        assert getattr(event, name) == expected, name
        assert sum(1 for value in event if value and value != bytes(16)) == 1, name


def test_every_number_of_the_mirror_is_the_headers(tmp_path: Path) -> None:
    names = [f"{prefix}{member.name}" for prefix, kind in PREFIXES.items() for member in kind]
    printed = compiled(tmp_path, "".join(f'printf("%d\\n", {name});' for name in names))
    expected = [int(member) for kind in PREFIXES.values() for member in kind]
    assert [int(number) for number in printed] == expected


def test_the_mirror_leaves_no_number_of_the_header_out() -> None:
    declared = re.findall(
        r"\b((?:EVENT|SOURCE|DIRECTION|ROLE|COUNT|SETTING)_[A-Z_]+)\b *=", HEADER.read_text()
    )
    mirrored = {f"{prefix}{member.name}" for prefix, kind in PREFIXES.items() for member in kind}
    assert set(declared) == mirrored


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_every_program_that_is_attached_is_in_the_sources(backend: Backend) -> None:
    text = source_text(backend)
    programs = {*backend.calls.values(), backend.exit, *backend.functions.values(), *tls.PROGRAMS}
    assert {name for name in programs if not re.search(rf"^int {name}\(struct", text, re.M)} == set()


def test_every_source_is_joined() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.suffix in (".c", ".h")} == {
        *HEADERS,
        *(name for backend in BACKENDS for name in backend.sources),
        *PROGRAMS,
        JAVA,
    }


def test_the_agent_bounds_every_map_that_leaves_its_bound_to_it() -> None:
    text = "".join(source_text(backend) for backend in BACKENDS)
    tables = re.findall(r"^BPF_TABLE\(.*, (\w+), SIZED\);", text, re.M)
    others = re.findall(r"^BPF_(?!TABLE)\w+\((\w+), (?:.*, )?SIZED\);", text, re.M)
    assert len(tables) + len(others) == text.count(", SIZED)")
    assert {*tables, *others} == set(Sizes().entries())
