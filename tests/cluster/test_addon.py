"""An addon's coverage of the Kubernetes API, by what it is; and what annotations of its namespace choose."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from tests.cluster.installed import NAMESPACE as SPECTAP
from tests.cluster.installed import Installed
from tests.cluster.workloads import NAMESPACE, PYTHON, Pod, Shop, deployment, named, pod
from tests.e2e.processes import wait_until

pytestmark = pytest.mark.cluster

CHART = "addon-1.2.3"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"


@dataclass(frozen=True, slots=True)
class Addon:
    """A pod that asks the Kubernetes API."""

    spectap: Installed
    pod: Pod

    def ask(self, *paths: str) -> None:
        program = ("python3", "/programs/ask.py")
        argv = ("exec", "--namespace", NAMESPACE, self.pod.name, "--", *program, *paths)
        assert len(self.spectap.cluster.kubectl(*argv).split()) == len(paths)

    def api(self) -> str | None:
        """The API that it calls, as the server knows it."""
        found = self.spectap.get("/api/v1/exchanges", namespace=NAMESPACE, workload="addon")["items"]
        return next((str(one["api"]) for one in found), None)


@pytest.fixture(scope="module")
def listed(spectap: Installed, shop: Shop) -> Installed:
    """With the shop's annotations heeded."""
    for what, setting in (
        ("daemonset/spectap-agent", "SPECTAP_ANNOTATIONS_FROM"),
        ("statefulset/spectap-server", "SPECTAP_SPECS_FROM"),
    ):
        spectap.cluster.kubectl("set", "env", "--namespace", SPECTAP, what, f"{setting}={NAMESPACE}")
    spectap.rolled_out()
    return spectap


@pytest.fixture(scope="module")
def addon(listed: Installed) -> Iterator[Addon]:
    made: Any = deployment("addon", PYTHON, ["sleep", "infinity"], port=None)
    template = made["spec"]["template"]
    template["metadata"]["labels"] = {**template["metadata"]["labels"], "helm.sh/chart": CHART}
    template["metadata"]["annotations"] = {"spectap.io/aggregation-header": "X-Team"}
    template["spec"]["serviceAccountName"] = "addon"
    rights = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    subject = {"kind": "ServiceAccount", "name": "addon", "namespace": NAMESPACE}
    objects = [
        named("v1", "ServiceAccount", "addon"),
        named("rbac.authorization.k8s.io/v1", "RoleBinding", "addon", roleRef=rights, subjects=[subject]),
        made,
    ]
    cluster = listed.cluster
    cluster.kubectl("apply", "--filename", "-", stdin="\n---\n".join(map(json.dumps, objects)))
    cluster.kubectl("rollout", "status", "--namespace", NAMESPACE, "deployment/addon", "--timeout=180s")
    yield Addon(listed, pod(cluster, "addon"))
    kinds = "deployment,rolebinding,serviceaccount"
    cluster.kubectl("delete", kinds, "addon", "--namespace", NAMESPACE, "--wait=false")


def test_an_addons_coverage_of_the_kubernetes_api_by_deployment_pod_chart_and_header(addon: Addon) -> None:
    spectap = addon.spectap
    addon.ask(PODS, DEPLOYMENTS)
    api = wait_until(addon.api, "the addon's calls")
    spectap.upload(spectap.cluster.kubectl("get", "--raw", "/openapi/v2").encode(), api=api)
    names = {
        "workload": f"{NAMESPACE}/addon",
        "pod": f"{NAMESPACE}/{addon.pod.name}",
        "chart": CHART,
        "aggregation": "blue",
    }

    def coverage(by: str) -> Any:
        return spectap.get(f"/api/v1/apis/{api}/coverage", by=by)

    def has(by: str, level: str, hits: int) -> bool:
        one = coverage(by)["consumers"].get(names[by])
        return one is not None and one["levels"][level]["hit"] == hits

    for by in names:
        wait_until(partial(has, by, "stable", 2), f"both calls by {by}")
        assert has(by, "beta", 0)
    beta = next(
        one["operation"].removeprefix("GET ")
        for one in coverage("workload")["operations"]
        if one["level"] == "beta" and one["operation"].startswith("GET /") and "{" not in one["operation"]
    )
    addon.ask(beta)
    for by in names:
        wait_until(partial(has, by, "beta", 1), f"the later call by {by}")
        assert has(by, "stable", 2)


def test_a_service_names_its_specification(listed: Installed, shop: Shop) -> None:
    annotate = ("annotate", "service", "orders", "--namespace", NAMESPACE, "--overwrite")
    listed.cluster.kubectl(*annotate, "spectap.io/spec=:plain/openapi.json")

    def described() -> list[str]:
        specs = listed.get("/api/v1/specs")["items"]
        return [str(one["api"]) for one in specs if one["title"] == "Orders"]

    (api,) = wait_until(described, "the specification")
    assert listed.get(f"/api/v1/apis/{api}")["name"] == f"{NAMESPACE}/orders"
    listed.cluster.kubectl(*annotate[:-1], "spectap.io/spec-")
