"""How the API is reached, and what is said where it cannot be."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from agent.kube.access import Access, AccessError, access
from tests.agent.kube.api import account
from tests.e2e import certificates

INSIDE = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def test_a_pod_finds_the_api_and_its_account(tmp_path: Path) -> None:
    (account(tmp_path) / "ca.crt").write_text("")
    found = access(None, str(tmp_path), INSIDE)
    assert found == Access("https://10.96.0.1:443", tmp_path)
    assert (found.token(), found.namespace) == ("a", "spectap")
    assert access(None, str(tmp_path), {"KUBERNETES_SERVICE_HOST": "fd00::1"}).url == "https://[fd00::1]:443"


def test_the_token_is_the_one_that_is_there_now(tmp_path: Path) -> None:
    found = Access("https://api.test", account(tmp_path))
    assert found.token() == "a"
    account(tmp_path, "b")
    assert found.token() == "b"


def test_the_ca_of_an_older_cluster_is_trusted(tmp_path: Path) -> None:
    made = certificates.make(tmp_path)
    made.certificate.rename(tmp_path / "ca.crt")
    trust = Access("https://api.test", tmp_path).trust()
    assert not trust.verify_flags & ssl.VERIFY_X509_STRICT
    assert (trust.verify_mode, trust.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_a_proxy_on_loopback_needs_no_account(tmp_path: Path) -> None:
    found = access("http://localhost:8001/", str(tmp_path), {})
    assert (found.url, found.token(), found.namespace) == ("http://localhost:8001", None, None)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (None, "address is unknown"),
        ("http://api.test", "on loopback only"),
        ("ftp://api.test", "not an https"),
        ("https://", "not an https"),
        ("https://api.test:port", "not an https"),
        ("https://api.test", "token does not exist"),
    ],
)
def test_what_is_missing_is_said_with_its_cure(url: str | None, said: str, tmp_path: Path) -> None:
    with pytest.raises(AccessError, match=said):
        access(url, str(tmp_path), {})
