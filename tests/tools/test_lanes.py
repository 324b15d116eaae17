"""The test command runs two lanes side by side and fails if one does. Python is a stand-in that says what it
was asked to run.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import TIERS
from tests.e2e.processes import wait_until

ROOT = Path(__file__).parents[2]
IS_DEBIAN = "ID=debian" in Path("/etc/os-release").read_text().splitlines()
PYTHON = """#!/bin/sh
lane=host
case "$*" in *"not (root"*) lane=rest ;; esac
echo $$ > "$STATE/$lane"
while [ ! -e "$STATE/go" ]; do sleep 0.05; done
echo "ran $lane: $*"
[ "$lane" != "$FAILING" ] || { echo "FAILED tests/test_of_$lane.py::test_it"; exit 1; }
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("pytest", "as-root"):
        (tmp_path / "tools").mkdir(exist_ok=True)
        shutil.copy(ROOT / "tools" / name, tmp_path / "tools")
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON)
    python.chmod(0o755)
    (tmp_path / "state").mkdir()
    return tmp_path


@pytest.fixture
def builders(tree: Path) -> list[Path]:
    """What builds a cluster's parts: each writes its process id to a file, and does not end."""
    folder, started = tree / "tests/cluster", []
    folder.mkdir(parents=True)
    for name in ("build-images", "build-kubernetes"):
        lasts = "sleep 600" if name == "build-kubernetes" else ""
        (folder / name).write_text(f'#!/bin/sh\necho $$ > "$STATE/{name}"\n{lasts}\n')
        (folder / name).chmod(0o755)
        started.append(tree / "state" / name)
    return started


def start(tree: Path, failing: str, *words: str, ci: str = "true") -> subprocess.Popen[str]:
    environment = {**os.environ, "STATE": str(tree / "state"), "FAILING": failing, "CI": ci, "TIERS": ""}
    return subprocess.Popen(
        [tree / "tools/pytest", *words],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def begun(tree: Path) -> list[int]:
    """The processes of both lanes, which wait."""
    lanes = [tree / "state" / lane for lane in ("host", "rest")]
    wait_until(lambda: all(lane.exists() and lane.read_text().strip() for lane in lanes), "both lanes")
    return [int(lane.read_text()) for lane in lanes]


@pytest.mark.parametrize("failing", ["neither", "host", "rest"])
def test_both_lanes_run_at_once_and_either_may_fail(tree: Path, failing: str) -> None:
    with start(tree, failing) as running:
        begun(tree)
        (tree / "state/go").touch()
        output, _ = running.communicate()
    assert ("ran host" in output, "ran rest" in output) == (True, True)
    assert (running.returncode == 0) == (failing == "neither")
    last = output.splitlines()[-2]
    assert (last == f"FAILED tests/test_of_{failing}.py::test_it") == (failing != "neither")


@pytest.mark.parametrize(("ci", "slow"), [("true", True), ("", False)])
def test_the_slow_tiers_run_in_ci_only(tree: Path, ci: str, slow: bool) -> None:
    (tree / "state/go").touch()
    for tier in ("vm", "cluster"):
        (tree / "tests" / tier).mkdir(parents=True)
    with start(tree, "neither", ci=ci) as running:
        output, _ = running.communicate()
    chosen = {
        lane: output.split(f"ran {lane}: -m pytest -m ")[1].splitlines()[0] for lane in ("host", "rest")
    }

    def runs(lane: str, tier: str) -> bool:
        return bool(eval(chosen[lane], {name: name == tier for name in TIERS}))

    of_host, of_rest = ({tier for tier in ("", *TIERS) if runs(lane, tier)} for lane in chosen)
    assert of_host - {"cluster"} == {"root"}
    assert of_rest - {"vm", "browser"} == ({"", "compiled"} if slow else {""})
    for tier, lane in {"cluster": of_host, "vm": of_rest}.items():
        assert (tier in lane) == (slow and IS_DEBIAN)


def test_with_arguments_there_is_one_lane(tree: Path) -> None:
    (tree / "state/go").touch()
    with start(tree, "neither", "-k", "loss") as running:
        output, _ = running.communicate()
    assert output.splitlines()[-1].endswith("-k loss")
    assert output.count("ran ") == 1


def test_what_a_cluster_is_made_of_is_built_meanwhile_and_ends_with_the_lanes(
    tree: Path, builders: list[Path]
) -> None:
    with start(tree, "neither") as running:
        begun(tree)
        pid = wait_until(lambda: builders[-1].exists() and builders[-1].read_text().strip(), "the builders")
        (tree / "state/go").touch()
        running.communicate()
    assert builders[0].exists()
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the builder to end")


def test_an_interrupt_ends_both_lanes(tree: Path) -> None:
    with start(tree, "neither") as running:
        lanes = begun(tree)
        os.killpg(running.pid, signal.SIGINT)
        running.wait()
    assert running.returncode == 130
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in lanes), "both lanes to end")
