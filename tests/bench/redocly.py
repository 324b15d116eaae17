"""Redocly's command line, the yardstick for commands on files; fetched once from npm, without its scripts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.bench.templates_corpus import Unavailable

PACKAGE = "@redocly/cli@2.77.0"
_CACHE = Path(os.environ.get("SPECTAP_BENCH_CACHE", Path.home() / ".cache/spectap-bench"))


def redocly() -> list[str]:
    """The command, which fetches nothing and reports nothing. Raises Unavailable."""
    folder = _CACHE / PACKAGE.replace("/", "_")
    program = folder / "node_modules/@redocly/cli/bin/cli.js"
    node = shutil.which("node")
    if node is None:
        raise Unavailable("node is not installed")
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text("{}")
        fetch = ["npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", PACKAGE]
        try:
            subprocess.run(fetch, cwd=folder, check=True, capture_output=True, timeout=300)
        except (OSError, subprocess.SubprocessError) as error:
            raise Unavailable(f"npm cannot fetch {PACKAGE}: {type(error).__name__}") from error
    quiet = ["REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true"]
    return ["env", *quiet, node, str(program)]
