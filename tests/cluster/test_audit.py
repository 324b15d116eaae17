"""The API server's own audit log, against what was captured of its calls."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from urllib.error import URLError

import pytest

from server.analysis.specs.judging.judged import Judged
from server.analysis.specs.load import load
from server.offline import reading
from tests.cluster.cluster import Cluster
from tests.cluster.installed import NAMESPACE, Installed
from tests.cluster.test_api_server import make_calls, now
from tests.e2e.processes import wait_until

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.environ.get("TIERS") != "all", reason="TIERS=all restarts kubelet, too"),
]

PARTS = ("kubelet", "kube-controller-manager", "kube-scheduler")
USERS = ("admin", "system:node:", "system:kube-", "system:serviceaccount:kube-system:")
PROXY = "system:kube-proxy"  # is not restarted
LEAST, SHARE = 500, 0.99

T = TypeVar("T")
Call = tuple[str, str, int | None, str | None]
"""Method, path, status, and the operation of the specification."""


def audited(log: Path, since: str, until: str) -> Iterator[str]:
    """The events of calls of the restarted parts and of this test, received and answered in this time."""
    start, end = map(datetime.fromisoformat, (since, until))
    for line in log.read_text().splitlines():
        event = json.loads(line)
        user = event["user"].get("username", "")
        received = datetime.fromisoformat(event["requestReceivedTimestamp"])
        answered = datetime.fromisoformat(event["stageTimestamp"])
        is_over = event["stage"] == "ResponseComplete" and start <= received and answered <= end
        if is_over and user.startswith(USERS) and user != PROXY:
            yield line


def unless_refused(ask: Callable[[], T]) -> Callable[[], T | None]:
    """Nothing while the server's Service has no endpoint: a kubelet that was restarted takes its pods for not
    ready until it has asked them, also a while after it is ready itself.
    """

    def answer() -> T | None:
        try:
            return ask()
        except URLError:
            return None

    return answer


def settled(cluster: Cluster, spectap: Installed) -> None:
    """Waits until the node and what runs on it are ready again, behind their Services."""
    ready = ("wait", f"node/{cluster.node}", "--for=condition=Ready", "--timeout=60s")
    wait_until(lambda: cluster.answers(*ready), "the node")
    spectap.rolled_out()
    slices = (
        "endpointslices",
        "--namespace",
        NAMESPACE,
        "--selector=kubernetes.io/service-name=spectap-server",
    )

    def has_endpoint() -> bool:
        ends = [end for one in cluster.get(*slices)["items"] for end in one["endpoints"] or ()]
        return any(end["conditions"].get("ready") for end in ends)

    wait_until(has_endpoint, "the server's endpoint")
    wait_until(
        unless_refused(lambda: spectap.get("/api/v1/agents")["items"]), "the server behind its Service"
    )


def test_what_the_api_server_reports_of_its_calls_is_what_was_captured(
    cluster: Cluster, spectap: Installed, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    cluster.stop(*PARTS)
    since = now()
    cluster.start_again(*PARTS)
    settled(cluster, spectap)
    make_calls(cluster)
    until = now()
    document = cluster.kubectl("get", "--raw", "/openapi/v2").encode()
    log = tmp_path / "audit.log"
    log.write_text("".join(f"{line}\n" for line in audited(cluster.layout.audit_log, since, until)))
    specification = load(document)
    described = {one.key for one in specification.operations}
    reported: Counter[Call] = Counter()
    for record in reading.records([log], [f"--key-file={tmp_path / 'key'}"]):
        assert record.request is not None
        reported[
            record.request.method,
            record.request.path.decode(),
            None if record.response is None else record.response.status,
            Judged.by(specification, record).judgement.operation,
        ] += 1
    assert reported.total() >= LEAST

    def of_the_api() -> set[str]:
        return {
            one["api"] for one in spectap.since(since) if one["path"]["text"].startswith(("/api/", "/apis/"))
        }

    for api in wait_until(unless_refused(of_the_api), "calls of the API server"):
        spectap.upload(document, api=api)

    def missing() -> Counter[Call]:
        captured = Counter(
            (
                str(one["method"]),
                str(one["path"]["text"]),
                one["status"],
                one["operation"] if one["operation"] in described else None,
            )
            for one in spectap.since(since)
        )
        return reported - captured

    def is_enough() -> bool:
        return missing().total() <= (1 - SHARE) * reported.total()

    try:
        wait_until(unless_refused(is_enough), "the calls of the audit log")
    except AssertionError as error:
        left = missing()
        raise AssertionError(
            f"{error}: {left.total()} of {reported.total()} are missing: {left.most_common(20)}"
        ) from None
    record_property("events", reported.total())
    record_property("not found", missing().total())


def test_connections_older_than_the_agent_are_counted_and_named(spectap: Installed) -> None:
    def older() -> int:
        return sum(
            one["ledger"].get("connections", {}).get("older", 0)
            for one in spectap.get("/api/v1/agents")["items"]
        )

    wait_until(unless_refused(older), "older connections")
    assert any("had begun before capture" in note for note in spectap.agent_status()["notes"])
