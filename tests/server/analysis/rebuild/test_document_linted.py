"""A rebuilt document has no error by the rules that linters recommend."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from server.analysis.rebuild.document import DocumentOptions, document
from tests.bench.linters import redocly, spectral
from tests.server.analysis.rebuild.test_components import TRAFFIC
from tests.server.analysis.rebuild.test_events import LISTS, STREAMS
from tests.server.analysis.rebuild.traffic import call, learnt

MORE = [
    call("POST", "/orders", 201, {"id": 1}, sent={"sku": "x"}, headers={"Cookie": "_ga=1; theme=dark"}),
    call("DELETE", "/orders/17", 204),
    call(path="/orders?page=2", status=404, answer={"error": "none"}),
]

EVERYTHING = os.environ.get("TIERS") == "all"
IN_CI = os.environ.get("CI", "") not in ("", "false")
LATER = pytest.mark.skipif(not EVERYTHING, reason="TIERS=all lints OpenAPI 3.2 as well")

pytestmark = pytest.mark.skipif(not EVERYTHING and not IN_CI, reason="CI and TIERS=all fetch the linters")


@pytest.fixture(params=[False, pytest.param(True, marks=LATER)], ids=["3.1", "3.2"])
def written(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A document in OpenAPI 3.1, which CI lints, and one in 3.2."""
    path = tmp_path / "openapi.json"
    servers = ["https://shop.internal"]
    options = DocumentOptions("Shop", servers=servers, evidence=True, sequences=request.param)
    path.write_text(json.dumps(document(learnt([*TRAFFIC, *MORE, *STREAMS, *LISTS]), options)))
    return path


def test_redocly_finds_no_error(written: Path) -> None:
    lint = [*redocly(), "lint", "--extends", "recommended", "--format", "json", str(written)]
    done = subprocess.run(lint, capture_output=True, text=True, timeout=120, check=False)
    found = json.loads(done.stdout)["problems"]
    assert [one["message"] for one in found if one["severity"] == "error"] == []


def test_spectral_finds_no_error(written: Path) -> None:
    rules = written.with_name("rules.yaml")
    rules.write_text("extends: ['spectral:oas']")
    lint = [*spectral(), "lint", "-r", str(rules), "-f", "json", "--quiet", str(written)]
    done = subprocess.run(lint, capture_output=True, text=True, timeout=120, check=False)
    assert [one["message"] for one in json.loads(done.stdout) if one["severity"] == 0] == []
