"""What is compiled behaves as its sources do: their own tests say so, and so do real calls."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = (
    "agent.http.http1",
    "agent.http.h2.hpack",
    "agent.streams.table",
    "agent.redact.redactor",
    "agent.sources.har",
    "agent.events",
)
TESTS = (
    "tests/agent/http",
    "tests/agent/streams",
    "tests/agent/redact",
    "tests/agent/sources/test_har.py",
    "tests/agent/test_agent_recorded_traffic.py",
)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment in which Python prefers the compiled rooms."""
    folder = tmp_path_factory.mktemp("compiled")
    made = {**os.environ, "MYPYC_OPT_LEVEL": "0"}
    subprocess.run([ROOT / "tools/compile", folder], env=made, check=True)
    return {**os.environ, "PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}


def run(command: list[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout[-20_000:]
    return done.stdout


@pytest.mark.compiled
def test_each_room_is_a_shared_object(compiled: Mapping[str, str]) -> None:
    names = "; ".join(f"import {room}; print({room}.__file__)" for room in ROOMS)
    files = run([sys.executable, "-c", names], compiled).splitlines()
    assert [Path(file).name for file in files] == [
        f"{room.rpartition('.')[2]}{sysconfig.get_config_var('EXT_SUFFIX')}" for room in ROOMS
    ]


@pytest.mark.compiled
def test_compiled_rooms_pass_the_tests_of_their_sources(compiled: Mapping[str, str]) -> None:
    run([sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *TESTS], compiled)


@pytest.mark.compiled
@pytest.mark.root
def test_an_agent_with_compiled_rooms_captures_real_calls(compiled: Mapping[str, str]) -> None:
    chosen = ["tests/e2e/test_calls.py", "-k", "keep_alive or large"]
    run([sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *chosen], compiled)


def test_what_was_compiled_of_other_sources_is_removed(tmp_path: Path) -> None:
    """Else the commands would go on with what the sources were."""
    tree = tmp_path / "tree"
    for part in ("agent", "bpf", "tools"):
        shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tree / ".venv"], check=True)
    (preferred,) = (tree / ".venv").glob("lib/python*/site-packages")
    (preferred / "agent").mkdir()
    (preferred / "bpf").mkdir()
    (preferred / "other").mkdir()
    drop = [str(tree / "tools/compile"), "--drop-stale"]
    said = subprocess.run(drop, check=True, capture_output=True, text=True).stdout
    assert (preferred / "agent").exists(), "without a stamp it is not ours"
    assert said == ""
    (preferred / "spectap-compiled").write_text("of other sources")
    (preferred / "spectap-compiled-files").write_text("ours__mypyc.cpython.so\n")
    for name in ("ours__mypyc.cpython.so", "mypys__mypyc.cpython.so"):
        (preferred / name).touch()
    said = subprocess.run(drop, check=True, capture_output=True, text=True).stdout
    assert "make compiled" in said
    assert {path.name for path in preferred.iterdir()} == {"other", "mypys__mypyc.cpython.so"}
