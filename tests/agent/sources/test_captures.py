"""Frames of pcap and pcapng files; and records from real captures."""

from __future__ import annotations

import io
import logging
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import cli, config, reading
from agent.ledger import Bytes, Ledger
from agent.redact.policy import Policy
from agent.sources.captures import MAX_FRAME, Frame, frames
from agent.sources.reported import UnreadableEntry
from agent.wire import Record

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.layers.inet import IP, TCP  # noqa: E402
from scapy.layers.l2 import Ether  # noqa: E402
from scapy.packet import Packet  # noqa: E402
from scapy.utils import EDecimal, PcapNgWriter, PcapWriter  # noqa: E402

CAPTURES = Path(__file__).parents[2] / "data/captures"
WHOLE, CUT = CAPTURES / "loopback.pcap", CAPTURES / "loopback-cut.pcap"


def found(raw: bytes) -> list[Frame | UnreadableEntry]:
    return list(frames(io.BytesIO(raw).read))


def whole_frames(raw: bytes) -> Iterator[Frame]:
    for one in found(raw):
        assert isinstance(one, Frame)
        yield one


def records(path: Path, tmp_path: Path, ledger: Ledger | None = None) -> list[Record]:
    parsed = cli.parser().parse_args(["read", str(path), "--key-file", str(tmp_path / "key")])
    return list(reading.records([path], config.settings(parsed), Policy(), ledger or Ledger()))


def calls(found: list[Record]) -> list[tuple[str, bytes, int, str]]:
    return sorted(
        (one.request.method, one.request.path, one.response.status, one.completeness)
        for one in found
        if one.request and one.response
    )


def test_a_real_capture_gives_every_call(tmp_path: Path) -> None:
    made = records(WHOLE, tmp_path)
    paths = [b"/pets/0", b"/pets/1", b"/pets/100", b"/pets/101"]
    gets = [("GET", path, 200, "complete") for path in paths]
    assert calls(made) == [*gets, *[("POST", b"/pets", 201, "complete")] * 4]
    assert {(one.side, one.tls, one.process) for one in made} == {("unknown", None, None)}
    assert all(one.server and one.server.ip == "127.0.0.1" for one in made)
    assert len({one.client.port for one in made if one.client}) == 2
    assert len({one.id for one in made}) == 8


def conversation(path: bytes, status: bytes, *, sequence: int = 1000, at: int = 0) -> bytes:
    """A capture of one call with packets at fixed times."""
    out = io.BytesIO()
    writer = PcapWriter(out)
    ask = b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = b"HTTP/1.1 " + status + b" X\r\nContent-Length: 0\r\n\r\n"
    there, back = sequence + 1, 5001
    packets = [
        _tcp(51000, 80, "S", sequence, 0),
        _tcp(80, 51000, "SA", 5000, there),
        _tcp(51000, 80, "PA", there, back, ask),
        _tcp(80, 51000, "PA", back, there + len(ask), answer),
    ]
    for number, packet in enumerate(packets):
        packet.time = at + number / 1000
        writer.write(packet)
    return out.getvalue()


def _tcp(source: int, target: int, flags: str, sequence: int, ack: int, data: bytes = b"") -> Packet:
    ends = IP(src="10.0.0.2", dst="10.0.0.1") if source > target else IP(src="10.0.0.1", dst="10.0.0.2")
    segment = TCP(sport=source, dport=target, flags=flags, seq=sequence, ack=ack)
    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / ends / segment / data


def test_each_capture_has_calls_of_its_own_and_the_same_one_the_same(tmp_path: Path) -> None:
    made = {
        "the first": conversation(b"/a", b"200"),
        "the same": conversation(b"/a", b"200"),
        "another sequence number": conversation(b"/a", b"200", sequence=2000),
        "another time": conversation(b"/a", b"200", at=1),
        "another path": conversation(b"/b", b"200"),
        "another status": conversation(b"/a", b"201"),
    }
    ids = {}
    for name, raw in made.items():
        (tmp_path / "a.pcap").write_bytes(raw)
        (one,) = records(tmp_path / "a.pcap", tmp_path)
        ids[name] = one.id
    assert ids["the first"] == ids["the same"]
    assert len(set(ids.values())) == len(made) - 1


def test_a_capture_cut_at_a_snap_length_states_what_is_missing(tmp_path: Path) -> None:
    ledger = Ledger()
    made = records(CUT, tmp_path, ledger)
    assert calls(made)[-1] == ("POST", b"/pets", 201, "truncated")
    (cut,) = [one for one in made if one.completeness == "truncated"]
    assert cut.request is not None
    assert (cut.request.body.size, cut.request.body.state) == (3019, "truncated")
    assert ledger.bytes[Bytes.UNCAPTURED] == 3019 - len(b'{"n": 1, "pad": "' + b"y" * 317)


def test_a_capture_joined_late_gives_what_came_after(tmp_path: Path) -> None:
    raw = WHOLE.read_bytes()
    whole = list(whole_frames(raw))
    late = tmp_path / "late.pcap"
    late.write_bytes(raw[:24] + raw[24 + sum(16 + len(one.data) for one in whole[:10]) :])
    made = records(late, tmp_path)
    assert set(calls(made)) < set(calls(records(WHOLE, tmp_path)))
    assert len(made) >= 4


