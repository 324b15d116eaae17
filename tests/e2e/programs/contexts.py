"""TLS for the programs: by Python's ssl or, with --pyopenssl, by the OpenSSL that cryptography contains.
Without TLS a client can send and receive through an io_uring, with --io-uring.
"""

from __future__ import annotations

import argparse
import socket
import ssl
from typing import Any, Protocol, cast

from tests.agent.probes import io_uring


class Context(Protocol):
    """What both kinds of context do."""

    def wrap_socket(
        self, sock: socket.socket, server_side: bool = ..., *, server_hostname: str | None = ...
    ) -> socket.socket: ...


class Stream:
    """pyOpenSSL's connection: the peer's end of it is the end of the data."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def recv(self, size: int) -> bytes:
        from OpenSSL import SSL

        try:
            return bytes(self._connection.recv(size))
        except (SSL.ZeroReturnError, SSL.SysCallError):
            return b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class PyOpenSSL:
    """A context of pyOpenSSL."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def wrap_socket(
        self, sock: socket.socket, server_side: bool = False, *, server_hostname: str | None = None
    ) -> socket.socket:
        from OpenSSL import SSL

        sock.settimeout(None)  # with a timeout it would have to be polled
        connection = SSL.Connection(self._context, sock)
        if server_side:
            connection.set_accept_state()
        else:
            connection.set_connect_state()
        connection.do_handshake()
        return cast(socket.socket, Stream(connection))


class RingStream:
    """A plain connection whose bytes pass through an io_uring; it holds one as long as it is open."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._held = sock, io_uring.Ring()

    def sendall(self, data: bytes) -> None:
        io_uring.send(self._sock.fileno(), data)

    def recv(self, size: int) -> bytes:
        return io_uring.receive(self._sock.fileno(), size)

    def close(self) -> None:
        self._held.close()
        self._sock.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class Rings:
    """A context without TLS, of an io_uring for each connection."""

    def wrap_socket(
        self, sock: socket.socket, server_side: bool = False, *, server_hostname: str | None = None
    ) -> socket.socket:
        return cast(socket.socket, RingStream(sock))


def add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pyopenssl", action="store_true", help="TLS by pyOpenSSL instead of Python's ssl")
    parser.add_argument(
        "--io-uring", action="store_true", help="no TLS: a client's bytes through an io_uring"
    )


def server(options: argparse.Namespace, protocol: str | None = None) -> Context | None:
    """As --tls CERTIFICATE KEY says; `protocol` is for ALPN."""
    if not options.tls:
        return None
    if options.pyopenssl:
        from OpenSSL import SSL

        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate_chain_file(options.tls[0])
        context.use_privatekey_file(options.tls[1])
        if protocol:
            context.set_alpn_select_callback(lambda _, offered: protocol.encode())
        return PyOpenSSL(context)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(*options.tls)
    if protocol:
        own.set_alpn_protocols([protocol])
    return own


def client(options: argparse.Namespace, protocol: str) -> Context | None:
    """As --ca CERTIFICATE or --io-uring says; `protocol` is for ALPN."""
    if options.io_uring:
        return Rings()
    if not options.ca:
        return None
    if options.pyopenssl:
        from OpenSSL import SSL

        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.load_verify_locations(options.ca)
        context.set_verify(SSL.VERIFY_PEER)
        context.set_alpn_protos([protocol.encode()])
        return PyOpenSSL(context)
    own = ssl.create_default_context(cafile=options.ca)
    own.set_alpn_protocols([protocol])
    return own
