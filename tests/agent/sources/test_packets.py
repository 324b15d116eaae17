"""Frames of every kind are read as TCP segments; scapy, which implements the formats independently, builds
them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.events import Address
from agent.sources.packets import (
    ETHERNET,
    LINUX_COOKED,
    LOOP,
    MAX_DATAGRAMS,
    NULL,
    RAW,
    NoSegment,
    Packets,
)
from agent.sources.tcp import Segment

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.contrib.mpls import MPLS  # noqa: E402
from scapy.layers.dot11 import Dot11, RadioTap  # noqa: E402
from scapy.layers.inet import IP, TCP, UDP, fragment  # noqa: E402
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, fragment6  # noqa: E402
from scapy.layers.l2 import ARP, LLC, SNAP, CookedLinux, Dot1AD, Dot1Q, Ether, Loopback  # noqa: E402
from scapy.layers.ppp import HDLC, PPP  # noqa: E402
from scapy.packet import Packet, Raw  # noqa: E402

ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")  # otherwise scapy sends network requests

TCP4 = (
    IP(src="10.0.0.2", dst="10.0.0.1")
    / TCP(sport=51000, dport=8080, seq=7, ack=9, flags="PA")
    / Raw(b"hello")
)
TCP6 = (
    IPv6(src="fd00::2", dst="fd00::1")
    / TCP(sport=51000, dport=8080, seq=7, ack=9, flags="PA")
    / Raw(b"hello")
)


def read(link: int, frame: Packet | bytes, length: int | None = None) -> Segment:
    raw = bytes(frame)
    return Packets().segment(5, link, raw, len(raw) if length is None else length)


def expected(source: str, target: str) -> Segment:
    return Segment(5, Address(source, 51000), Address(target, 8080), 7, 9, False, False, False, b"hello", 5)


@pytest.mark.parametrize(
    ("link", "frame"),
    [
        (ETHERNET, ETHER / TCP4),
        (ETHERNET, ETHER / Dot1Q(vlan=5) / TCP4),
        (ETHERNET, ETHER / Dot1AD(vlan=5) / Dot1Q(vlan=6) / TCP4),
        (LINUX_COOKED, CookedLinux(proto=0x0800) / TCP4),
        (RAW, TCP4),
        (NULL, b"\2\0\0\0" + bytes(TCP4)),
        (LOOP, Loopback(type=2) / TCP4),
        (276, b"\x08\x00" + bytes(18) + bytes(TCP4)),
        (ETHERNET, ETHER / IP(src="10.0.0.2", dst="10.0.0.1", options=b"\x01\x01\x01\x00") / TCP4.payload),
    ],
    ids=["ethernet", "vlan", "two tags", "cooked", "raw", "null", "loop", "cooked 2", "ip options"],
)
def test_ipv4_in_each_link_layer(link: int, frame: Packet | bytes) -> None:
    assert read(link, frame) == expected("10.0.0.2", "10.0.0.1")


@pytest.mark.parametrize(
    ("link", "frame"),
    [
        (9, HDLC() / PPP(proto=0x21) / TCP4),
        (50, HDLC() / PPP(proto=0x21) / TCP4),
        (105, Dot11(type=2) / LLC(ctrl=3) / SNAP(code=0x0800) / TCP4),
        (127, RadioTap() / Dot11(type=2) / LLC(ctrl=3) / SNAP(code=0x0800) / TCP4),
        (ETHERNET, ETHER / MPLS(label=5, s=0) / MPLS(label=6, s=1) / TCP4),
        (ETHERNET, ETHER / Dot1Q(vlan=5) / MPLS(label=6, s=1) / TCP4),
    ],
    ids=["ppp", "hdlc", "802.11", "radiotap", "mpls", "mpls in a vlan"],
)
def test_link_layers_that_only_a_general_dissector_knows(link: int, frame: Packet) -> None:
    assert read(link, frame) == expected("10.0.0.2", "10.0.0.1")


@given(link=st.sampled_from([9, 50, 105, 119, 127, 192, 204, 274]), raw=st.binary(max_size=200))
def test_whatever_a_general_dissector_is_given_is_a_segment_or_no_segment(link: int, raw: bytes) -> None:
    with suppress(NoSegment):
        read(link, raw)


@given(cut=st.integers(0, 90))
def test_a_dissected_frame_cut_anywhere_is_a_segment_or_no_segment(cut: int) -> None:
    raw = bytes(RadioTap() / Dot11(type=2) / LLC(ctrl=3) / SNAP(code=0x0800) / TCP4)
    with suppress(NoSegment):
        assert read(127, raw[:cut], len(raw)).length == 5


@pytest.mark.parametrize(
    "frame",
    [
        ETHER / TCP6,
        ETHER / Dot1Q(vlan=5) / TCP6,
        ETHER / IPv6(src="fd00::2", dst="fd00::1") / IPv6ExtHdrDestOpt() / TCP6.payload,
        ETHER / IPv6(src="fd00::2", dst="fd00::1") / IPv6ExtHdrFragment() / TCP6.payload,
    ],
    ids=["plain", "vlan", "extension", "fragment of one"],
)
def test_ipv6_with_its_extensions(frame: Packet) -> None:
    assert read(ETHERNET, frame) == expected("fd00::2", "fd00::1")


def test_mapped_addresses_are_ipv4() -> None:
    frame = ETHER / IPv6(src="::ffff:10.0.0.2", dst="::ffff:10.0.0.1") / TCP6.payload
    assert read(ETHERNET, frame) == expected("10.0.0.2", "10.0.0.1")


@pytest.mark.parametrize(
    ("flags", "said"),
    [("S", (True, False, False)), ("FA", (False, True, False)), ("RA", (False, False, True))],
)
def test_flags(flags: str, said: tuple[bool, bool, bool]) -> None:
    found = read(ETHERNET, ETHER / IP() / TCP(flags=flags))
    assert (found.syn, found.fin, found.reset) == said
    assert (found.ack is None) == ("A" not in flags)


def test_padding_of_short_frames_is_no_payload() -> None:
    short = IP(src="10.0.0.2", dst="10.0.0.1") / TCP(sport=51000, dport=8080, seq=7, ack=9, flags="A")
    assert read(ETHERNET, bytes(ETHER / short) + bytes(6)).length == 0


def test_a_frame_cut_at_the_snap_length_says_how_long_it_was() -> None:
    raw = bytes(ETHER / TCP4)
    found = read(ETHERNET, raw[:-3], len(raw))
    assert (found.data, found.length) == (b"he", 5)


def test_a_total_length_of_zero_is_the_frames() -> None:
    offloaded = bytearray(bytes(ETHER / TCP4))
    offloaded[16:18] = b"\0\0"
    assert read(ETHERNET, bytes(offloaded)).data == b"hello"


LONG = bytes(range(256)) * 16


def pieces4() -> list[bytes]:
    whole = IP(src="10.0.0.2", dst="10.0.0.1", id=77) / TCP(sport=51000, dport=8080, seq=7, ack=9) / Raw(LONG)
    return [bytes(ETHER / piece) for piece in fragment(whole, 1000)]  # type: ignore[no-untyped-call]


def pieces6() -> list[bytes]:
    whole = (
        IPv6(src="fd00::2", dst="fd00::1")
        / IPv6ExtHdrFragment(id=77)
        / TCP(sport=51000, dport=8080, seq=7, ack=9)
        / Raw(LONG)
    )
    return [bytes(ETHER / piece) for piece in fragment6(whole, 1200)]  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("pieces", [pieces4, pieces6])
@pytest.mark.parametrize("order", [1, -1])
def test_fragments_in_any_order_are_one_segment(pieces: Callable[[], list[bytes]], order: int) -> None:
    packets = Packets()
    *early, last = pieces()[::order]
    assert len(early) > 2
    for one in [*early, early[0]]:
        with pytest.raises(NoSegment, match="a part of a fragmented datagram"):
            packets.segment(5, ETHERNET, one, len(one))
    assert packets.segment(5, ETHERNET, last, len(last)).data == LONG


def test_of_overlapping_fragments_the_first_come_counts() -> None:
    head = bytes(TCP(sport=1, dport=2, seq=7, flags="A"))
    parts = [(0, head + b"aaaa", 1), (24, b"bbbbbbbb", 1), (24, b"XXXXXXXXYYYYYYYY", 1), (40, b"c", 0)]
    packets = Packets()
    for place, data, more in parts:
        frame = bytes(
            ETHER / IP(src="1.1.1.1", dst="2.2.2.2", id=1, proto=6, flags=more, frag=place // 8) / Raw(data)
        )
        try:
            found = packets.segment(5, ETHERNET, frame, len(frame))
        except NoSegment:
            continue
    assert found.data == b"aaaabbbbbbbbYYYYYYYYc"


def test_fragments_that_stay_alone_are_given_up() -> None:
    packets = Packets()
    for number in range(MAX_DATAGRAMS + 50):
        frame = bytes(ETHER / IP(id=number, flags="MF") / Raw(bytes(16)))
        with pytest.raises(NoSegment):
            packets.segment(5, ETHERNET, frame, len(frame))
    assert len(packets._pieces) == MAX_DATAGRAMS


@pytest.mark.parametrize(
    ("link", "frame", "reason", "broken"),
    [
        (ETHERNET, ETHER / ARP(), "not IP", False),
        (ETHERNET, ETHER / IP() / UDP() / Raw(b"x"), "not TCP", False),
        (147, b"x" * 60, "link type 147 is not known", False),
        (ETHERNET, b"", "cut within its headers", True),
        (ETHERNET, bytes(ETHER / TCP4)[:40], "cut within its headers", True),
        (RAW, b"\x41" + bytes(30), "not a valid IPv4 header", True),
        (RAW, b"\x60" + bytes(3) + b"\xff\xff" + bytes(40), "not a valid IPv6 header", True),
    ],
)
def test_what_holds_no_segment_says_why(link: int, frame: Packet | bytes, reason: str, broken: bool) -> None:
    raw = bytes(frame)
    with pytest.raises(NoSegment, match=reason) as error:
        read(link, raw, max(60, len(raw)))
    assert error.value.broken is broken


@settings(deadline=None)
@given(
    st.sampled_from([ETHERNET, LINUX_COOKED, 276, RAW, NULL]), st.binary(max_size=200), st.integers(0, 70_000)
)
def test_any_bytes_are_a_segment_or_none_and_never_another_exception(
    link: int, raw: bytes, more: int
) -> None:
    for frame in (
        raw,
        bytes(12) + b"\x08\x00" + raw,
        bytes(12) + b"\x86\xdd" + raw,
        b"\x45" + raw,
        b"\x60" + raw,
    ):
        packets = Packets()
        try:
            found = packets.segment(0, link, frame, len(frame) + more)
        except NoSegment:
            continue
        assert 0 <= len(found.data) <= found.length


@settings(deadline=None)
@given(st.integers(0, len(bytes(ETHER / TCP6)) - 1), st.integers(0, 255))
def test_any_byte_changed_is_a_segment_or_none(place: int, value: int) -> None:
    for whole in (ETHER / TCP4, ETHER / TCP6):
        raw = bytearray(bytes(whole))
        raw[min(place, len(raw) - 1)] = value
        try:
            found = Packets().segment(0, ETHERNET, bytes(raw), len(raw))
        except NoSegment:
            continue
        assert len(found.data) <= found.length
