"""Captured frames → TCP segments: link layer, VLAN tags, IPv4 and IPv6 with fragments.

Frames may be cut at a snap length: the headers then have the original length. An unreadable frame is no
segment, with a reason. This is written by hand since a general dissector takes a hundred times as long;
unsupported link layers go through one (`agent.sources.dissected`).
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from agent.events import Address
from agent.sources import dissected
from agent.sources.tcp import Segment

ETHERNET, NULL, RAW, LOOP, LINUX_COOKED, IPV4, IPV6, LINUX_COOKED_2 = 1, 0, 101, 108, 113, 228, 229, 276
_RAWS = frozenset({RAW, 12, 14, IPV4, IPV6})
_TAGS = frozenset({0x8100, 0x88A8, 0x9100, 0x9200})
_IP4, _IP6, _PPPOE = 0x0800, 0x86DD, 0x8864
_DISSECTED = frozenset({0x8847, 0x8848})  # MPLS
_PPP = {0x0021: _IP4, 0x0057: _IP6}
_VERSIONS = {4: _IP4, 6: _IP6}
_TCP, _FRAGMENT = 6, 44
_SKIPPED = frozenset({0, 43, 60, 135})  # IPv6 extension headers that are skipped
MAX_TAGS = 8
MAX_EXTENSIONS = 16
MAX_DATAGRAM = 65_535 + 40
MAX_DATAGRAMS = 1024  # incomplete ones at the same time
MAX_FRAGMENTS = 256
FRAGMENTS_NS = 30 * 1_000_000_000  # RFC 791 and 8200: the longest wait for a datagram's fragments


class NoSegment(Exception):
    """The frame has no readable TCP segment; the message says why."""

    def __init__(self, reason: str, broken: bool = False) -> None:
        super().__init__(reason)
        self.broken = broken


class UnknownLink(NoSegment):
    """Nothing here can read frames of this link type."""


@dataclass(frozen=True, slots=True)
class Datagram:
    """An IP datagram's payload: `data` is the captured prefix of `length` bytes of `protocol`."""

    source: str
    target: str
    protocol: int
    data: bytes
    length: int


@dataclass(slots=True)
class _Pieces:
    """An incomplete datagram: its byte ranges, and its end once the last fragment has arrived."""

    started_ns: int
    ranges: list[tuple[int, int, bytes]] = field(default_factory=list)
    end: int | None = None


class Packets:
    """Reads frames and keeps fragments until their datagrams are complete."""

    def __init__(self) -> None:
        self._pieces: OrderedDict[tuple[str, str, int, int], _Pieces] = OrderedDict()

    def segment(self, time_ns: int, link: int, frame: bytes, length: int) -> Segment:
        """The segment in a frame that was `length` bytes long. Raises NoSegment."""
        try:
            known = _network(link, frame)
            if known is None:
                frame, length = _dissected(link, frame, length)
                known = _VERSIONS.get(frame[0] >> 4, 0), 0
            kind, at = known
            if kind == _IP4:
                datagram = self._ipv4(time_ns, frame[at:], length - at)
            elif kind == _IP6:
                datagram = self._ipv6(time_ns, frame[at:], length - at)
            else:
                raise NoSegment("not IP")
            return _segment(time_ns, datagram)
        except (struct.error, IndexError):
            raise NoSegment("cut within its headers", broken=True) from None

    def _ipv4(self, time_ns: int, raw: bytes, length: int) -> Datagram:
        """RFC 791. Segmentation offload leaves a total length of 0 in packets above 64 KiB."""
        first, total, number, place, protocol = struct.unpack_from("!BxHHHxB", raw)
        head = (first & 0x0F) * 4
        total = total or length
        if first >> 4 != 4 or head < 20 or not head <= total <= max(length, head):
            raise NoSegment("not a valid IPv4 header", broken=True)
        source, target = _ip(raw[12:16]), _ip(raw[16:20])
        whole = Datagram(source, target, protocol, raw[head:total], total - head)
        if not place & 0x3FFF:
            return whole
        return self._whole(time_ns, whole, number, (place & 0x1FFF) * 8, bool(place & 0x2000))

    def _ipv6(self, time_ns: int, raw: bytes, length: int) -> Datagram:
        """RFC 8200 with its extension headers."""
        first, total, following = struct.unpack_from("!B3xHB", raw)
        end = 40 + total if total else length
        if first >> 4 != 6 or end > length:
            raise NoSegment("not a valid IPv6 header", broken=True)
        source, target, at = _ip(raw[8:24]), _ip(raw[24:40]), 40
        for _ in range(MAX_EXTENSIONS):
            if following in _SKIPPED:
                following, size = raw[at], (raw[at + 1] + 1) * 8
                at += size
            elif following == _FRAGMENT:
                following, place, number = struct.unpack_from("!BxHI", raw, at)
                piece = Datagram(source, target, following, raw[at + 8 : end], end - at - 8)
                if not place & 0xFFF9:
                    return piece  # not fragmented
                return self._whole(time_ns, piece, number, place & 0xFFF8, bool(place & 1))
            else:
                return Datagram(source, target, following, raw[at:end], max(0, end - at))
        raise NoSegment("too many IPv6 extension headers", broken=True)

    def _whole(self, time_ns: int, piece: Datagram, number: int, place: int, more: bool) -> Datagram:
        """The datagram that `piece` completes. Raises NoSegment if it does not."""
        key = (piece.source, piece.target, piece.protocol, number)
        pieces = self._pieces.get(key)
        if pieces is None or time_ns - pieces.started_ns > FRAGMENTS_NS:
            pieces = self._pieces[key] = _Pieces(time_ns)
            self._pieces.move_to_end(key)
            if len(self._pieces) > MAX_DATAGRAMS:
                self._pieces.popitem(last=False)
        if place + piece.length > MAX_DATAGRAM or len(pieces.ranges) >= MAX_FRAGMENTS or piece.length <= 0:
            raise NoSegment("an IP fragment out of bounds", broken=True)
        pieces.ranges.append((place, piece.length, piece.data))
        if not more:
            pieces.end = place + piece.length
        data = _joined(pieces)
        if data is None or pieces.end is None:
            raise NoSegment("a part of a fragmented datagram")
        del self._pieces[key]
        return Datagram(piece.source, piece.target, piece.protocol, data, pieces.end)


