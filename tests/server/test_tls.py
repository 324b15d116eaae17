"""The server over real TLS: with renewed files, and with agents that show certificates."""

from __future__ import annotations

import os
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from server.api.gate import NO_CERTIFICATE
from server.config import ConfigError, digest, tls
from server.tls import TlsFiles
from tests.authority import Authority
from tests.server.records import batch, record
from tests.server.running import PATIENCE_S, serving

HERE = ("127.0.0.1", "localhost")
TOKEN = "ingest-token-of-this-test"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Vouches for the server in `server.crt` and `server.key`."""
    made = Authority()
    (tmp_path / "ca.crt").write_bytes(made.pem)
    made.write(tmp_path / "server.crt", tmp_path / "server.key", HERE)
    return made


def files(folder: Path, client_ca: Path | None = None) -> TlsFiles:
    return TlsFiles(folder / "server.crt", folder / "server.key", client_ca)


def trusting(authority: Authority, folder: Path | None = None) -> ssl.SSLContext:
    """A client's context; with a folder, one that shows client.crt there."""
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if folder is not None:
        context.load_cert_chain(folder / "client.crt", folder / "client.key")
    return context


@contextmanager
def served(tmp_path: Path, files: TlsFiles) -> Iterator[str]:
    """The URL of a server over TLS."""
    with serving(tmp_path / "data", tls=files, ingest_token=digest(TOKEN)) as client:
        yield str(client.http.base_url)


