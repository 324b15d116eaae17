"""`spectap tokens` with a real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from server import cli
from server.config import digest
from tests.server.records import record
from tests.server.running import Client, serving

ADMIN = "a" * 32


def tokens(client: Client, *arguments: object) -> int:
    return cli.main(["tokens", *map(str, arguments), "--server", str(client.http.base_url)])


def test_a_token_is_created_used_listed_rotated_and_revoked(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tokens(client, "create", "east agents", "--cluster", "east") == 0
    out, told = capsys.readouterr()
    (secret,) = out.splitlines()
    (one,) = client.items("/tokens")
    assert told == f"created {one['id']} for the agents of the cluster east; its secret is not shown again\n"
    client.http.headers["Authorization"] = f"Bearer {secret}"
    client.send(record(0))
    del client.http.headers["Authorization"]
    assert client.items("/exchanges")[0]["witnesses"][0]["cluster"] == "east"

    assert tokens(client, "list") == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["ID", "NAME", "ROLE", "CLUSTER", "CREATED", "LAST_USED"]
    assert row.split()[:5] == [one["id"], "east", "agents", "ingest", "east"]
    assert tokens(client, "list", "--cluster", "west", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []

    assert tokens(client, "rotate", "east agents", "--grace-s", 0) == 0
    out, told = capsys.readouterr()
    assert (out != f"{secret}\n", "the previous secret has ended" in told) == (True, True)
    assert tokens(client, "rotate", one["id"], "--json") == 0
    assert json.loads(capsys.readouterr().out)["previous_until"] is not None
    assert tokens(client, "revoke", one["id"]) == 0
    assert capsys.readouterr().out == f"{one['id']} is revoked\n"
    assert tokens(client, "list") == 0
    assert "no tokens; create one" in capsys.readouterr().out


def test_what_does_not_exist_or_is_refused_ends_with_1(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    for action in ("rotate", "revoke"):
        assert tokens(client, action, "nobody's") == 1
        assert capsys.readouterr().err == (
            f"spectap tokens {action}: no token nobody's: see `spectap tokens list`\n"
        )
    assert tokens(client, "create", "x", "--cluster", "east") == 0
    assert tokens(client, "create", "x", "--cluster", "west") == 1
    assert "a token has this name" in capsys.readouterr().err


def test_tokens_are_the_business_of_who_has_the_admin_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "admin"
    file.write_text(ADMIN)
    with serving(tmp_path / "data", admin_token=digest(ADMIN), ingest_token=digest("i" * 32)) as client:
        assert tokens(client, "list") == 1
        assert "give --token-file with a valid token" in capsys.readouterr().err
        assert tokens(client, "list", "--token-file", file) == 0
