"""Records reach the real server over TLS: the agent trusts one authority, and shows a certificate."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent import config
from agent.checks import SettingError
from agent.ship.shipper import Shipper
from agent.ship.tls import ServerTrust
from agent.wire import pack_record
from server.config import digest
from server.tls import TlsFiles
from tests.agent.ship.stores import QUICK, totals
from tests.authority import Authority
from tests.server.records import record
from tests.server.running import serving, wait_for

TOKEN = "ingest-token-of-this-test"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Vouches for both ends."""
    made = Authority()
    (tmp_path / "ca.crt").write_bytes(made.pem)
    made.write(tmp_path / "server.crt", tmp_path / "server.key", ["127.0.0.1"])
    made.write(tmp_path / "client.crt", tmp_path / "client.key")
    return made


def trust(folder: Path) -> ServerTrust:
    return ServerTrust(folder / "ca.crt", folder / "client.crt", folder / "client.key")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    files = TlsFiles(folder / "server.crt", folder / "server.key", folder / "ca.crt")
    with serving(folder / "data", tls=files, ingest_token=digest(TOKEN)) as client:
        yield str(client.http.base_url)


@contextmanager
def shipping(url: str, trust: ServerTrust | None) -> Iterator[Shipper]:
    ship = Shipper(url, TOKEN, "agent-1", "epoch-1", dict, replace(QUICK, say_after_s=0), trust=trust)
    ship.start()
    try:
        yield ship
    finally:
        ship.close(0.1)


def arrive(ship: Shipper, number: int) -> None:
    """Ships one more record, until this many have arrived."""
    ship.offer(pack_record(record(number, id=str(number))))
    wait_for(lambda: totals(ship).get("shipped") == number, "record")


def test_records_arrive_by_the_agents_certificate(tmp_path: Path, authority: Authority) -> None:
    with served(tmp_path) as url, shipping(url, trust(tmp_path)) as ship:
        arrive(ship, 1)


def test_a_server_of_another_authority_gets_nothing_and_the_log_says_why(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "other.crt").write_bytes(Authority().pem)
    with served(tmp_path) as url, shipping(url, replace(trust(tmp_path), ca=tmp_path / "other.crt")) as ship:
        ship.offer(pack_record(record(1)))
        wait_for(lambda: "its certificate is not trusted: " in caplog.text, "reason")
        assert "shipped" not in totals(ship)


def test_without_a_certificate_the_agent_is_told_of_its_option(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with served(tmp_path) as url, shipping(url, ServerTrust(tmp_path / "ca.crt")) as ship:
        ship.offer(pack_record(record(1)))
        wait_for(lambda: "--client-cert" in caplog.text, "reason")
        assert "shipped" not in totals(ship)


def test_renewed_files_are_used_without_a_restart(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """Both ends get a new authority, as when cert-manager renews everything."""
    caplog.set_level(logging.INFO)
    with served(tmp_path) as url, shipping(url, trust(tmp_path)) as ship:
        arrive(ship, 1)
        renewed = Authority()
        renewed.write(tmp_path / "client.crt", tmp_path / "client.key")
        renewed.write(tmp_path / "server.crt", tmp_path / "server.key", ["127.0.0.1"])
        (tmp_path / "ca.crt").write_bytes(renewed.pem + b"\n")
        arrive(ship, 2)
    assert any(line.name == "agent.ship.post" and "in use" in line.message for line in caplog.records)


def test_while_renewed_files_do_not_fit_the_earlier_ones_stay_in_use(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with served(tmp_path) as url, shipping(url, trust(tmp_path)) as ship:
        arrive(ship, 1)
        (tmp_path / "client.key").write_text("no key")
        arrive(ship, 2)
        assert "cannot be used" in caplog.text


def test_a_missing_file_is_logged_once(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with served(tmp_path) as url, shipping(url, trust(tmp_path)) as ship:
        arrive(ship, 1)
        (tmp_path / "ca.crt").unlink()
        for number in range(2, 6):
            arrive(ship, number)
    (line,) = [line for line in caplog.messages if "cannot be used" in line]
    assert "ca.crt" in line


def settings(**options: str) -> config.Settings:
    return config.settings(argparse.Namespace(server="https://spectap-server:8080", **options))


def test_options_that_do_not_fit_are_refused_with_their_names(tmp_path: Path, authority: Authority) -> None:
    ca, certificate, key = (str(tmp_path / name) for name in ("ca.crt", "client.crt", "client.key"))
    assert settings(ca_file=ca, client_cert=certificate, client_key=key).trust == trust(tmp_path)
    assert settings().trust == ServerTrust()
    for given, named in (
        ({"client_cert": certificate}, "--client-key"),
        ({"ca_file": str(tmp_path / "none.crt")}, "none.crt cannot be read"),
        ({"ca_file": key}, "--ca-file cannot be used"),
        ({"client_cert": certificate, "client_key": ca}, "--client-cert and --client-key cannot be used"),
    ):
        with pytest.raises(SettingError, match=named):
            settings(**given)
    with pytest.raises(SettingError, match="https://"):
        config.settings(argparse.Namespace(server="http://127.0.0.1:8080", ca_file=ca))


def test_with_a_certificate_only_the_public_authorities_are_trusted(
    tmp_path: Path, authority: Authority
) -> None:
    own = replace(trust(tmp_path), ca=None).context()
    assert own is not None
    assert len(own.get_ca_certs()) > 50
