"""Offsets of kernel struct members from the running kernel's own type information (BTF).

The format is the kernel's Documentation/bpf/btf.rst. Reading all types takes about half a second, so the
few offsets we need are cached by kernel release.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path

VMLINUX = Path("/sys/kernel/btf/vmlinux")
MAGIC = 0xEB9F
HEAD = struct.Struct("<III")  # of a type: name, kind and number of entries, size or type

INT, ARRAY, STRUCT, UNION, ENUM, FUNC_PROTO, VAR, DATASEC, DECL_TAG, ENUM64 = (
    1,
    3,
    4,
    5,
    6,
    13,
    14,
    15,
    17,
    19,
)
TRANSPARENT = frozenset({8, 9, 10, 11, 18})  # typedef, volatile, const, restrict, type tag
EXTRA_FIXED = {INT: 4, ARRAY: 12, VAR: 4, DECL_TAG: 4}
EXTRA_EACH = {STRUCT: 12, UNION: 12, ENUM: 8, FUNC_PROTO: 8, DATASEC: 12, ENUM64: 12}

OFFSETS: dict[str, tuple[str, ...]] = {
    "O_TASK_FILES": ("task_struct", "files"),
    "O_FILES_FDT": ("files_struct", "fdt"),
    "O_FDT_FD": ("fdtable", "fd"),
    "O_FDT_MAX": ("fdtable", "max_fds"),
    "O_FILE_PRIVATE": ("file", "private_data"),
    "O_SOCKET_FILE": ("socket", "file"),
    "O_SOCKET_SK": ("socket", "sk"),
    "O_SOCK_FAMILY": ("sock", "__sk_common", "skc_family"),
    "O_SOCK_PROTOCOL": ("sock", "sk_protocol"),
    "O_SOCK_NUM": ("sock", "__sk_common", "skc_num"),
    "O_SOCK_DPORT": ("sock", "__sk_common", "skc_dport"),
    "O_SOCK_NET": ("sock", "__sk_common", "skc_net", "net"),
    "O_SOCK_V4_LOCAL": ("sock", "__sk_common", "skc_rcv_saddr"),
    "O_SOCK_V4_PEER": ("sock", "__sk_common", "skc_daddr"),
    "O_SOCK_V6_LOCAL": ("sock", "__sk_common", "skc_v6_rcv_saddr"),
    "O_SOCK_V6_PEER": ("sock", "__sk_common", "skc_v6_daddr"),
    "O_NET_INUM": ("net", "ns", "inum"),
    "O_BPRM_FILENAME": ("linux_binprm", "filename"),
    "O_TASK_FLAGS": ("task_struct", "flags"),
    "O_MSG_ITER": ("msghdr", "msg_iter"),
    "O_ITER_TYPE": ("iov_iter", "iter_type"),
    "O_ITER_OFFSET": ("iov_iter", "iov_offset"),
    "O_ITER_BUFFER": ("iov_iter", "bvec"),
    "O_OPS_SENDPAGE": ("proto_ops", "sendpage"),
}
"""Macro of the C sources -> struct and the path of members inside it."""

SIZES = {"SIZE_OF_PAGE": "page"}
"""Macro -> struct whose size it is."""

NUMBERS = {name: ("iter_type", name) for name in ("ITER_UBUF", "ITER_IOVEC", "ITER_BVEC")}
"""Macro -> enum and its enumerator."""

MACROS = (*OFFSETS, *SIZES, *NUMBERS)
IPV6 = ("O_SOCK_V6_LOCAL", "O_SOCK_V6_PEER")  # no socket has the family of a kernel without it
ITERATORS = ("O_ITER_TYPE", *NUMBERS)  # by kernels that the kprobes are not for
OPTIONAL = frozenset({*IPV6, *ITERATORS, "O_OPS_SENDPAGE"})
"""Absent from some kernels; then 0."""


class BtfError(RuntimeError):
    """The kernel's type information is missing or malformed."""


