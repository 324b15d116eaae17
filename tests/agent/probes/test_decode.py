"""Raw events are decoded to facts."""

from typing import Any

import pytest

from agent.events import Address, Chunk, Closed, ConnectionKey, Direction, Opened, Role
from agent.probes import abi, decode

PEER = bytes([10, 0, 0, 2]) + bytes(12)
LOCAL = bytes([10, 0, 0, 1]) + bytes(12)


def raw(**changes: Any) -> abi.RawEvent:
    event = abi.RawEvent(
        time_ns=5, address=0xABC, generation=7, position=3, length=9, captured=4, tgid=42, netns=11,
        local_port=8080, peer_port=51000, kind=2, source=0, direction=1, role=2, from_start=1, family=2,
        capped=0,
        local=LOCAL, peer=PEER, comm=b"nginx".ljust(16, b"\0"),
    )  # fmt: skip
    return event._replace(**changes)


def test_a_chunk_keeps_every_fact_of_the_event() -> None:
    assert decode.fact(raw(), b"GET ") == Chunk(
        5,
        ConnectionKey("socket", 0xABC, 7),
        Direction.RECEIVED,
        3,
        9,
        b"GET ",
        42,
        Address("10.0.0.1", 8080, 11),
        Address("10.0.0.2", 51000, 11),
        Role.SERVER,
        True,
    )


def test_a_tls_connection_belongs_to_its_process_and_a_socket_to_none() -> None:
    assert decode.key(1, 0xABC, 7, 42) == ConnectionKey("openssl", 0xABC, 7, 42)
    assert decode.key(0, 0xABC, 7, 42) == ConnectionKey("socket", 0xABC, 7)


def test_what_the_kernel_did_not_know_is_none() -> None:
    chunk = decode.fact(raw(family=0, role=0, from_start=0), b"")
    assert isinstance(chunk, Chunk)
    assert (chunk.local, chunk.peer, chunk.role, chunk.from_start) == (None, None, None, False)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 1]), "192.0.2.1"),
        (bytes(15) + b"\1", "::1"),
        (bytes.fromhex("20010db8000000000000000000000001"), "2001:db8::1"),
    ],
    ids=["mapped-becomes-ipv4", "loopback", "global"],
)
def test_ipv6_addresses_are_written_in_their_canonical_form(address: bytes, text: str) -> None:
    assert decode.address(10, address, 80, 1) == Address(text, 80, 1)


def test_beginnings_and_ends_are_told_and_processes_are_not_connections() -> None:
    assert isinstance(decode.fact(raw(kind=1, role=1), b""), Opened)
    assert decode.fact(raw(kind=3), b"") == Closed(5, ConnectionKey("socket", 0xABC, 7))
    assert decode.fact(raw(kind=4), b"/bin/sh") is None
    assert decode.fact(raw(kind=5), b"") is None


@pytest.mark.parametrize("unknown", [{"kind": 0}, {"kind": 9}, {"source": 9}, {"direction": 9}, {"role": 9}])
def test_a_number_that_the_header_does_not_know_is_an_error(unknown: dict[str, int]) -> None:
    with pytest.raises((ValueError, KeyError)):
        decode.fact(raw(**unknown), b"")


def test_parsing_takes_only_the_bytes_that_were_captured() -> None:
    packed = abi.LAYOUT.pack(*raw(captured=4)) + b"GET padding"
    assert abi.parse(packed) == (raw(captured=4), b"GET ")
