"""What is lost when pods or the API server are killed or pods replaced, and what the ledgers say of it."""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Any

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.installed import NAMESPACE, Installed, fetch
from tests.cluster.test_api_server import now
from tests.cluster.workloads import NAMESPACE as SHOP
from tests.cluster.workloads import Shop, later
from tests.e2e.processes import REPOSITORY, wait_until

pytestmark = pytest.mark.cluster
everything = pytest.mark.skipif(os.environ.get("TIERS") != "all", reason="TIERS=all kills and replaces more")


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


@dataclass(frozen=True, slots=True)
class Made:
    """Calls, and when they were made (seconds)."""

    ids: list[str]
    started: float
    ended: float


@contextmanager
def calling(shop: Shop) -> Iterator[list[Made]]:
    """Makes calls without a pause until the end; each on a connection of its own."""
    made: list[Made] = []
    stopping = Event()

    def call() -> None:
        while not stopping.is_set():
            started = time.monotonic()
            made.append(Made(shop.call("http", "https"), started, time.monotonic()))

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(call)
        try:
            wait_until(lambda: made, "the first call")
            yield made
        finally:
            stopping.set()
        running.result()


def replace_pods(spectap: Installed, what: str) -> float:
    """Replaces its pods one by one, as an upgrade does. Returns when that began (seconds)."""
    began = time.monotonic()
    spectap.cluster.kubectl("rollout", "restart", "--namespace", NAMESPACE, what)
    spectap.rolled_out()
    return began


@everything
def test_an_upgrade_under_traffic_loses_what_the_next_agent_names_as_its_blind_time_and_no_more(
    spectap: Installed, shop: Shop
) -> None:
    since, starts = now(), len(ledgers(spectap))
    with calling(shop) as made:
        replace_pods(spectap, "statefulset/spectap-server")
        older = (REPOSITORY / "tests/data/wire/batch-v2.msgpack").read_bytes()
        answer = fetch(f"{spectap.url()}/api/v1/records", spectap.tokens["ingest"], older)
        assert answer == {"acked": 3}  # as agents send that are not replaced yet
        began = replace_pods(spectap, "daemonset/spectap-agent")
    spectap.wait_for(shop.call("http", "https"))
    wait_until(lambda: len(ledgers(spectap)) > starts + 1, "the older agent's ledger, and the next start's")

    def lost() -> list[Made]:
        views: Counter[str] = Counter()
        for one in spectap.since(since):
            views[one["path"]["text"].rpartition("/")[2]] += len(one["witnesses"])
        return [calls for calls in made if any(views[name] < 2 for name in calls.ids)]

    def all_is_named() -> bool:
        found, stops = lost(), [one["stops"] for one in ledgers(spectap) if "stops" in one]
        blind = sum(stop.get("blind_ms", 0) for stop in stops) / 1000
        late = all(calls.ended >= began for calls in found)
        return late and (not found or found[-1].started - found[0].ended <= blind)

    try:
        wait_until(all_is_named, "all calls but those of the blind time")
    except AssertionError as error:
        raise AssertionError(f"{error}: {began}: {lost()} of {len(made)}; {ledgers(spectap)}") from None
    assert len(lost()) < len(made)


@everything
def test_a_killed_api_server_hides_no_call_and_pods_that_start_later_have_names(
    cluster: Cluster, spectap: Installed, shop: Shop
) -> None:
    address = cluster.service("orders", SHOP)
    meanwhile = [secrets.token_hex(8) for _ in range(2)]
    urls = [
        f"{scheme}://{address}/calls/{name}"
        for scheme, name in zip(("http", "https"), meanwhile, strict=True)
    ]
    cluster.kill("kube-apiserver")
    argv = ("--exec-id", meanwhile[0], shop.pods["cart"].container, "python3", "/programs/call.py", *urls)
    assert cluster.containers("tasks", "exec", *argv).split() == meanwhile
    cluster.start_again("kube-apiserver")
    wait_until(cluster.is_ready, "the API server")
    for exchange in spectap.wait_for(meanwhile).values():
        assert (exchange["client"]["pod"], exchange["server"]["pod"]) == (
            shop.pods["cart"].name,
            shop.pods["orders"].name,
        )
    with later(shop, "late") as grown:
        for exchange in spectap.wait_for(grown.call("http", "https", client="late")).values():
            assert exchange["client"]["workload"] == "late"
            assert exchange["client"]["pod"] == grown.pods["late"].name
    wait_until(
        lambda: "endpointslices: the Kubernetes API answers again" in spectap.logs(), "the server's watch"
    )


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
