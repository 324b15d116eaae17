"""The cluster's own API, over HTTP/2 and TLS of Go: its own specification against its calls."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.installed import Installed
from tests.e2e.processes import wait_until

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.environ.get("TIERS") != "all", reason="TIERS=all captures the API server, too"),
]

OBJECTS = 100
SHARE = 0.99
DESCRIBED = {"conforming", "deviating", "unjudged"}


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def make_calls(cluster: Cluster) -> None:
    """Five calls for each of many objects, on one connection."""
    trust = ssl.create_default_context(cafile=str(cluster.identities.certificate("ca")))
    trust.load_cert_chain(cluster.identities.certificate("admin"), cluster.identities.key("admin"))
    parts = urlsplit(cluster.url)
    connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, context=trust)
    folder = "/api/v1/namespaces/default/configmaps"
    for number in range(OBJECTS):
        path = f"{folder}/object-{number}"
        made = json.dumps({"metadata": {"name": f"object-{number}"}})
        for method, where, body in (
            ("POST", folder, made),
            ("GET", path, None),
            ("PUT", path, made),
            ("DELETE", path, None),
            ("GET", path, None),
        ):
            connection.request(method, where, body, {"content-type": "application/json"})
            connection.getresponse().read()
    connection.close()


def test_the_clusters_own_specification_describes_every_call(cluster: Cluster, spectap: Installed) -> None:
    since, folder = now(), "/api/v1/namespaces/default/configmaps"
    make_calls(cluster)

    def calls() -> list[dict[str, Any]]:
        return [one for one in spectap.since(since) if one["path"]["text"].startswith(folder)]

    wait_until(lambda: len(calls()) >= SHARE * 5 * OBJECTS, "the calls")
    (api,) = {one["api"] for one in calls()}
    spectap.upload(cluster.kubectl("get", "--raw", "/openapi/v2").encode(), api=api)
    wait_until(lambda: {one["verdict"] for one in calls()} <= DESCRIBED, "verdicts by the specification")