def post(url: str, context: ssl.SSLContext) -> httpx.Response:
    headers = {"authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=url, verify=context, trust_env=False, headers=headers) as http:
        return http.post("/api/v1/records", content=batch(1, [record(1)]))


def plain(url: str) -> socket.socket:
    """A connection before its handshake."""
    where = httpx.URL(url)
    return socket.create_connection((where.host, where.port or 443), PATIENCE_S)


def serial(url: str, context: ssl.SSLContext, name: str | None = "localhost") -> str:
    """The serial number of the certificate that the server shows now."""
    if name is None:
        context.check_hostname = False
    with plain(url) as tcp, context.wrap_socket(tcp, server_hostname=name) as tls:
        return str((tls.getpeercert() or {})["serialNumber"])


def test_records_arrive_and_a_plain_request_does_not(tmp_path: Path, authority: Authority) -> None:
    with served(tmp_path, files(tmp_path)) as url:
        assert url.startswith("https://")
        assert post(url, trusting(authority)).json() == {"acked": 1}
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            post(url, trusting(Authority()))
        with pytest.raises(httpx.TransportError):
            httpx.get(url.replace("https", "http") + "/healthz", trust_env=False)


def test_a_renewed_certificate_is_shown_from_the_next_connection_on(
    tmp_path: Path, authority: Authority
) -> None:
    with served(tmp_path, files(tmp_path)) as url:
        first = serial(url, trusting(authority))
        assert serial(url, trusting(authority), None) == first
        authority.write(tmp_path / "server.crt", tmp_path / "server.key", HERE)
        second = serial(url, trusting(authority), None)  # no name is sent
        assert second != first
        assert serial(url, trusting(authority)) == second


def test_while_renewed_files_do_not_fit_the_earlier_ones_stay_in_use(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with served(tmp_path, files(tmp_path)) as url:
        first = serial(url, trusting(authority))
        authority.write(tmp_path / "server.crt", tmp_path / "other.key", HERE)
        assert serial(url, trusting(authority)) == first
        assert serial(url, trusting(authority)) == first
        said = [line.message for line in caplog.records if "cannot be used" in line.message]
        assert len(said) == 1
        os.replace(tmp_path / "other.key", tmp_path / "server.key")
        assert serial(url, trusting(authority)) != first


def test_a_missing_file_is_logged_once(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with served(tmp_path, files(tmp_path)) as url:
        first = serial(url, trusting(authority))
        os.rename(tmp_path / "server.key", tmp_path / "other.key")
        assert [serial(url, trusting(authority)) for _ in range(3)] == [first] * 3
        said = [line.message for line in caplog.records if "cannot be used" in line.message]
        assert len(said) == 1
        assert "server.key" in said[0]
        os.rename(tmp_path / "other.key", tmp_path / "server.key")
        assert serial(url, trusting(authority)) == first


def test_a_name_that_is_not_ascii_writes_nothing(
    tmp_path: Path, authority: Authority, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)
    with served(tmp_path, files(tmp_path)) as url, plain(url) as client:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        hello = trusting(authority).wrap_bio(incoming, outgoing, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            hello.do_handshake()
        client.sendall(outgoing.read().replace(b"localhost", b"\xff" * len("localhost")))
        assert client.recv(1)
        assert serial(url, trusting(authority))
    assert not reported
    assert "Exception ignored" not in capfd.readouterr().err


def test_records_need_a_certificate_of_the_client_authority(tmp_path: Path, authority: Authority) -> None:
    clients, strangers = Authority(), Authority()
    (tmp_path / "clients.crt").write_bytes(clients.pem)
    with served(tmp_path, files(tmp_path, tmp_path / "clients.crt")) as url:
        refused = post(url, trusting(authority))
        assert (refused.status_code, refused.json()["detail"]) == (403, NO_CERTIFICATE)
        assert httpx.get(f"{url}/healthz", verify=trusting(authority), trust_env=False).status_code == 200
        clients.write(tmp_path / "client.crt", tmp_path / "client.key")
        assert post(url, trusting(authority, tmp_path)).json() == {"acked": 1}
        strangers.write(tmp_path / "client.crt", tmp_path / "client.key")
        with pytest.raises(httpx.TransportError):
            post(url, trusting(authority, tmp_path))


def test_a_certificate_does_not_replace_the_token(tmp_path: Path, authority: Authority) -> None:
    authority.write(tmp_path / "client.crt", tmp_path / "client.key")
    context = trusting(authority, tmp_path)
    with (
        served(tmp_path, files(tmp_path, tmp_path / "ca.crt")) as url,
        httpx.Client(base_url=url, verify=context, trust_env=False) as http,
    ):
        assert http.post("/api/v1/records", content=batch(1, [record(1)])).status_code == 401


def test_another_client_authority_counts_from_the_next_connection_on(
    tmp_path: Path, authority: Authority
) -> None:
    before, after = Authority(), Authority()
    (tmp_path / "clients.crt").write_bytes(before.pem)
    before.write(tmp_path / "client.crt", tmp_path / "client.key")
    with served(tmp_path, files(tmp_path, tmp_path / "clients.crt")) as url:
        assert post(url, trusting(authority, tmp_path)).status_code == 200
        (tmp_path / "clients.crt").write_bytes(after.pem + b"\n")
        with pytest.raises(httpx.TransportError):
            post(url, trusting(authority, tmp_path))
        after.write(tmp_path / "client.crt", tmp_path / "client.key")
        assert post(url, trusting(authority, tmp_path)).status_code == 200


def test_no_session_is_resumed_where_certificates_are_checked(tmp_path: Path, authority: Authority) -> None:
    context = files(tmp_path, tmp_path / "ca.crt").context()
    assert context.num_tickets == 0
    assert context.options & ssl.OP_NO_TICKET


def test_options_that_do_not_fit_are_refused_with_their_names(tmp_path: Path, authority: Authority) -> None:
    certificate, key = str(tmp_path / "server.crt"), str(tmp_path / "server.key")
    assert tls(None, None, None) is None
    assert tls(certificate, key, None) == files(tmp_path)
    Authority().write(tmp_path / "other.crt", tmp_path / "other.key")
    for given, named in (
        ((certificate, None, None), "--tls-key"),
        ((None, None, certificate), "--tls-client-ca"),
        ((certificate, str(tmp_path / "none.key"), None), "none.key cannot be read"),
        ((certificate, str(tmp_path / "other.key"), None), "--tls-cert and --tls-key cannot be used"),
        ((certificate, key, key), "--tls-client-ca cannot be used"),
    ):
        with pytest.raises(ConfigError, match=named):
            tls(*given)
