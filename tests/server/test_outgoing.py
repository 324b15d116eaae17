"""Connections to hosts that a user named go to the checked address only."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.outgoing import CheckedTransport, Forbidden, UnknownHost, is_forbidden
from server.time_limit import TimeLimit
from tests.e2e import certificates
from tests.served import served

NAME = "service.test"


@contextmanager
def service(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a service on 127.0.0.1 that returns the Host it was called with."""

    class Echo(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host = self.headers["host"].encode()
            self.send_response(200)
            self.send_header("content-length", str(len(host)))
            self.end_headers()
            self.wfile.write(host)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            pass  # clients here abort handshakes

    server = Server(("127.0.0.1", 0), Echo)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with served(server) as port:
        yield port


@pytest.fixture
def resolves(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes NAME resolve to one list of addresses after the other; the last remains."""
    real = socket.getaddrinfo

    def set_answers(*answers: list[str]) -> None:
        left = [*answers]

        def lookup(host: Any, port: Any, *rest: Any, **more: Any) -> list[Any]:
            if host not in (NAME, NAME.encode()):
                return real(host, port, *rest, **more)
            addresses = left.pop(0) if len(left) > 1 else left[0]
            return [found for address in addresses for found in real(address, port, *rest, **more)]

        monkeypatch.setattr(socket, "getaddrinfo", lookup)

    return set_answers


def get(url: str, verify: bool | ssl.SSLContext = True) -> str:
    with (
        TimeLimit(20) as limit,
        httpx.Client(transport=CheckedTransport(limit, verify), timeout=20) as client,
    ):
        return client.get(url).text


def test_a_name_that_leads_elsewhere_once_it_was_checked_leads_nowhere(resolves: Callable[..., None]) -> None:
    resolves(["127.0.0.1"], ["169.254.169.254"])
    with service() as port:
        assert get(f"http://{NAME}:{port}/") == f"{NAME}:{port}"
    with pytest.raises(Forbidden):
        get(f"http://{NAME}:{port}/")


def test_one_forbidden_address_among_good_ones_is_enough(resolves: Callable[..., None]) -> None:
    resolves(["127.0.0.1", "168.63.129.16"])
    with pytest.raises(Forbidden):
        get(f"http://{NAME}/")


def test_the_next_address_is_tried_where_one_does_not_answer(resolves: Callable[..., None]) -> None:
    resolves(["::1", "127.0.0.1"])
    with service() as port:
        assert get(f"http://{NAME}:{port}/") == f"{NAME}:{port}"


def test_a_certificate_is_checked_against_the_name_and_not_the_address(
    resolves: Callable[..., None], tmp_path: Path
) -> None:
    made = certificates.make(tmp_path)  # for localhost and 127.0.0.1
    server, client = (
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.create_default_context(cafile=made.certificate),
    )
    server.load_cert_chain(made.certificate, made.key)
    asked: list[str | None] = []
    server.sni_callback = lambda _, name, __: asked.append(name)
    resolves(["127.0.0.1"])
    with service(server) as port:
        assert get(f"https://localhost:{port}/", client) == f"localhost:{port}"
        assert get(f"https://127.0.0.1:{port}/", client) == f"127.0.0.1:{port}"
        with pytest.raises(httpx.ConnectError, match="certificate"):
            get(f"https://{NAME}:{port}/", client)
    assert asked == ["localhost", None, NAME]


def test_a_name_that_does_not_resolve_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    with pytest.raises(UnknownHost):
        get("http://nowhere.invalid/")


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.170.2",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "fd20:ce::254",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "::ffff:100.100.100.200",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "255.255.255.255",
        "ff02::1",
    ],
)
def test_metadata_and_link_local_addresses_are_forbidden_in_every_spelling(address: str) -> None:
    assert is_forbidden(address)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "10.0.0.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1"]
)
def test_where_services_are_is_allowed(address: str) -> None:
    assert not is_forbidden(address)
