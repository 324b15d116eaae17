"""Offsets from BTF, checked with a hand-made blob and with the running kernel's."""

import contextlib
import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.probes import btf


def blob(types: bytes, strings: bytes) -> bytes:
    return (
        struct.pack("<HBBIIIII", btf.MAGIC, 1, 0, 24, 0, len(types), len(types), len(strings))
        + types
        + strings
    )


def structure(name: int, members: list[tuple[int, int, int]], kind: int = btf.STRUCT) -> bytes:
    packed = struct.pack("<III", name, kind << 24 | len(members), 64)
    return packed + b"".join(struct.pack("<III", *member) for member in members)


STRINGS = b"\0outer\0inner\0value\0hidden\0"
OUTER, INNER, VALUE, HIDDEN = 1, 7, 13, 19
# 1: struct inner {value at 8}; 2: typedef to 1; 3: anonymous union {hidden at 0}; 4: struct outer
TYPES = (
    structure(INNER, [(VALUE, 0, 64)])
    + struct.pack("<III", INNER, 8 << 24, 1)
    + structure(0, [(HIDDEN, 0, 0)], btf.UNION)
    + structure(OUTER, [(INNER, 2, 128), (0, 3, 256)])
)


def test_members_are_found_through_typedefs_and_anonymous_unions() -> None:
    types = btf.Types(blob(TYPES, STRINGS))
    assert types.offset("outer", "inner", "value") == 16 + 8
    assert types.offset("outer", "hidden") == 32


def test_sizes_and_enumerators_are_found() -> None:
    kinds = struct.pack("<IIIIi", HIDDEN, btf.ENUM << 24 | 1, 4, VALUE, 7)
    types = btf.Types(blob(TYPES + kinds, STRINGS))
    assert types.size("outer") == 64
    assert types.number("hidden", "value") == 7
    with pytest.raises(KeyError, match="hidden: no enumerator nothing"):
        types.number("hidden", "nothing")


def test_a_missing_member_is_named() -> None:
    with pytest.raises(KeyError, match="outer: no member nothing"):
        btf.Types(blob(TYPES, STRINGS)).offset("outer", "nothing")


def test_broken_data_is_refused_with_a_reason() -> None:
    with pytest.raises(btf.BtfError, match="magic number"):
        btf.Types(b"\0" * 64)


@given(st.binary(max_size=200))
def test_any_bytes_are_types_or_one_error(noise: bytes) -> None:
    with contextlib.suppress(btf.BtfError):
        btf.Types(blob(noise, STRINGS))


@pytest.mark.skipif(not btf.VMLINUX.exists(), reason="this kernel has no BTF")
def test_this_kernel_has_every_offset_and_the_cache_gives_the_same(tmp_path: Path) -> None:
    found = btf.kernel_offsets(tmp_path)
    assert found.keys() == set(btf.MACROS)
    assert found["O_SOCK_V4_LOCAL"] == found["O_SOCK_V4_PEER"] + 4  # skc_addrpair
    (cached,) = tmp_path.iterdir()
    assert json.loads(cached.read_text()) == found == btf.kernel_offsets(tmp_path)


@pytest.mark.skipif(not btf.VMLINUX.exists(), reason="this kernel has no BTF")
def test_the_cache_is_for_its_owner_only(tmp_path: Path) -> None:
    btf.kernel_offsets(tmp_path / "cache")
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not btf.VMLINUX.exists(), reason="this kernel has no BTF")
def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    found = btf.kernel_offsets(tmp_path)
    (cached,) = tmp_path.iterdir()
    cached.write_text('{"O_TASK_FILES": "rubbish"')
    assert btf.kernel_offsets(tmp_path) == found
    assert json.loads(cached.read_text()) == found


def test_a_kernel_without_type_information_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(btf.BtfError, match="CONFIG_DEBUG_INFO_BTF"):
        btf.kernel_offsets(None, tmp_path / "missing")
