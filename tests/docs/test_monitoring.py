"""The dashboard and the alerts ask for metrics that a server has, and get answers in a real Prometheus."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from agent.wire import Capture
from server.api.metrics import Metrics, Sources
from tests.e2e.processes import free_port
from tests.server.engine import spec
from tests.server.records import both, record
from tests.server.running import Client, serving, wait_for

FOLDER = Path(__file__).parents[2] / "examples/monitoring"
needs_prometheus = pytest.mark.skipif(
    not shutil.which("promtool") and os.environ.get("TIERS") != "all", reason="needs Debian's prometheus"
)


def queries() -> dict[str, str]:
    """The queries of the dashboard by the titles of their panels."""
    panels = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
    return {
        f"{panel['title']}, {target['refId']}": target["expr"]
        for panel in panels
        for target in panel["targets"]
    }


def rules() -> dict[str, str]:
    """The expressions of the alerts by name."""
    groups = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


def test_every_metric_of_the_dashboard_and_the_alerts_is_one_of_the_server() -> None:
    known = set(Metrics(Sources(file_bytes=float, waiting=float, dropped=float)).names())
    asked = {
        name.removesuffix("_bucket")
        for query in (*queries().values(), *rules().values())
        for name in re.findall(r"spectap_\w+", query)
    }
    assert len(asked) > 12
    assert asked <= known


def test_every_alert_is_in_the_tests_of_the_alerts() -> None:
    tests = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text())["tests"]
    fired = {
        one["alertname"] for test in tests for one in test.get("alert_rule_test", ()) if one["exp_alerts"]
    }
    assert fired == set(rules())


def test_every_alert_is_explained() -> None:
    page = (FOLDER.parents[1] / "docs/monitoring.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE) == [*rules()]


@needs_prometheus
def test_the_alerts_do_what_their_tests_say() -> None:
    for command in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]):
        done = subprocess.run(["promtool", *command], cwd=FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[httpx.Client]:
    """A Prometheus that scrapes a server every half second."""
    settings = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    (scrape,) = settings["scrape_configs"]
    scrape |= {"scrape_interval": "500ms", "scrape_timeout": "400ms"}
    scrape["static_configs"] = [{"targets": [target]}]
    settings["rule_files"] = [str(FOLDER / "alerts.yaml")]
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(settings))
    port = free_port()
    argv = ["prometheus", "--config.file", "prometheus.yaml", "--storage.tsdb.path", "data"]
    argv += ["--web.listen-address", f"127.0.0.1:{port}", "--log.level", "warn"]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            wait_for(lambda: ready(http), "Prometheus")
            yield http
    finally:
        running.terminate()
        running.wait()


def ready(http: httpx.Client) -> bool:
    try:
        return http.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def found(http: httpx.Client, query: str) -> list[Any]:
    answer = http.get("/api/v1/query", params={"query": query}).json()
    assert answer["status"] == "success", answer
    return [*answer["data"]["result"]]


@needs_prometheus
def test_every_query_of_the_dashboard_has_an_answer_in_prometheus(tmp_path: Path) -> None:
    with serving(tmp_path / "server") as client, prometheus(tmp_path, netloc(client)) as http:
        document = spec("GET /users/{id}", "!GET /old", "GET /never")
        client.http.post("/api/v1/specs?host=shop.local:8080", content=document).raise_for_status()
        open_queries = {title: query.replace("$__rate_interval", "1m") for title, query in queries().items()}
        number = 0

        def unanswered() -> list[str]:
            nonlocal number
            number += 10
            client.send(*both(number), record(number + 1, status=500), record(number + 2, path="/x"))
            client.report(Capture("everything", 200))
            return [title for title, query in open_queries.items() if not found(http, query)]

        deadline = time.monotonic() + 60
        while missing := unanswered():
            assert time.monotonic() < deadline, missing
        for alert, expression in rules().items():
            assert isinstance(found(http, expression), list), alert


def netloc(client: Client) -> str:
    return f"{client.http.base_url.host}:{client.http.base_url.port}"
