"""Proxies beside the programs, as in a service mesh: what becomes of one call."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.installed import Installed
from tests.cluster.workloads import NAMESPACE, NGINX, PYTHON, Shop, deployment, named
from tests.e2e.processes import wait_until

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.environ.get("TIERS") != "all", reason="TIERS=all puts proxies beside programs"),
]

PROGRAMS = {"asker": ["sleep", "infinity"], "meshed": ["python3", "-u", "/programs/serve.py"]}
PROXY = ["nginx", "-c", "/programs/beside.conf", "-g", "daemon off;"]


def with_proxy(name: str, command: list[str]) -> Any:
    made: Any = deployment(name, PYTHON, command, port=None)
    containers = made["spec"]["template"]["spec"]["containers"]
    containers.append({**containers[0], "name": "proxy", "image": NGINX, "command": PROXY})
    return made


@pytest.fixture(scope="module")
def meshed(cluster: Cluster, shop: Shop) -> Iterator[Cluster]:
    port = {"name": "tls", "port": 443, "targetPort": 15006}
    selector = {"app.kubernetes.io/name": "meshed"}
    objects = [named("v1", "Service", "meshed", spec={"selector": selector, "ports": [port]})]
    objects += [with_proxy(name, command) for name, command in PROGRAMS.items()]
    cluster.kubectl("apply", "--filename", "-", stdin="\n---\n".join(map(json.dumps, objects)))
    for name in PROGRAMS:
        what = (f"deployment/{name}", "--namespace", NAMESPACE, "--timeout=180s")
        cluster.kubectl("rollout", "status", *what)
    yield cluster
    cluster.kubectl("delete", "service,deployment", *PROGRAMS, "--namespace", NAMESPACE, "--ignore-not-found")


def test_a_call_through_two_proxies_is_an_exchange_for_each_hop_with_both_ends_named(
    meshed: Cluster, spectap: Installed
) -> None:
    def call() -> str:
        made = secrets.token_hex(8)
        argv = ("exec", "--namespace", NAMESPACE, "deployment/asker", "--container=asker", "--")
        url = f"http://127.0.0.1:15001/calls/{made}"
        meshed.kubectl(*argv, "python3", "/programs/call.py", url)
        return made

    made = call()
    hops = [("asker", "asker"), ("asker", "meshed"), ("meshed", "meshed")]

    def found() -> bool:
        seen = spectap.exchanges([made])[made]
        ends = sorted((one["client"]["workload"], one["server"]["workload"]) for one in seen)
        return ends == hops and all(len(one["witnesses"]) == 2 for one in seen)

    try:
        wait_until(found, "one exchange for each hop")
    except AssertionError as error:
        raise AssertionError(f"{error}: {json.dumps(spectap.exchanges([made]))}") from None
