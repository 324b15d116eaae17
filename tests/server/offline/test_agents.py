"""`spectap agents` with a real server."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from agent.wire import Capture
from server import cli
from server.offline.agents import COLUMNS
from tests.server.records import batch, both
from tests.server.running import Client


def agents(client: Client, *arguments: str) -> int:
    return cli.main(["agents", *arguments, "--server", str(client.http.base_url)])


def deliver(client: Client, cluster: str, epoch: str = "1", lag_ms: int = 2000) -> None:
    """One call of a cluster, by its only agent; both agents have one name and are on nodes of one name."""
    views = [replace(one, cluster=cluster, id=f"{cluster} {epoch} {one.id}") for one in both()]
    raw = batch(1, views, f"{epoch} of {cluster}", capture=Capture("everything", lag_ms))
    client.http.post("/api/v1/records", content=raw).raise_for_status()


def test_agents_are_listed_by_cluster_with_their_lag_and_what_was_received(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(client, "east")
    deliver(client, "west", lag_ms=5000)
    assert agents(client, "--cluster", "east") == 0
    out, err = capsys.readouterr()
    heading, row = out.splitlines()
    assert heading.lower().split() == [one.name for one in COLUMNS if not one.wide]
    assert row.split()[:4] == ["east", "node-1", "agent-1", "everything"]
    assert row.split()[-2:] == ["2", "0"]
    assert err.startswith("1 agent; largest lag 2.")
    assert err.endswith("; 2 exchanges parsed, 0 shipped; received: 1 stored, 1 witness\n")
    assert agents(client) == 0
    out, err = capsys.readouterr()
    assert {row.split()[0] for row in out.splitlines()[1:]} == {"east", "west"}
    assert "2 agents; largest lag 5." in err
    assert "received: 2 stored, 2 witness" in err


def test_of_an_agent_that_started_again_the_latest_start_is_listed(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(client, "east")
    deliver(client, "east", epoch="2", lag_ms=0)
    assert agents(client, "--node", "node-1", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["epoch"] for one in found["agents"]] == ["2 of east"]
    assert found["ledger"]["server"] == {"stored": 2, "witness": 2}


def test_a_server_without_agents_says_so(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    assert agents(client, "--cluster", "north") == 0
    assert capsys.readouterr() == (
        "",
        "0 agents; 0 exchanges parsed, 0 shipped; received: none\n",
    )


def test_an_address_that_is_none_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["agents", "--server", "nowhere"]) == 64
    assert "--server takes" in capsys.readouterr().err
