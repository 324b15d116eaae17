"""The bill of materials of an image, made of this machine's root: valid, complete, and always the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from importlib.metadata import distributions
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

SBOM = Path(__file__).parents[2] / "daemonset/sbom"
FOLDER = sysconfig.get_path("purelib")


def bill(seed: str = "1") -> str:
    words = [sys.executable, str(SBOM), "spectap-server", "1.2.3", FOLDER]
    environment = os.environ | {"PYTHONHASHSEED": seed, "SOURCE_DATE_EPOCH": "1800000000"}
    return subprocess.run(words, env=environment, check=True, capture_output=True, text=True).stdout


def test_it_is_valid_and_names_every_package_once() -> None:
    made = bill()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(made) is None
    found = json.loads(made)
    assert found["metadata"]["component"] == {
        "bom-ref": "spectap-server",
        "name": "spectap-server",
        "type": "container",
        "version": "1.2.3",
    }
    listed = [one["purl"] for one in found["components"]]
    named = ((one.name.lower().replace("_", "-"), one.version) for one in distributions(path=[FOLDER]))
    python = {f"pkg:pypi/{name}@{version}" for name, version in named}
    assert {url for url in listed if url.startswith("pkg:pypi/")} == python
    words = ["dpkg-query", "-W", "-f", "${Package}\t${Version}\n"]
    packages = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    shown = {(one["name"], one["version"]) for one in found["components"] if "pkg:deb/" in one["purl"]}
    assert shown == {tuple(line.split("\t")) for line in packages}
    assert all(any(url.startswith(kind) for url in listed) for kind in ("pkg:pypi/httpx@", "pkg:deb/"))


def test_the_same_content_gives_the_same_text() -> None:
    assert bill("1") == bill("2")
