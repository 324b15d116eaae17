"""Linters of OpenAPI documents, the yardstick for commands on files; fetched from npm, without scripts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.bench.templates_corpus import Unavailable

REDOCLY = "@redocly/cli@2.77.0"
SPECTRAL = "@stoplight/spectral-cli@6.16.3"
_CACHE = Path(os.environ.get("SPECTAP_BENCH_CACHE", Path.home() / ".cache/spectap-bench"))


def redocly() -> list[str]:
    """Redocly's command, which fetches nothing and reports nothing. Raises Unavailable."""
    quiet = ["REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true"]
    return ["env", *quiet, *_program(REDOCLY, "@redocly/cli/bin/cli.js")]


def spectral() -> list[str]:
    """Spectral's command. Raises Unavailable."""
    return _program(SPECTRAL, "@stoplight/spectral-cli/dist/index.js")


def _program(package: str, file: str) -> list[str]:
    folder = _CACHE / package.replace("/", "_")
    program = folder / "node_modules" / file
    node = shutil.which("node")
    if node is None:
        raise Unavailable("node is not installed")
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text("{}")
        fetch = ["npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", package]
        try:
            subprocess.run(fetch, cwd=folder, check=True, capture_output=True, timeout=300)
        except (OSError, subprocess.SubprocessError) as error:
            raise Unavailable(f"npm cannot fetch {package}: {type(error).__name__}") from error
    return [node, str(program)]
