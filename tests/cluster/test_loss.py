"""What is lost when a pod is killed, and what the ledgers say of it."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from tests.cluster.installed import NAMESPACE, Installed
from tests.cluster.workloads import Shop
from tests.e2e.processes import wait_until

pytestmark = pytest.mark.cluster


def kill(spectap: Installed, name: str) -> None:
    """Kills the container of this application's only pod, as the kernel does when memory is short."""
    pods = spectap.cluster.get("pods", "--namespace", NAMESPACE, f"--selector=app.kubernetes.io/name={name}")
    (status,) = pods["items"][0]["status"]["containerStatuses"]
    container = status["containerID"].removeprefix("containerd://")
    tasks = spectap.cluster.containers("tasks", "list").splitlines()
    pid = next(int(line.split()[1]) for line in tasks if line.startswith(container))
    os.kill(pid, signal.SIGKILL)
    restarts = status["restartCount"]
    wait_until(lambda: restarted(spectap, name) > restarts, f"{name} to be started again")
    spectap.rolled_out()


def restarted(spectap: Installed, name: str) -> int:
    pods = spectap.cluster.get("pods", "--namespace", NAMESPACE, f"--selector=app.kubernetes.io/name={name}")
    (status,) = pods["items"][0]["status"]["containerStatuses"]
    return int(status["restartCount"]) if status["ready"] else -1


def ledgers(spectap: Installed) -> list[dict[str, Any]]:
    """Of every start of the agent, the latest report first."""
    return [one["ledger"] for one in spectap.get("/api/v1/agents")["items"]]


def test_a_killed_agent_is_named_with_the_time_it_was_blind(spectap: Installed, shop: Shop) -> None:
    before = shop.call("http", "https")
    spectap.wait_for(before)
    starts = len(ledgers(spectap))
    kill(spectap, "spectap-agent")
    after = shop.call("http", "https")
    spectap.wait_for(after)
    wait_until(lambda: len(ledgers(spectap)) > starts, "the next start's ledger")
    stops = [ledger["stops"] for ledger in ledgers(spectap) if "stops" in ledger]
    assert sum(stop.get("killed", 0) for stop in stops) == 1
    assert sum(stop.get("blind_ms", 0) for stop in stops) > 0


def test_a_killed_server_loses_nothing_of_what_was_called_meanwhile(spectap: Installed, shop: Shop) -> None:
    before = shop.call("http")
    spectap.wait_for(before)
    kill(spectap, "spectap-server")
    meanwhile = shop.call("http", "https")
    spectap.wait_for([*before, *meanwhile])
