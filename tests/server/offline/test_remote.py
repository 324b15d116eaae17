"""The message if a server does not respond as expected."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from server import cli
from server.client.connection import MOST_DETAIL, Remote, trust
from server.client.errors import AddressError, CertificateNotTrusted, SpectapError
from server.offline import remote
from server.tls import TlsFiles
from tests.authority import Authority
from tests.served import served
from tests.server.records import both, record
from tests.server.running import serving


@contextmanager
def answering(status: int, body: bytes, headers: Mapping[str, str]) -> Iterator[str]:
    """The URL of a server that has one response."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *_: object) -> None:
            pass

    with served(HTTPServer(("127.0.0.1", 0), Answer)) as port:
        yield f"http://127.0.0.1:{port}"


def told(status: int, body: bytes, headers: Mapping[str, str] = {}) -> str:
    with (
        answering(status, body, headers) as url,
        Remote(url, None, patience_s=0, cures=remote.CURES) as server,
        pytest.raises(SpectapError) as raised,
    ):
        server.get("/exchanges", {})
    return str(raised.value)


@pytest.mark.parametrize("status", [401, 403, 404, 409, 422, 503])
def test_what_the_server_says_is_shown_with_control_characters_escaped(status: int) -> None:
    said = told(status, json.dumps({"detail": "the disk\x1b[2J is\n full"}).encode())
    assert r"the disk\x1b[2J is\n full" in said


def test_what_the_server_says_is_bounded() -> None:
    assert told(503, json.dumps({"detail": "x" * 9999}).encode()).count("x") == MOST_DETAIL


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"detail": 7}'])
def test_a_server_that_does_not_say_why_is_to_be_checked(body: bytes) -> None:
    assert told(503, body).endswith("answers HTTP 503: check --server and whether the server is running")


def test_an_earlier_id_is_followed_to_where_the_server_has_it_now(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        client.send(record(0, "client"))
        (before,) = client.items("/apis")
        client.send(*both(1))
        (api,) = client.items("/apis")
        with Remote(str(client.http.base_url), None, patience_s=0) as server:
            assert server.get(f"/apis/{before['id']}", {}).json() == api
    assert before["id"] != api["id"]


def test_what_a_server_does_not_have_is_told_in_its_words() -> None:
    problem = {"content-type": "application/problem+json"}
    said = told(404, b'{"detail": "no such API"}', problem)
    assert said.endswith(": no such API")
    assert "not a spectap server" not in said
    assert "is not a spectap server" in told(404, b'{"detail": "no such API"}')


def test_a_redirect_to_another_server_is_not_followed() -> None:
    elsewhere = {"location": "http://127.0.0.2:9/api/v1/exchanges"}
    assert "is not a spectap server" in told(308, b"", elsewhere)


@contextmanager
def serving_tls(folder: Path) -> Iterator[str]:
    """A server whose authority is in ca.crt; its URL."""
    authority = Authority()
    (folder / "ca.crt").write_bytes(authority.pem)
    authority.write(folder / "server.crt", folder / "server.key", ["127.0.0.1"])
    with serving(folder / "data", tls=TlsFiles(folder / "server.crt", folder / "server.key")) as client:
        yield str(client.http.base_url)


@pytest.mark.parametrize("command", ["export", "specs list", "tokens list"])
def test_each_command_trusts_the_authority_that_it_is_given(command: str, tmp_path: Path) -> None:
    with serving_tls(tmp_path) as url:
        given = ["--server", url, "--ca-file", str(tmp_path / "ca.crt")]
        assert cli.main([*command.split(), *given]) == 0


def test_an_authority_of_ones_own_vouches_for_the_server(tmp_path: Path) -> None:
    with serving_tls(tmp_path) as url:
        own = trust(tmp_path / "ca.crt")
        with Remote(url, None, patience_s=0, tls=own) as server:
            assert server.get("/apis", {}).is_success
        with Remote(url, cures=remote.CURES) as server, pytest.raises(CertificateNotTrusted) as refused:
            server.get("/apis", {})
        assert str(refused.value).endswith("): give --ca-file with its authority")
    with pytest.raises(AddressError, match="--client-key"):
        remote.connected(argparse.Namespace(server="x", client_cert=tmp_path / "server.crt", client_key=None))


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"items": [{"id": 7}], "next": null}'])
def test_an_answer_that_is_no_list_of_exchanges_is_one_sentence(
    body: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with answering(200, body, {}) as url:
        assert cli.main(["export", "--server", url]) == 1
    out, err = capfd.readouterr()
    assert (out, err.count("\n"), "cannot be read" in err) == ("", 1, True)
