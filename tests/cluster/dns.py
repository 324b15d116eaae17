"""The names of Services, for pods of a cluster without CoreDNS: a resolver of IPv4 addresses (RFC 1035).

It knows `NAME.NAMESPACE.svc.cluster.local` only, and says of all else that it does not exist.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PORT = 53
DOMAIN = ".svc.cluster.local"
A = 1  # the type of records with an IPv4 address
ANSWER, NO_SUCH_NAME = 0x8580, 0x8583  # authoritative, with recursion: flags of an answer
SECONDS = 5  # that an answer may be kept
LARGEST = 512

Lookup = Callable[[str, str], str | None]
"""The address of the Service of this name in this namespace; None if there is none."""


@contextmanager
def serving(host: str, lookup: Lookup) -> Iterator[None]:
    """Answers at `host` until the end."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind((host, PORT))
        thread = threading.Thread(target=_serve, args=(listener, lookup))
        thread.start()
        try:
            yield
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", (host, PORT))
            thread.join()


def _serve(listener: socket.socket, lookup: Lookup) -> None:
    while query := listener.recvfrom(LARGEST):
        content, client = query
        if not content:
            return
        listener.sendto(answer(content, lookup), client)


def answer(query: bytes, lookup: Lookup) -> bytes:
    """The answer to a query with one question."""
    labels, at = [], 12
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode())
        at += 1 + length
    question = query[12 : at + 5]
    (kind,) = struct.unpack_from("!H", query, at + 1)
    name = ".".join(labels).lower()
    address = None
    if name.endswith(DOMAIN) and name.removesuffix(DOMAIN).count(".") == 1:
        address = lookup(*name.removesuffix(DOMAIN).split("."))
    found = b""
    if address is not None and kind == A:
        found = struct.pack("!HHHIH", 0xC00C, A, 1, SECONDS, 4) + socket.inet_aton(address)
    flags = NO_SUCH_NAME if address is None else ANSWER
    return struct.pack("!2sHHHHH", query[:2], flags, 1, bool(found), 0, 0) + question + found