def of_links(*links: int) -> bytes:
    """A capture with one packet of each link type."""
    raw = section("<")
    for link in links:
        raw += block("<", 1, struct.pack("<HHI", link, 0, 0))
    packets = [block("<", 6, struct.pack("<IIIII", n, 0, 5, 4, 4) + b"abcd") for n in range(len(links))]
    return raw + b"".join(packets)


def test_a_capture_of_unknown_link_types_alone_ends_with_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    capture = tmp_path / "a.pcapng"
    capture.write_bytes(of_links(147, 147))
    assert cli.main(["read", str(capture), "--key-file", str(tmp_path / "key")]) == 1
    assert "none of its 2 packets could be read: link type 147 is not known" in caplog.messages[-1]


def test_unknown_link_types_beside_known_ones_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    capture = tmp_path / "a.pcapng"
    capture.write_bytes(of_links(147, 1))
    assert records(capture, tmp_path) == []
    assert "1 left out: packets, link type 147 is not known" in caplog.text


def test_pcapng_gives_the_same_records(tmp_path: Path) -> None:
    other = tmp_path / "other.pcapng"
    with PcapNgWriter(str(other)) as out:
        for one in whole_frames(WHOLE.read_bytes()):
            packet = Ether(one.data)
            packet.time = EDecimal(one.time_ns) / 10**9
            out.write(packet)
    assert records(other, tmp_path) == records(WHOLE, tmp_path)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_pcap_in_both_byte_orders_and_resolutions(order: str, magic: int, unit: int) -> None:
    raw = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, 101)
    raw += struct.pack(order + "IIII", 3, 7, 2, 9) + b"ab"
    assert found(raw) == [Frame(3_000_000_000 + 7 * unit, 101, b"ab", 9)]


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = len(body) + 12
    return struct.pack(order + "II", kind, size) + body + struct.pack(order + "I", size)


def section(order: str) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_with_its_clocks_sections_and_kinds_of_packets(order: str) -> None:
    nanoseconds = struct.pack(order + "HHB3x", 9, 1, 9) + struct.pack(order + "HHq", 14, 8, 100)
    raw = section(order)
    raw += block(order, 1, struct.pack(order + "HHI", 1, 0, 0) + nanoseconds + bytes(4))
    raw += block(order, 1, struct.pack(order + "HHI", 101, 0, 4))
    raw += block(order, 5, b"statistics")
    raw += block(order, 6, struct.pack(order + "IIIII", 0, 0, 5, 3, 8) + b"abc")
    raw += block(order, 6, struct.pack(order + "IIIII", 1, 0, 5, 2, 2) + b"de")
    raw += block(order, 2, struct.pack(order + "HHIIII", 1, 0, 0, 6, 2, 2) + b"fg")
    raw += (
        section("<")
        + block("<", 1, struct.pack("<HHI", 1, 0, 2))
        + block("<", 3, struct.pack("<I", 5) + b"hi")
    )
    assert found(raw) == [
        Frame(100_000_000_005, 1, b"abc", 8),
        Frame(5_000, 101, b"de", 2),
        Frame(6_000, 101, b"fg", 2),
        Frame(0, 1, b"hi", 5),
    ]


@pytest.mark.parametrize("cut", [30, 39, 45])
def test_a_file_that_ends_within_a_packet_is_read_to_the_one_before(cut: int) -> None:
    raw = WHOLE.read_bytes()
    first = next(whole_frames(raw))
    at = 24 + 16 + len(first.data)
    assert found(raw[: at + cut])[0] == first
    assert found(raw[: at + cut])[-1] == UnreadableEntry("behind packet 1", "the file ends within a packet")


def test_a_packet_of_impossible_size_is_the_end() -> None:
    raw = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    raw += struct.pack("<IIII", 0, 0, MAX_FRAME + 1, MAX_FRAME + 1)
    assert found(raw) == [UnreadableEntry("behind packet 0", "not a packet")]


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["pcap", "pcapng", "interface"]))
def test_any_bytes_are_frames_or_broken_and_never_an_exception(raw: bytes, start: str) -> None:
    starts = {
        "pcap": struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1),
        "pcapng": section("<"),
        "interface": section("<") + block("<", 1, struct.pack("<HHI", 1, 0, 0)),
    }
    for one in [*found(starts[start] + raw), *found(raw)]:
        assert isinstance(one, (Frame, UnreadableEntry))


@settings(deadline=None)
@given(st.integers(0, len(WHOLE.read_bytes()) - 1), st.binary(min_size=1, max_size=8))
def test_a_damaged_capture_is_read_without_an_exception(place: int, damage: bytes) -> None:
    raw = bytearray(WHOLE.read_bytes())
    raw[place : place + len(damage)] = damage
    for one in found(bytes(raw)):
        assert isinstance(one, (Frame, UnreadableEntry))
