"""The API's own document: complete, and without a finding by the rules that linters recommend."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.bench.linters import redocly, spectral
from tests.server.running import Client

linted = pytest.mark.skipif(os.environ.get("TIERS") != "all", reason="TIERS=all fetches the linters")


@pytest.fixture
def written(client: Client, tmp_path: Path) -> Path:
    path = tmp_path / "openapi.json"
    path.write_bytes(client.http.get("/openapi.json").content)
    return path


def test_every_operation_has_a_short_name_of_its_own_a_known_tag_and_a_description(written: Path) -> None:
    document = json.loads(written.read_text())
    operations: list[dict[str, Any]] = [one for path in document["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations]
    assert len({*names}) == len(names)
    assert all(name.islower() and len(name) < 30 for name in names)
    tags = {tag["name"] for tag in document["tags"]}
    assert {tag for one in operations for tag in one["tags"]} == tags
    assert all(one["description"] for one in [*operations, *document["tags"], document["info"]])


@linted
def test_redocly_finds_nothing(written: Path) -> None:
    lint = [*redocly(), "lint", "--extends", "recommended", "--format", "json", str(written)]
    done = subprocess.run(lint, capture_output=True, text=True, timeout=120, check=False)
    assert [one["message"] for one in json.loads(done.stdout)["problems"]] == []


@linted
def test_spectral_finds_nothing(written: Path) -> None:
    rules = written.with_name("rules.yaml")
    rules.write_text("extends: ['spectral:oas']")
    lint = [*spectral(), "lint", "-r", str(rules), "-f", "json", str(written)]
    done = subprocess.run(lint, capture_output=True, text=True, timeout=120, check=False)
    results, _ = json.JSONDecoder().raw_decode(done.stdout or "[]")  # a sentence may follow
    assert [one["message"] for one in results] == []
