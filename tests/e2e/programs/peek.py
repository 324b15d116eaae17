"""A client on OpenSSL itself that peeks at each piece of a response before it reads it: `peek.py PORT
TARGET…`

All calls are made on one connection.
"""

from __future__ import annotations

import socket
import sys
from ctypes import CDLL, c_void_p, create_string_buffer
from ctypes.util import find_library

from tests.e2e.observations import AGGREGATION_HEADER
from tests.e2e.programs.http_bytes import take

PIECE = 700  # bytes, fewer than a response has


def connected(openssl: CDLL, port: int) -> tuple[c_void_p, socket.socket]:
    for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
        getattr(openssl, name).restype = c_void_p
    connection = socket.create_connection(("127.0.0.1", port))
    context = c_void_p(openssl.SSL_CTX_new(c_void_p(openssl.TLS_client_method())))
    tls = c_void_p(openssl.SSL_new(context))
    assert openssl.SSL_set_fd(tls, connection.fileno()) == 1
    assert openssl.SSL_connect(tls) == 1
    return tls, connection


def piece(openssl: CDLL, tls: c_void_p) -> bytes:
    """Reads the next piece, after peeking at it twice."""
    peeked, read = create_string_buffer(PIECE), create_string_buffer(PIECE)
    assert openssl.SSL_peek(tls, peeked, PIECE) > 0
    size = openssl.SSL_peek(tls, peeked, PIECE)
    assert openssl.SSL_read(tls, read, size) == size
    assert peeked.raw[:size] == read.raw[:size]
    return read.raw[:size]


def main() -> None:
    openssl = CDLL(find_library("ssl"))
    tls, connection = connected(openssl, int(sys.argv[1]))
    with connection:
        for target in sys.argv[2:]:
            named = f"{AGGREGATION_HEADER}: {target.rpartition('/')[2]}"
            request = f"GET {target} HTTP/1.1\r\nHost: tls\r\n{named}\r\n\r\n".encode()
            assert openssl.SSL_write(tls, request, len(request)) == len(request)
            answer = b""
            while take(answer) is None:
                answer += piece(openssl, tls)
        openssl.SSL_shutdown(tls)


if __name__ == "__main__":
    main()
