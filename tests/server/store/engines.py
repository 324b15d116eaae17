"""The engines that must conform, each with a function that opens a store in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from server.store.sqlite.store import SqliteStore
from server.store.store import Store

ENGINES: Mapping[str, Callable[[Path], Store]] = {"sqlite": SqliteStore}
