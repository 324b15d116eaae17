"""Callbacks of a TLS library may use other sockets, and call the library again, before they return."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.certificates import Certificate
from tests.e2e.processes import node, running, wait_until
from tests.e2e.seen import Seen
from tests.e2e.spectap import Spectap, watching

pytestmark = pytest.mark.root

CALLS = 10


@pytest.fixture(scope="module")
def spectap(folder: Path) -> Iterator[Spectap]:
    with watching(folder) as started:
        yield started


def call_as_the_handshake_ends(port: int, about: str) -> None:
    """The end of the handshake and the request are sent in one piece, so that one SSL_read reads both."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    came, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
    wire = context.wrap_bio(came, leaving)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        while True:
            try:
                wire.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(leaving.read())
                came.write(connection.recv(65536))
        wire.write(f"GET /within/{about} HTTP/1.1\r\nHost: tls\r\n\r\n".encode())
        connection.sendall(leaving.read())
        answer = b""
        while not answer.endswith(b"ok"):
            came.write(connection.recv(65536))
            try:
                answer += wire.read()
            except ssl.SSLWantReadError:
                continue


def test_what_a_handshakes_callbacks_do_is_seen_as_what_it_is(
    spectap: Spectap, tmp_path: Path, certificate: Certificate
) -> None:
    argv = node("callbacks.js", "--cert", certificate.certificate, "--key", certificate.key)
    with running("callbacks", argv, tmp_path) as process:
        port, local = map(int, process.first_line().split())

        def seen(about: str) -> list[Seen]:
            found = spectap.server.settled().exchanges(path_prefix=f"/within/{about}")
            return [one for one in found if process.pid in [view.pid for view in one.witnesses]]

        def attached() -> bool:
            call_as_the_handshake_ends(port, "first")
            return bool(seen("first"))

        wait_until(attached, "probes in the server")
        for _ in range(CALLS):
            call_as_the_handshake_ends(port, "tls")
        wait_until(lambda: len(seen("tls")) == CALLS, "every call to the TLS server")
        wait_until(lambda: len(seen("plain")) >= CALLS, "as many calls over the plain connection")
    assert {one.client for one in seen("plain")} == {("127.0.0.1", local)}
    assert {len(one.witnesses) for one in seen("plain")} == {2}
    assert {one.server for one in seen("tls")} == {("127.0.0.1", port)}
    assert {len(one.witnesses) for one in seen("tls")} == {2}
