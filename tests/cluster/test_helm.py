"""The chart on a cluster: install, test, upgrade, uninstall, with TLS from the start or later."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import HTTPError

import pytest

from tests.cluster.cluster import RUN, Cluster
from tests.cluster.installed import FITTING, NAMESPACE, Installed, fetch, nothing_left, ready
from tests.cluster.workloads import Shop
from tests.e2e.processes import REPOSITORY

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.environ.get("TIERS") != "all", reason="TIERS=all installs the chart, too"),
]

VOLUME = REPOSITORY / FITTING / "volume.yaml"
TLS = ("--set", "tls.enabled=true", "--set", "tls.clientCertificates=true")
HEADS_ONLY = ("--set-string", "agent.settings.SPECTAP_HEADS_ONLY=1")
OF_THE_CLUSTER = {"serviceaccounts/default", "configmaps/kube-root-ca.crt"}
"""What every namespace has."""


@contextmanager
def by_helm(cluster: Cluster, *values: str) -> Iterator[Installed]:
    """As daemonset/README.md says; uninstalled at the end, which leaves the server's volume and no more."""
    with nothing_left(cluster):
        cluster.kubectl("create", "namespace", NAMESPACE)
        cluster.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=privileged")
        cluster.kubectl("apply", "--filename", VOLUME)
        helm(cluster, "install", *values)
        try:
            yield ready(cluster)
            uninstall(cluster)
            assert objects(cluster) - OF_THE_CLUSTER == {"persistentvolumeclaims/data-spectap-server-0"}
        finally:
            cluster.do(
                "helm", "uninstall", "spectap", "--namespace", NAMESPACE, "--ignore-not-found", "--wait"
            )
            cluster.kubectl("delete", "--filename", VOLUME, "--wait=false")
            cluster.kubectl("delete", "namespace", NAMESPACE, "--timeout=120s")


def helm(cluster: Cluster, action: str, *values: str) -> None:
    """Installs or upgrades the chart."""
    chart, ours = REPOSITORY / "daemonset/chart", f"agent.stateFolder={RUN}/agent"
    images = ("--set", "image.repository=localhost/", "--set", "image.tag=test", "--set", ours)
    cluster.do("helm", action, "spectap", chart, "--namespace", NAMESPACE, *images, *values)


def uninstall(cluster: Cluster, *options: str) -> None:
    cluster.do("helm", "uninstall", "spectap", "--namespace", NAMESPACE, "--wait", "--timeout=120s", *options)


def objects(cluster: Cluster) -> set[str]:
    """Everything in the namespace that was not deleted, but for what happened there."""
    kinds = cluster.kubectl("api-resources", "--verbs=list", "--namespaced", "--output=name").split()
    asked = ",".join(kind for kind in kinds if not kind.startswith("events"))
    found = cluster.get(asked, "--namespace", NAMESPACE)["items"]
    return {
        f"{one['kind'].lower()}s/{one['metadata']['name']}"
        for one in found
        if "deletionTimestamp" not in one["metadata"]
    }


def passes_its_test(cluster: Cluster) -> None:
    said = cluster.do("helm", "test", "spectap", "--namespace", NAMESPACE, "--timeout=120s")
    assert "Phase:          Succeeded" in said


@pytest.mark.parametrize(
    ("first", "then"), [((), (*TLS, *HEADS_ONLY)), (TLS, (*TLS, *HEADS_ONLY))], ids=["plain", "tls"]
)
def test_an_upgrade_keeps_the_secrets_and_the_data_and_nothing_stays_once_it_is_uninstalled(
    cluster: Cluster, shop: Shop, first: tuple[str, ...], then: tuple[str, ...]
) -> None:
    with by_helm(cluster, *first) as spectap:
        passes_its_test(cluster)
        before = shop.call("http", "https")
        spectap.wait_for(before)
        helm(cluster, "upgrade", *then)
        spectap.rolled_out()
        passes_its_test(cluster)
        after = shop.call("https")
        found = spectap.wait_for([*before, *after])  # with the tokens of the first installation
        assert found[before[1]]["request"]["body"] is not None
        assert found[after[0]]["request"]["body"] is None
        assert spectap.url().startswith("https://")
        with pytest.raises(HTTPError) as refused:  # the right token, and no certificate
            fetch(f"{spectap.url()}/api/v1/records", spectap.tokens["ingest"], b"")
        with refused.value:
            assert refused.value.code == 403
