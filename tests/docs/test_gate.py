"""The workflow of examples/gate: its steps run, and only its gate fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

GATE = Path(__file__).parents[2] / "examples/gate"
STEPS = yaml.safe_load((GATE / "workflow.yaml").read_text())["jobs"]["api"]["steps"]


def test_its_steps_run_and_the_last_one_fails_for_what_was_found(tmp_path: Path) -> None:
    folder = shutil.copytree(GATE, tmp_path / "checkout")
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "SPECTAP_KEY_FILE": str(tmp_path / "key"),
    }
    ended = {
        step["name"]: subprocess.run(
            ["bash", "-eo", "pipefail", "-c", step["run"]], cwd=folder, env=environment, check=False
        ).returncode
        for step in STEPS
        if "run" in step and step["name"] != "Install"
    }
    assert ended == {"Annotate": 0, "Summarise": 0, "Report": 0, "Gate": 2}
    assert (tmp_path / "summary.md").read_text().startswith("**7 exchanges: 1 shadow")
    results = json.loads((folder / "spectap.sarif").read_text())["runs"][0]["results"]
    uris = {one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in results}
    assert (len(results), uris) == (4, {"openapi.yaml"})
