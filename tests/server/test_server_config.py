from __future__ import annotations

import math
from pathlib import Path

import pytest

from agent.kube.access import Access
from server.cluster.settings import ClusterSettings
from server.config import (
    ConfigError,
    ServerSettings,
    checked,
    cluster,
    default_data,
    digest,
    parse_listen,
    read_token,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::1]:0", ("::1", 0)),
        (":80", ("0.0.0.0", 80)),
        ("localhost:65535", ("localhost", 65535)),
    ],
)
def test_an_address_has_host_and_port(text: str, expected: tuple[str, int]) -> None:
    assert parse_listen(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8080",
        "host",
        "host:",
        "host:x",
        "host:65536",
        "host:-1",
        "[::1",
        "[::1:80",
        "::1:80",
        "[h]:80",
        "[]:80",
        "a]:80",
    ],
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:8080"):
        parse_listen(text)


def test_a_token_file_holds_the_token_or_its_hash(tmp_path: Path) -> None:
    token = "0123456789abcdef0123"
    (tmp_path / "plain").write_text(token + "\n")
    (tmp_path / "hashed").write_text(f"sha256:{digest(token).hex()}\n")
    assert read_token(tmp_path / "plain") == read_token(tmp_path / "hashed") == digest(token)


@pytest.mark.parametrize("content", [b"", b"short", b"sha256:", b"sha256:abcd", b"sha256:zz", b"\xff" * 40])
def test_a_token_file_that_would_not_protect_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(ConfigError, match="token"):
        read_token(tmp_path / "token")


def test_a_token_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_token(tmp_path / "none")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "spectap.example"])
def test_other_machines_need_both_tokens(host: str) -> None:
    token = digest("x" * 20)
    for ingest, admin in ((None, None), (token, None), (None, token)):
        with pytest.raises(ConfigError, match="--ingest-token-file"):
            checked(ServerSettings(host, 1, Path("."), ingest_token=ingest, admin_token=admin))
    guarded = ServerSettings(host, 1, Path("."), ingest_token=token, admin_token=token)
    assert checked(guarded) == guarded


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.0.1"])
def test_loopback_may_be_open(host: str) -> None:
    settings = ServerSettings(host, 1, Path("."))
    assert checked(settings) == settings


def test_retention_has_to_leave_something() -> None:
    for days in (0, -1, math.nan, math.inf, 1e308):
        with pytest.raises(ConfigError, match="--retention-days"):
            checked(ServerSettings("::1", 1, Path("."), retention_days=days))
    with pytest.raises(ConfigError, match="--retention-bytes"):
        checked(ServerSettings("::1", 1, Path("."), retention_bytes=1))


def test_a_log_level_is_one_of_four() -> None:
    with pytest.raises(ConfigError, match="--log-level"):
        checked(ServerSettings("::1", 1, Path("."), log_level="loud"))


def test_data_goes_where_the_system_keeps_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert default_data() == Path("/state/spectap")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert default_data() == Path("/var/lib/spectap")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert default_data().parts[-3:] == (".local", "state", "spectap")


def test_the_cluster_is_asked_only_on_request_and_with_an_account(tmp_path: Path) -> None:
    assert cluster(False, "east", None, None) is None
    with pytest.raises(ConfigError, match="need --kubernetes"):
        cluster(False, None, "http://127.0.0.1:8001", None)
    with pytest.raises(ConfigError, match="token does not exist"):
        cluster(True, None, "https://api.test", str(tmp_path))
    found = cluster(True, "east", "http://127.0.0.1:8001", str(tmp_path))
    assert found == ClusterSettings(Access("http://127.0.0.1:8001", tmp_path), "east")
