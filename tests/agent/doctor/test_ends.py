"""The self-test's client and server call each other without capture, and exit when left alone."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.doctor import ends, selftest
from agent.doctor.selftest import SelfTestError, ask, child, make_certificate, memory_file, read_line
from agent.doctor.trials import Call


@pytest.fixture
def files() -> Iterator[tuple[str, str]]:
    """A folder for a certificate and its key, as the self-test has it."""
    with memory_file() as certificate, memory_file() as key:
        yield certificate, key


def test_each_call_is_answered_with_its_own_id(files: tuple[str, str]) -> None:
    certificate, why_not = make_certificate(*files)
    if why_not:
        pytest.skip(why_not)
    with child("server", *certificate) as server, child("client") as client:
        ports = read_line(server)
        assert ports.keys() == set(selftest.PROTOCOLS)
        for protocol in selftest.PROTOCOLS:
            ask(client, Call(protocol, ports[protocol], uuid.uuid4().hex), certificate[0])
            assert read_line(client) == {"protocol": protocol, "error": None}
    assert (server.returncode, client.returncode) == (0, 0)


def test_a_call_that_fails_is_told_with_its_reason_and_the_next_one_is_made(tmp_path: Path) -> None:
    with child("server") as server, child("client") as client:
        ports = read_line(server)
        assert ports.keys() == {ends.PLAIN, ends.H2}
        ask(client, Call(ends.H2, ports[ends.PLAIN], "x"), None)  # the wrong protocol
        assert read_line(client)["error"]
        ask(client, Call(ends.PLAIN, ports[ends.PLAIN], "x"), None)
        assert read_line(client)["error"] is None


def test_the_client_takes_no_other_certificate(files: tuple[str, str], tmp_path: Path) -> None:
    mine, why_not = make_certificate(*files)
    other, _ = make_certificate(str(tmp_path / "certificate"), str(tmp_path / "key"))
    if why_not:
        pytest.skip(why_not)
    with child("server", *mine) as server, child("client") as client:
        ask(client, Call(ends.TLS, read_line(server)[ends.TLS], "x"), other[0])
        assert "certificate" in read_line(client)["error"].lower()


def test_an_end_that_is_gone_is_one_clear_sentence() -> None:
    with child("nobody") as server:
        server.kill()
        with pytest.raises(SelfTestError, match="ended early"):
            read_line(server)


def test_the_certificate_is_for_loopback_alone(files: tuple[str, str]) -> None:
    certificate, why_not = make_certificate(*files)
    if why_not:
        pytest.skip(why_not)
    command = ["openssl", "x509", "-in", certificate[0], "-noout", "-ext", "subjectAltName"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert shown.split("\n", 1)[1].strip() == f"IP Address:{ends.HERE}"


def test_without_openssl_the_reason_is_told(
    files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("openssl") is None
    paths, why_not = make_certificate(*files)
    assert paths == ()
    assert why_not is not None
    assert "openssl" in why_not
