"""Coverage of Kubernetes' API from an audit log of a real API server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.cli import main
from tests.server.analysis.coverage.shop import of

LOG = Path(__file__).parents[3] / "data/audit/kube-apiserver.jsonl"
CORE = "/api/v1/namespaces/{namespace}"
PROXY = f"GET {CORE}/services/{{name}}/proxy/{{path}}"


def operation(action: str, *parameters: str, **more: Any) -> dict[str, Any]:
    return {
        "x-kubernetes-action": action,
        "parameters": [{"name": name, "in": "query", "type": "string"} for name in parameters],
        "responses": {"200": {"description": "OK"}},
        **more,
    }


def path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "type": "string"}


SPEC = {
    "swagger": "2.0",
    "info": {"title": "Kubernetes", "version": "v1.34"},
    "paths": {
        f"{CORE}/configmaps": {
            "get": operation("list", "watch", "timeoutSeconds"),
            "post": operation("post"),
            "delete": operation("deletecollection"),
        },
        f"{CORE}/configmaps/{{name}}": {"get": operation("get"), "put": operation("put")},
        PROXY.removeprefix("GET "): {
            "get": operation("connect"),
            "parameters": [path("namespace"), path("name"), path("path")],
        },
        "/api/v1/nodes/{name}/metrics": {"get": operation("get")},
        "/api/v1/watch/configmaps": {
            "get": operation("watchlist", description="watch. deprecated: use the 'watch' parameter instead.")
        },
        "/apis/apps/v1beta1/deployments": {"get": operation("list")},
    },
}


def covered(tmp_path: Path, capsys: pytest.CaptureFixture[str], log: Path) -> Any:
    (tmp_path / "swagger.json").write_text(json.dumps(SPEC))
    words = [f"--spec={tmp_path / 'swagger.json'}", f"--key-file={tmp_path / 'key'}", "--json", str(log)]
    assert main(["coverage", "--by=test", *words]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def coverage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    return covered(tmp_path, capsys, LOG)


def test_a_watch_is_counted_apart_from_lists(coverage: Any) -> None:
    one = of(coverage, f"GET {CORE}/configmaps")
    assert (one["hits"], one["watch"]) == ({}, {"2xx": 1})


@pytest.mark.parametrize("behind", ["metrics", "healthz", "metrics/cadvisor", "api/v1/namespaces"])
def test_whatever_lies_behind_a_proxy_belongs_to_the_proxy(
    behind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = next(line for line in LOG.read_text().splitlines() if "/proxy/" in line)
    event = json.loads(line)
    event["requestURI"] = event["requestURI"].partition("/proxy/")[0] + f"/proxy/{behind}"
    (tmp_path / "log").write_text(json.dumps(event))
    found = covered(tmp_path, capsys, tmp_path / "log")
    assert [one["operation"] for one in found["operations"] if one["hits"]] == [PROXY]
    assert found["unknown"] == []


def test_a_deletion_of_all_is_told_from_a_deletion_of_one(coverage: Any) -> None:
    assert of(coverage, f"DELETE {CORE}/configmaps")["hits"] == {"2xx": 1}


def test_what_only_a_description_calls_deprecated_is_left_out_of_the_totals(coverage: Any) -> None:
    assert of(coverage, "GET /api/v1/watch/configmaps")["deprecated"]
    assert (coverage["total"], coverage["deprecated"]["total"]) == (8, 1)


def test_levels_come_from_the_group_version(coverage: Any) -> None:
    assert {name: one["total"] for name, one in coverage["levels"].items()} == {"stable": 7, "beta": 1}
