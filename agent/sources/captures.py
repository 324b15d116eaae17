"""Files of captured packets: pcap (in both byte orders, with micro- and nanoseconds) and pcapng."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent.sources.reported import UnreadableEntry

MAX_FRAME = 1 << 20
"""Bytes of one packet; tcpdump keeps 262,144 at most."""

MAX_INTERFACES = 4096
NANOSECONDS = 1_000_000_000
MAX_TIME_NS = 2**62

_PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_RESOLUTION, _OFFSET = 9, 14
PCAPNG = b"\x0a\x0d\x0d\x0a"
MAGICS = (*_PCAP, PCAPNG)

Read = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Frame:
    """One captured packet: `data` is the captured prefix of `length` bytes. Time is wall-clock, in ns."""

    time_ns: int
    link: int
    data: bytes
    length: int


class _Damaged(Exception):
    """Nothing after this place can be read; the message says why."""


def frames(read: Read) -> Iterator[Frame | UnreadableEntry]:
    """The packets of a file; `read` returns as many bytes as requested, fewer at its end."""
    number = 0
    try:
        magic = _exactly(read, 4)
        order = _PCAP.get(magic)
        for frame in _pcapng(read, magic) if order is None else _pcap(read, *order):
            number += 1
            yield frame
    except _Damaged as error:
        yield UnreadableEntry(f"behind packet {number}", str(error))


def _pcap(read: Read, order: str, unit: int) -> Iterator[Frame]:
    link = struct.unpack(order + "16xI", _exactly(read, 20))[0] & 0xFFFF
    while head := read(16):
        if len(head) < 16:
            raise _Damaged("the file ends within a packet")
        seconds, fraction, captured, length = struct.unpack(order + "IIII", head)
        if captured > MAX_FRAME:
            raise _Damaged("not a packet")
        time_ns = seconds * NANOSECONDS + fraction * unit
        yield Frame(time_ns, link, _exactly(read, captured), max(length, captured))


@dataclass(frozen=True, slots=True)
class _Interface:
    """`resolution` is units per second, `offset` seconds."""

    link: int
    snap: int
    resolution: int
    offset: int


def _pcapng(read: Read, magic: bytes) -> Iterator[Frame]:
    """Reads block by block; those without packets are skipped."""
    if magic != PCAPNG:
        raise _Damaged("not a capture")
    section = _Section("<")
    head = magic + _exactly(read, 4)
    while head:
        if len(head) < 8:
            raise _Damaged("the file ends within a block")
        if head[:4] == PCAPNG:
            mark = _exactly(read, 4)
            if mark not in _ORDERS:
                raise _Damaged("not a section of a capture")
            section = _Section(_ORDERS[mark])
            _skip(read, section.size(head) - 12)
        else:
            kind, size = struct.unpack(section.order + "I", head[:4])[0], section.size(head) - 8
            if kind in (_INTERFACE, _OLD_PACKET, _SIMPLE, _ENHANCED):
                if size > MAX_FRAME + 65_536:
                    raise _Damaged("not a block")
                frame = section.block(kind, _exactly(read, size)[:-4])
                if frame is not None:
                    yield frame
            else:
                _skip(read, size)
        head = read(8)


class _Section:
    """A section's byte order and interfaces."""

    def __init__(self, order: str) -> None:
        self.order = order
        self._interfaces: list[_Interface] = []
        self._last_ns = 0

    def size(self, head: bytes) -> int:
        """A block's whole length, padded to 32 bits, which some writers omit."""
        size = int(struct.unpack(self.order + "I", head[4:8])[0])
        if size < 12:
            raise _Damaged("not a block")
        return size + -size % 4

    def block(self, kind: int, body: bytes) -> Frame | None:
        try:
            if kind == _INTERFACE:
                self._interface(body)
                return None
            return self._frame(kind, body)
        except (struct.error, IndexError):
            raise _Damaged("not a packet") from None

    def _interface(self, body: bytes) -> None:
        if len(self._interfaces) >= MAX_INTERFACES:
            raise _Damaged("too many interfaces")
        link, snap = struct.unpack_from(self.order + "HxxI", body)
        options = dict(self._options(body[8:]))
        exponent = options.get(_RESOLUTION, b"\x06")[0]
        resolution = 2 ** (exponent & 0x7F) if exponent & 0x80 else 10**exponent
        if not 1 <= resolution <= 10**18:
            raise _Damaged("a resolution of time that cannot be")
        offset = options.get(_OFFSET, b"")
        seconds = struct.unpack(self.order + "q", offset)[0] if len(offset) == 8 else 0
        self._interfaces.append(_Interface(link, snap, resolution, seconds))

    def _options(self, raw: bytes) -> Iterator[tuple[int, bytes]]:
        at = 0
        while at + 4 <= len(raw):
            code, size = struct.unpack_from(self.order + "HH", raw, at)
            if code == 0:
                return
            if size:
                yield code, raw[at + 4 : at + 4 + size]
            at += 4 + size + -size % 4

    def _frame(self, kind: int, body: bytes) -> Frame:
        if kind == _SIMPLE:
            interface = self._interfaces[0]
            (length,) = struct.unpack_from(self.order + "I", body)
            captured = min(length, interface.snap or length, len(body) - 4)
            return Frame(self._last_ns, interface.link, body[4 : 4 + captured], length)
        layout = "IIIII" if kind == _ENHANCED else "HxxIIII"
        number, high, low, captured, length = struct.unpack_from(self.order + layout, body)
        interface = self._interfaces[number]
        if captured > len(body) - 20:
            raise IndexError
        time_ns = (high << 32 | low) * NANOSECONDS // interface.resolution + interface.offset * NANOSECONDS
        self._last_ns = min(max(0, time_ns), MAX_TIME_NS)
        return Frame(self._last_ns, interface.link, body[20 : 20 + captured], max(length, captured))


def _exactly(read: Read, size: int) -> bytes:
    found = read(size)
    if len(found) < size:
        raise _Damaged("the file ends within a packet")
    return found


def _skip(read: Read, size: int) -> None:
    while size > 0:
        piece = read(min(size, 65_536))
        if not piece:
            raise _Damaged("the file ends within a block")
        size -= len(piece)
