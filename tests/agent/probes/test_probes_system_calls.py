"""Every system call that carries bytes over TCP is captured with exact bytes and positions, at both ends."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable

import pytest

from agent.events import Chunk, Closed, ConnectionKey, Direction, Lost, Opened, Role
from agent.http.connections import connections
from agent.ledger import Bytes, Ledger
from agent.streams.conversation import Dismissed
from agent.streams.table import Limits
from tests.agent.probes import io_uring
from tests.agent.probes.verifier import check_margin
from tests.agent.probes.watch import BACKEND, Watch, connected

pytestmark = pytest.mark.root

SO_ZEROCOPY, MSG_ZEROCOPY = 60, 0x4000000  # include/uapi/asm-generic/socket.h, include/linux/socket.h
TEXT = b"GET /system-call HTTP/1.1\r\nHost: test\r\n\r\n"
OTHERS = 8192  # connections; more than the kernel's maps hold here
LIBC = ctypes.CDLL(None, use_errno=True)


class Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Msghdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint),
        ("iov", ctypes.POINTER(Iovec)),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class Mmsghdr(ctypes.Structure):
    _fields_ = (("header", Msghdr), ("length", ctypes.c_uint))


def messages(parts: list[ctypes.Array[ctypes.c_char]]) -> tuple[ctypes.Array[Mmsghdr], list[Iovec]]:
    """One message per part, for sendmmsg(2) and recvmmsg(2)."""
    vectors = [Iovec(ctypes.addressof(part), ctypes.sizeof(part)) for part in parts]
    array = (Mmsghdr * len(parts))()
    for message, vector in zip(array, vectors, strict=True):
        message.header.iov = ctypes.pointer(vector)
        message.header.iovlen = 1
    return array, vectors


def sendmmsg(sock: socket.socket, data: bytes) -> None:
    parts = [
        (ctypes.c_char * len(piece)).from_buffer_copy(piece) for piece in (data[:5], data[5:20], data[20:])
    ]
    array, _kept = messages(parts)
    assert LIBC.sendmmsg(sock.fileno(), array, len(parts), 0) == len(parts)


def recvmmsg(sock: socket.socket, size: int) -> bytes:
    part = ctypes.create_string_buffer(size)
    array, _kept = messages([part])
    assert LIBC.recvmmsg(sock.fileno(), array, 1, 0, None) == 1
    return part.raw[: array[0].length]


def sendfile(sock: socket.socket, data: bytes) -> None:
    descriptor = os.memfd_create("body")
    os.write(descriptor, data)
    assert os.sendfile(sock.fileno(), descriptor, 0, len(data)) == len(data)
    os.close(descriptor)


def zero_copy(sock: socket.socket, data: bytes) -> None:
    sock.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
    assert sock.send(data, MSG_ZEROCOPY) == len(data)


def splice(sock: socket.socket, data: bytes) -> None:
    reading, writing = os.pipe()
    os.write(writing, data)
    assert os.splice(reading, sock.fileno(), len(data)) == len(data)
    os.close(reading)
    os.close(writing)


def splice_in(sock: socket.socket, size: int) -> bytes:
    reading, writing = os.pipe()
    moved = os.splice(sock.fileno(), writing, size)
    data = os.read(reading, moved)
    os.close(reading)
    os.close(writing)
    return data


def readv(sock: socket.socket, size: int) -> bytes:
    first, second = bytearray(7), bytearray(size)
    got = os.readv(sock.fileno(), [first, second])
    return bytes(first + second)[:got]


def peek_then_read(sock: socket.socket, size: int) -> bytes:
    assert sock.recv(size, socket.MSG_PEEK)
    return sock.recv(size)


Send = Callable[[socket.socket, bytes], object]
Receive = Callable[[socket.socket, int], bytes]
SENDS: dict[str, Send] = {
    "write": lambda sock, data: os.write(sock.fileno(), data),
    "writev": lambda sock, data: os.writev(sock.fileno(), [data[:3], b"", data[3:9], data[9:]]),
    "sendto": lambda sock, data: sock.sendall(data),
    "sendmsg": lambda sock, data: sock.sendmsg([data[:4], data[4:]]),
    "sendmmsg": sendmmsg,
    "zero copy": zero_copy,
}
BLIND_SENDS: dict[str, Send] = {"sendfile": sendfile, "splice": splice}
"""What system calls show by its length only."""
UNSEEN_SENDS: dict[str, Send] = {
    "io_uring": lambda sock, data: io_uring.send(sock.fileno(), data),
    "io_uring, zero copy": lambda sock, data: io_uring.send(sock.fileno(), data, zero_copy=True),
}
"""What system calls do not show."""
RECEIVES: dict[str, Receive] = {
    "read": lambda sock, size: os.read(sock.fileno(), size),
    "readv": readv,
    "recvfrom": lambda sock, size: sock.recv(size),
    "recvmsg": lambda sock, size: sock.recvmsg(size)[0],
    "recvmmsg": recvmmsg,
    "peek": peek_then_read,
}
BLIND_RECEIVES: dict[str, Receive] = {"splice": splice_in}
UNSEEN_RECEIVES: dict[str, Receive] = {"io_uring": lambda sock, size: io_uring.receive(sock.fileno(), size)}
if BACKEND.is_below_calls:
    SENDS |= BLIND_SENDS | UNSEEN_SENDS
    BLIND_SENDS = {}
    RECEIVES |= UNSEEN_RECEIVES


def receive_all(receive: Receive, sock: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        got += receive(sock, size)
    return got


def check_half(chunks: list[Chunk], expected: bytes, seen: bool) -> None:
    position = 0
    for chunk in chunks:
        assert chunk.position == position
        assert chunk.data == (expected[position : position + chunk.length] if seen else b"")
        assert chunk.from_start
        position += chunk.length
    assert position == len(expected)


@pytest.mark.parametrize("receive", [*RECEIVES, *(f"blind {name}" for name in BLIND_RECEIVES)])
@pytest.mark.parametrize("send", [*SENDS, *(f"blind {name}" for name in BLIND_SENDS)])
def test_bytes_are_seen_exactly_or_by_their_length(
    watch: Watch, listener: socket.socket, send: str, receive: str
) -> None:
    sending = {**SENDS, **BLIND_SENDS}[send.removeprefix("blind ")]
    receiving = {**RECEIVES, **BLIND_RECEIVES}[receive.removeprefix("blind ")]
    client, server = connected(listener)
    with client, server:
        port = client.getsockname()[1]
        sending(client, TEXT)
        assert receive_all(receiving, server, len(TEXT)) == TEXT

        def both() -> bool:
            sent = watch.length(port, Direction.SENT)
            peers = watch.half(listener.getsockname()[1], Direction.RECEIVED)
            mine = [chunk for chunk in peers if chunk.peer is not None and chunk.peer.port == port]
            return sent >= len(TEXT) and sum(chunk.length for chunk in mine) >= len(TEXT)

        watch.until(both, "both ends of the bytes")
        check_half(watch.half(port, Direction.SENT), TEXT, seen=not send.startswith("blind"))
        received = [
            chunk
            for chunk in watch.half(listener.getsockname()[1], Direction.RECEIVED)
            if chunk.peer is not None and chunk.peer.port == port
        ]
        check_half(received, TEXT, seen=not receive.startswith("blind"))
        assert {chunk.role for chunk in watch.half(port, Direction.SENT)} == {Role.CLIENT}
        assert {chunk.role for chunk in received} == {Role.SERVER}


def test_a_large_write_is_several_chunks_and_what_is_beyond_the_cap_is_a_length(
    watch: Watch, listener: socket.socket
) -> None:
    body = TEXT + os.urandom(1_000_000)
    client, server = connected(listener)
    with client, server:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        port = client.getsockname()[1]
        client.settimeout(0)
        sent = client.send(body)
        watch.until(lambda: watch.length(port, Direction.SENT) >= sent, "all that was sent")
        position = 0
        for chunk in watch.half(port, Direction.SENT):
            assert chunk.position == position
            assert body[position:].startswith(chunk.data)
            position += chunk.length
        assert position == sent
        assert len(watch.half(port, Direction.SENT)[0].data) == 16384


def test_a_half_closed_connection_is_read_to_its_end_as_one(watch: Watch, listener: socket.socket) -> None:
    client, server = connected(listener)
    port = client.getsockname()[1]
    with client:
        client.sendall(TEXT)
        client.shutdown(socket.SHUT_WR)
        with server:
            while server.recv(1000):
                pass
            server.sendall(b"HTTP/1.1 200 OK\r\n\r\nthe end")
        # The server's end is closed and ours is in its last states; received data can still be read.
        while client.recv(5):
            pass

    def ended() -> bool:
        keys = {chunk.connection for chunk in watch.half(port, Direction.SENT)}
        return any(isinstance(event, Closed) and event.connection in keys for event in watch.told)

    watch.until(ended, "the end of the connection")
    chunks = watch.half(port, Direction.SENT) + watch.half(port, Direction.RECEIVED)
    assert len({chunk.connection for chunk in chunks}) == 1
    check_half(watch.half(port, Direction.RECEIVED), b"HTTP/1.1 200 OK\r\n\r\nthe end", seen=True)


def test_a_connection_is_told_as_opened_once_by_each_end(watch: Watch, listener: socket.socket) -> None:
    client, server = connected(listener)
    with client, server:
        port = client.getsockname()[1]

        def opened() -> list[Opened]:
            ends = [event for event in watch.told if isinstance(event, Opened)]
            return [e for e in ends if port in (e.local and e.local.port, e.peer and e.peer.port)]

        watch.until(lambda: len(opened()) >= 2, "both ends opened")
        assert {event.role for event in opened()} == {Role.CLIENT, Role.SERVER}
        assert len(opened()) == 2


def test_what_does_not_start_like_http_is_counted_and_not_handed_over(
    watch: Watch, listener: socket.socket
) -> None:
    client, server = connected(listener)
    with client, server:
        port = client.getsockname()[1]
        client.sendall(b"\x00binary" * 1000)
        receive_all(lambda sock, size: sock.recv(size), server, 7000)

        def counted() -> int:
            lost = (event for event in watch.told if isinstance(event, Lost))
            return sum(event.count for event in lost if event.what == Bytes.NOT_HTTP)

        watch.until(lambda: counted() >= 14_000, "the bytes of both ends in their bucket")
        assert watch.half(port, Direction.SENT) == []


def test_once_the_first_bytes_told_that_it_is_not_http_the_rest_stays_in_the_kernel(
    watch: Watch, listener: socket.socket
) -> None:
    """A quoted word is no method, which user space finds out. It tells the kernel once, whatever follows."""
    table = connections(Limits(), 1000, Ledger())
    greeting, rest = b'"word" / HTTP/1.1\r\n', b"A" * 9000
    client, server = connected(listener)
    with client, server:
        port = client.getsockname()[1]
        client.sendall(greeting)
        receive_all(lambda sock, size: sock.recv(size), server, len(greeting))

        def told() -> list[Chunk]:
            chunks = (event for event in watch.told if isinstance(event, Chunk))
            ends = (port, listener.getsockname()[1])
            return [c for c in chunks if c.local and c.peer and {c.local.port, c.peer.port} == set(ends)]

        watch.until(lambda: len(told()) >= 2, "the greeting at both ends")
        for chunk in told():
            (dismissed,) = table.feed(chunk)
            assert isinstance(dismissed, Dismissed)
            watch.source.ignore(dismissed.connection, dismissed.bucket)
        before = watch.lost(Bytes.NOT_HTTP)

        def send_rest(times: int) -> None:
            client.sendall(rest)
            receive_all(lambda sock, size: sock.recv(size), server, len(rest))
            counted = before + times * 2 * len(rest)
            watch.until(lambda: watch.lost(Bytes.NOT_HTTP) >= counted, "the rest, counted")

        send_rest(1)
        for address in range(OTHERS):
            watch.source.ignore(ConnectionKey("socket", address, 1), Bytes.NOT_HTTP)
        send_rest(2)
        assert [chunk.data for chunk in told()] == [greeting] * 2


def test_urgent_data_that_is_read_apart_is_no_part_of_what_is_received(
    watch: Watch, listener: socket.socket
) -> None:
    client, server = connected(listener)
    with client, server:
        port = client.getsockname()[1]
        client.sendall(TEXT[:9])
        client.send(b"!", socket.MSG_OOB)
        client.sendall(TEXT[9:])
        got = receive_all(lambda sock, _: sock.recv(9), server, 9)
        assert server.recv(1, socket.MSG_OOB) == b"!"
        got += receive_all(lambda sock, size: sock.recv(size), server, len(TEXT) - 9)
    assert got == TEXT

    def received() -> list[Chunk]:
        chunks = (event for event in watch.told if isinstance(event, Chunk))
        of_server = (chunk for chunk in chunks if chunk.direction is Direction.RECEIVED)
        return [chunk for chunk in of_server if chunk.peer and chunk.peer.port == port]

    watch.until(lambda: sum(chunk.length for chunk in received()) >= len(TEXT), "what the server received")
    assert next(chunk.position for chunk in received()) == 0
    assert b"".join(chunk.data for chunk in received()) == TEXT
    assert watch.length(port, Direction.SENT) == len(TEXT) + 1


@pytest.mark.usefixtures("watch")
def test_each_program_of_the_backend_leaves_half_of_the_verifiers_patience() -> None:
    check_margin()


def test_unix_sockets_and_udp_are_counted_under_their_own_names(watch: Watch) -> None:
    def counted(bucket: Bytes) -> int:
        lost = (event for event in watch.told if isinstance(event, Lost))
        return sum(event.count for event in lost if event.what == bucket)

    one, other = socket.socketpair()
    with one, other:
        one.sendall(b"x" * 5000)
        receive_all(lambda sock, size: sock.recv(size), other, 5000)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.sendto(b"y" * 3000, udp.getsockname())
    unix = 0 if BACKEND.is_below_calls else 10_000
    watch.until(lambda: counted(Bytes.UNIX_SOCKET) >= unix and counted(Bytes.NOT_TCP) >= 3000, "both buckets")