class Types:
    """The types of one BTF blob. Raises BtfError if it is malformed."""

    def __init__(self, blob: bytes) -> None:
        try:
            magic, _, _, header, types_at, types_size, strings_at, strings_size = struct.unpack_from(
                "<HBBIIIII", blob
            )
            if magic != MAGIC:
                raise BtfError("the BTF data does not start with its magic number")
            self._strings = blob[header + strings_at : header + strings_at + strings_size]
            self._blob = blob[header + types_at : header + types_at + types_size]
            self._places = self._read()
            self._structs = {self._name(name): number for number, name in self._named(STRUCT)}
            self._enums = {self._name(name): number for number, name in self._named(ENUM) if name}
        except (struct.error, ValueError) as error:
            raise BtfError(f"the BTF data is broken: {error}") from None

    def _read(self) -> array[int]:
        """Where each type begins. Types are looked at in place: as objects they would leave 4 MiB of holes in
        this process's memory.
        """
        places, at = array("I", [0]), 0  # type 0 is void
        while at < len(self._blob):
            places.append(at)
            _, info, _ = HEAD.unpack_from(self._blob, at)
            kind, entries = (info >> 24) & 0x1F, info & 0xFFFF
            at += HEAD.size + EXTRA_FIXED.get(kind, 0) + EXTRA_EACH.get(kind, 0) * entries
        return places

    def _named(self, wanted: int) -> Iterator[tuple[int, int]]:
        """The types of one kind, with the offset of their name."""
        for number in range(1, len(self._places)):
            name, info, _ = HEAD.unpack_from(self._blob, self._places[number])
            if (info >> 24) & 0x1F == wanted:
                yield number, name

    def _type(self, number: int) -> tuple[int, int]:
        """A type's kind, and its size or the type that it stands for."""
        if not number:
            return 0, 0
        _, info, size_or_type = HEAD.unpack_from(self._blob, self._places[number])
        return (info >> 24) & 0x1F, size_or_type

    def _members(self, number: int) -> tuple[bytes, bool]:
        """The members of a struct, union or enum, and whether there are bit fields among them."""
        _, info, _ = HEAD.unpack_from(self._blob, self._places[number])
        at = self._places[number] + HEAD.size
        return self._blob[at : at + EXTRA_EACH[(info >> 24) & 0x1F] * (info & 0xFFFF)], bool(info >> 31)

    def _name(self, offset: int) -> str:
        return self._strings[offset : self._strings.index(b"\0", offset)].decode()

    def _resolve(self, number: int) -> int:
        while self._type(number)[0] in TRANSPARENT:
            number = self._type(number)[1]
        return number

    def size(self, structure: str) -> int:
        """Bytes of a struct. Raises KeyError."""
        return self._type(self._structs[structure])[1]

    def number(self, enum: str, wanted: str) -> int:
        """The value of an enumerator. Raises KeyError."""
        for name, value in struct.iter_unpack("<Ii", self._members(self._enums[enum])[0]):
            if self._name(name) == wanted:
                return int(value)
        raise KeyError(f"{enum}: no enumerator {wanted}")

    def offset(self, structure: str, *path: str) -> int:
        """Bytes from the start of `structure` to the member at `path`. Raises KeyError."""
        number, total = self._structs[structure], 0
        for member in path:
            found = self._member(number, member)
            if found is None:
                raise KeyError(f"{structure}: no member {'.'.join(path)}")
            total += found[0]
            number = self._resolve(found[1])
        return total

    def _member(self, number: int, wanted: str) -> tuple[int, int] | None:
        if self._type(number)[0] not in (STRUCT, UNION):
            return None
        members, bitfields = self._members(number)
        for name, kind, position in struct.iter_unpack("<III", members):
            offset = (position & 0xFFFFFF if bitfields else position) // 8
            if name and self._name(name) == wanted:
                return offset, kind
            inner = self._resolve(kind)
            if not name and self._type(inner)[0] in (STRUCT, UNION):
                found = self._member(inner, wanted)
                if found:
                    return offset + found[0], found[1]
        return None


def offsets(types: Types) -> dict[str, int]:
    """Every one of MACROS. Raises BtfError for one that this kernel does not have."""
    found: dict[str, int] = {}
    for macro in MACROS:
        try:
            found[macro] = _value(types, macro)
        except KeyError as error:
            if macro not in OPTIONAL:
                raise BtfError(f"this kernel's types are not as expected: {error}") from None
            found[macro] = 0
    return found


def _value(types: Types, macro: str) -> int:
    if macro in SIZES:
        return types.size(SIZES[macro])
    if macro in NUMBERS:
        return types.number(*NUMBERS[macro])
    structure, *path = OFFSETS[macro]
    return types.offset(structure, *path)


def kernel_offsets(cache: Path | None = None, vmlinux: Path = VMLINUX) -> dict[str, int]:
    """The running kernel's offsets, from `cache` (a directory) if it has them. Raises BtfError."""
    release = os.uname()
    known = cache / f"btf-{release.release}-{zlib.crc32(release.version.encode())}.json" if cache else None
    if known and known.is_file():
        try:
            stored = json.loads(known.read_text())
            if stored.keys() == set(MACROS) and all(type(value) is int for value in stored.values()):
                return dict(stored)
        except (OSError, ValueError, AttributeError):
            known.unlink(missing_ok=True)
    try:
        blob = vmlinux.read_bytes()
    except OSError as error:
        raise BtfError(
            f"{vmlinux} cannot be read ({error.strerror}): was this kernel built without "
            "CONFIG_DEBUG_INFO_BTF? Boot a distribution kernel of 5.8 or later"
        ) from None
    found = offsets(Types(blob))
    if known:
        _store(known, found)
    return found


def _store(path: Path, found: dict[str, int]) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(found))
        partial.replace(path)
    except OSError:
        return  # costs the next start half a second
