"""The images of agent and server, as daemonset/build-images builds them."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.cluster.installed import images
from tests.e2e.processes import REPOSITORY

pytestmark = pytest.mark.cluster

BUILDER = REPOSITORY / "tests/cluster/build-images"
MOST_MB = {"agent": 400, "server": 200}  # on disk
OWN = {"agent": "python3-bpfcc", "server": "python3"}
"""What each image has of the distribution."""
HASHED = 0b01  # in the second word of a compiled file: it states its source's hash, not its time


def described(archive: Path) -> dict[str, Any]:
    """An image's configuration: what it says of itself, its layers, how it was made."""
    with tarfile.open(archive) as tar:
        found: dict[str, Any] = json.loads(read(tar, json.loads(read(tar, "manifest.json"))[0]["Config"]))
    return found


def config(name: str) -> dict[str, Any]:
    """What an image says of itself."""
    found: dict[str, Any] = described(images() / f"{name}.tar")["config"]
    return found


def files(name: str, pattern: str) -> Iterator[tuple[str, bytes]]:
    """The files of an image whose paths match."""
    with tarfile.open(images() / f"{name}.tar") as archive:
        for layer in json.loads(read(archive, "manifest.json"))[0]["Layers"]:
            with tarfile.open(fileobj=io.BytesIO(read(archive, layer))) as content:
                for entry in content:
                    if entry.isfile() and re.fullmatch(pattern, entry.name):
                        yield entry.name, read(content, entry.name)


def read(archive: tarfile.TarFile, name: str) -> bytes:
    found = archive.extractfile(name)
    assert found is not None
    return found.read()


@pytest.mark.parametrize("name", MOST_MB)
def test_an_image_stays_small(name: str) -> None:
    assert (images() / f"{name}.tar").stat().st_size <= MOST_MB[name] * 1_000_000


@pytest.mark.parametrize("name", MOST_MB)
def test_an_image_says_what_it_is_and_how_it_is_checked(name: str) -> None:
    found = config(name)
    said = {
        label.rpartition(".")[2] for label in found["Labels"] if label.startswith("org.opencontainers.image.")
    }
    assert {"title", "description", "licenses", "version", "revision"} <= said
    assert "/healthz" in str(found["Healthcheck"])


@pytest.mark.parametrize("name", MOST_MB)
def test_an_image_lists_what_is_in_it(name: str) -> None:
    ((_, content),) = files(name, r"usr/share/spectap/sbom\.cdx\.json")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(content.decode()) is None
    listed = {one["purl"].partition("@")[0] for one in json.loads(content)["components"]}
    assert {f"pkg:deb/debian/{OWN[name]}", "pkg:pypi/spectap"} <= listed
    locked = re.findall(
        r"^([a-z0-9-]+)==", (REPOSITORY / f"daemonset/{name}.lock").read_text(), flags=re.MULTILINE
    )
    missing = {one for one in locked if f"pkg:pypi/{one}" not in listed}
    assert missing <= {"colorama", "exceptiongroup", "typing-extensions", "uvloop", "tzdata"}, (
        "of other systems only"
    )


@pytest.mark.parametrize("name", MOST_MB)
def test_compiled_python_states_no_time(name: str) -> None:
    found = dict(files(name, r"opt/spectap/.*\.pyc"))
    assert len(found) > 100
    assert not [
        path for path, content in found.items() if not int.from_bytes(content[4:8], "little") & HASHED
    ]


@pytest.mark.skipif(os.environ.get("TIERS") != "all", reason="TIERS=all builds the images a second time")
def test_two_builds_have_the_same_layers_and_differ_in_names_of_the_builder_only(tmp_path: Path) -> None:
    subprocess.run([BUILDER, "again", tmp_path], check=True)
    for name in MOST_MB:
        first, second = (
            without_builder(described(folder / f"{name}.tar")) for folder in (images(), tmp_path)
        )
        assert second == first, name


def without_builder(image: dict[str, Any]) -> dict[str, Any]:
    """Without what buildah calls the containers and images that it made on the way, and when."""
    for part in (image["config"], image["container_config"]):
        del part["Hostname"]
    return {name: value for name, value in image.items() if name not in ("container", "history", "parent")}