def _joined(pieces: _Pieces) -> bytes | None:
    """The datagram's captured prefix; None while ranges are missing. In overlaps the first fragment
    counts.
    """
    if pieces.end is None:
        return None
    at, data, cut = 0, bytearray(), False
    for place, length, content in sorted(pieces.ranges, key=lambda piece: piece[0]):
        if place > at:
            return None
        if place + length > at:
            if not cut:
                data += content[at - place :]
            cut = cut or len(content) < length
            at = place + length
    return bytes(data[: pieces.end]) if at >= pieces.end else None


def _network(link: int, frame: bytes) -> tuple[int, int] | None:
    """The EtherType and the network layer's offset; None if a general dissector is needed."""
    if link == ETHERNET:
        return _tagged(frame, struct.unpack_from("!H", frame, 12)[0], 14)
    if link == LINUX_COOKED:
        return _tagged(frame, struct.unpack_from("!H", frame, 14)[0], 16)
    if link == LINUX_COOKED_2:
        return _tagged(frame, struct.unpack_from("!H", frame)[0], 20)
    at = 0 if link in _RAWS else 4 if link in (NULL, LOOP) else None
    if at is None:
        return None
    return _VERSIONS.get(frame[at] >> 4, 0), at


def _dissected(link: int, frame: bytes, length: int) -> tuple[bytes, int]:
    """The datagram in a frame of an unsupported link layer, and its original length."""
    try:
        found = dissected.datagram(link, frame)
    except LookupError:
        raise UnknownLink(f"link type {link} is not known") from None
    except ValueError as error:
        raise NoSegment(str(error), broken=True) from None
    if found is None:
        raise NoSegment("not IP")
    return found, len(found) + length - len(frame)


def _tagged(frame: bytes, kind: int, at: int) -> tuple[int, int] | None:
    """The EtherType and offset after VLAN tags and PPPoE."""
    for _ in range(MAX_TAGS):
        if kind in _TAGS:
            kind, at = struct.unpack_from("!H", frame, at + 2)[0], at + 4
        elif kind == _PPPOE:
            return _PPP.get(struct.unpack_from("!H", frame, at + 6)[0], 0), at + 8
        elif kind in _DISSECTED:
            return None
        else:
            return kind, at
    return 0, at


def _segment(time_ns: int, datagram: Datagram) -> Segment:
    """RFC 9293 section 3.1."""
    if datagram.protocol != _TCP:
        raise NoSegment("not TCP")
    raw = datagram.data
    sport, dport, sequence, ack, offset, flags = struct.unpack_from("!HHIIBB", raw)
    head = (offset >> 4) * 4
    if not 20 <= head <= datagram.length:
        raise NoSegment("not a valid TCP header", broken=True)
    return Segment(
        time_ns=time_ns,
        source=_address(datagram.source, sport),
        target=_address(datagram.target, dport),
        sequence=sequence,
        ack=ack if flags & 0x10 else None,
        syn=bool(flags & 0x02),
        fin=bool(flags & 0x01),
        reset=bool(flags & 0x04),
        data=raw[head:],
        length=datagram.length - head,
    )


@lru_cache(maxsize=8192)
def _address(ip: str, port: int) -> Address:
    return Address(ip, port)


@lru_cache(maxsize=8192)
def _ip(raw: bytes) -> str:
    if len(raw) not in (4, 16):
        raise IndexError
    known = ip_address(raw)
    mapped = known.ipv4_mapped if isinstance(known, IPv6Address) else None
    return str(mapped or known)
