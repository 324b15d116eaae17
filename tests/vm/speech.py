"""The messages of a speaker, byte for byte, so that captured bytes show which process sent them."""

from __future__ import annotations

SIZES = (20, 900, 6000)  # of bodies: within and beyond the cap


def request(pid: int, number: int) -> bytes:
    return f"GET /{pid}/{number} HTTP/1.1\r\nHost: vm\r\n\r\n".encode()


def answer(pid: int, number: int) -> bytes:
    size = SIZES[number % len(SIZES)]
    body = (f"{pid} answers {number}. ".encode() * size)[:size]
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body


def requests(pid: int, count: int) -> bytes:
    return b"".join(request(pid, number) for number in range(count))


def answers(pid: int, count: int) -> bytes:
    return b"".join(answer(pid, number) for number in range(count))
