"""Without tokens the server admits root, its own user and the user who started it by sudo, not every
account.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.config import ServerSettings, digest, trusted_users
from tests.server.engine import spec
from tests.server.records import batch, record
from tests.server.running import Client, serving

NOBODY = 65534
STRANGER = """
import os, sys, urllib.error, urllib.request
os.setuid(int(sys.argv[1]))
request = urllib.request.Request(sys.argv[2], data=sys.stdin.buffer.read() or None)
try:
    with urllib.request.urlopen(request) as answer:
        print(answer.status)
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
"""
HIT_AND_RUN = """
import os, socket, sys
os.setuid(int(sys.argv[1]))
host, _, port = sys.argv[2].removeprefix("http://").partition(":")
client = socket.create_connection((host, int(port)))
body = sys.stdin.buffer.read()
head = f"POST /api/v1/records HTTP/1.1\\r\\nhost: {host}\\r\\ncontent-length: {len(body)}\\r\\n\\r\\n"
client.sendall(head.encode() + body)
client.close()
"""


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Client]:
    """A server that refuses every local user."""
    with serving(tmp_path, local_users=frozenset({4242})) as client:
        yield client


@pytest.mark.parametrize("path", ["/api/v1/apis", "/api/v1/specs", "/", "/exchanges", "/login"])
def test_another_local_user_reads_nothing_and_learns_what_to_do(closed: Client, path: str) -> None:
    answer = closed.http.get(path)
    assert answer.status_code == 403
    assert "uid 4242 only" in answer.text
    assert "--open-to-local-users" in answer.text
    assert "--admin-token-file" in answer.text


def test_another_local_user_changes_nothing(closed: Client) -> None:
    assert closed.http.post("/api/v1/records", content=batch(1, [record()])).status_code == 403
    assert closed.http.post("/api/v1/specs?host=h", content=spec("GET /")).status_code == 403
    assert closed.http.post("/login", data={"token": "anything"}).status_code == 403
    assert closed.http.get("/").status_code == 403


def test_what_tells_nothing_of_traffic_answers_everyone(closed: Client) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
        assert closed.http.get(path).status_code == 200


def test_a_role_with_a_token_goes_by_its_token(tmp_path: Path) -> None:
    token = "a" * 20
    with serving(tmp_path, local_users=frozenset(), admin_token=digest(token)) as client:
        assert client.http.get("/api/v1/apis").status_code == 401
        good = {"authorization": f"Bearer {token}"}
        assert client.http.get("/api/v1/apis", headers=good).status_code == 200
        assert (
            client.http.post("/api/v1/records", content=batch(1, [record()]), headers=good).status_code == 403
        )


def test_it_can_be_opened_to_all(tmp_path: Path) -> None:
    with serving(tmp_path, local_users=None) as client:
        assert client.http.get("/api/v1/apis").status_code == 200


def test_who_started_it_by_sudo_is_admitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("PKEXEC_UID", "no number")
    assert {0, 1234} <= trusted_users()
    assert ServerSettings("::1", 1, Path(".")).local_users == trusted_users()


def as_user(uid: int, program: str, url: str, sent: bytes = b"") -> str:
    words = [sys.executable, "-c", program, str(uid), url]
    return subprocess.run(words, input=sent, capture_output=True, check=True).stdout.decode()


@pytest.mark.root
def test_a_real_other_user_is_told_apart(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        url = f"{client.http.base_url}".rstrip("/")
        assert as_user(0, STRANGER, f"{url}/api/v1/apis").strip() == "200"
        answer = as_user(NOBODY, STRANGER, f"{url}/api/v1/apis")
        assert answer.startswith("403 ")
        assert "you are nobody" in answer
    with serving(tmp_path, local_users=frozenset({0, NOBODY})) as client:
        url = f"{client.http.base_url}".rstrip("/")
        assert as_user(NOBODY, STRANGER, f"{url}/api/v1/apis").strip() == "200"


@pytest.mark.root
def test_who_asks_and_is_gone_is_not_taken_for_root(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        url = f"{client.http.base_url}".rstrip("/")
        for seq in range(1, 21):
            as_user(NOBODY, HIT_AND_RUN, url, batch(seq, [record(id=f"r{seq}")]))
        assert client.get("/ledger")["server"] == {}
        client.send(record(id="mine"))
        assert client.server_ledger() == {"stored": 1}
