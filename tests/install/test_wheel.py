"""The wheel, in an environment of its own: no packages of the system, no bcc, nothing of the checkout."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.processes import free_port, listening, wait_until

ROOT = Path(__file__).parents[2]
GATEWAY = ROOT / "examples/gateway"
UNREACHABLE = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ProxyError")
LOCKED = re.compile(r"^([\w.-]+==[^ ;\\]+)( *;[^\\\n]*)?", re.MULTILINE)


@dataclass(frozen=True)
class Installed:
    """The commands of an environment that has the wheel, run in a folder and with state of their own."""

    commands: Path
    folder: Path

    def argv(self, command: str, *words: str | Path) -> list[str]:
        return [str(self.commands / command), *map(str, words)]

    def environment(self) -> dict[str, str]:
        state = {
            f"SPECTAP_{name}": str(self.folder / name) for name in ("KEY_FILE", "CACHE", "SPOOL", "DATA")
        }
        return {"PATH": os.defpath, "HOME": str(self.folder), **state}

    def run(self, command: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        argv, environment = self.argv(command, *words), self.environment()
        return subprocess.run(argv, cwd=self.folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ["-q", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True)
    (found,) = folder.glob("spectap-*.whl")
    return found


@pytest.fixture(scope="module")
def commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands, with what the extras ask for, in the locked versions."""
    folder = tmp_path_factory.mktemp("environment")
    (folder / "versions").write_text(
        "\n".join("".join(found) for found in LOCKED.findall((ROOT / "requirements.lock").read_text()))
    )
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    options = ["-q", "--only-binary=:all:", "-c", str(folder / "versions")]
    install = [str(folder / "venv/bin/pip"), "install", *options, f"{wheel}[agent,server]"]
    done = subprocess.run(install, capture_output=True, text=True)
    if done.returncode and any(word in done.stderr for word in UNREACHABLE):
        pytest.skip("no network, and no cache of pip: the packages that the wheel needs cannot be had")
    assert done.returncode == 0, done.stderr
    return folder / "venv/bin"


@pytest.fixture
def installed(commands: Path, tmp_path: Path) -> Installed:
    return Installed(commands, tmp_path)


def test_the_wheel_is_for_every_python_and_has_the_units_and_no_test(wheel: Path) -> None:
    assert wheel.name == f"spectap-{importlib.metadata.version('spectap')}-py3-none-any.whl"
    names = zipfile.ZipFile(wheel).namelist()
    units = {"agent/systemd/spectap-agent.service", "server/systemd/spectap-server.service"}
    assert units < set(names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {
        *("agent", "bpf", "server", "spectap", "spectap_client"),
    }
    assert "spectap_client/__init__.py" in names
    assert not [name for name in names if name.startswith("server/public/")]


def test_bcc_is_nowhere_in_it(installed: Installed) -> None:
    assert "No module named 'bcc'" in installed.run("python", "-c", "import bcc").stderr


@pytest.mark.parametrize("command", ["spectap", "spectap-agent"])
def test_its_commands_have_their_help(installed: Installed, command: str) -> None:
    said = installed.run(command, "--help")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith(f"usage: {command} ")


def test_files_are_matched(installed: Installed) -> None:
    done = installed.run("spectap", "match", "--spec", GATEWAY / "openapi.yaml", GATEWAY / "telemetry.jsonl")
    assert done.returncode == 2, done.stderr
    verdicts = [json.loads(line)["verdict"] for line in done.stdout.splitlines()]
    assert verdicts == ["conforming"] * 4 + ["zombie", "deviating", "deviating", "shadow"]


@pytest.fixture
def url(installed: Installed) -> Iterator[str]:
    """The address of a server from the wheel."""
    port, log = free_port(), installed.folder / "log"
    start = installed.argv("spectap", "server", "--listen", f"127.0.0.1:{port}")
    with log.open("wb") as out:
        server = subprocess.Popen(start, cwd=installed.folder, env=installed.environment(), stderr=out)

    def ready() -> bool:
        assert server.poll() is None, log.read_text()
        return listening(port)

    try:
        wait_until(ready, "the server")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        assert server.wait() == 0


def test_a_server_starts_and_takes_what_the_client_sends(installed: Installed, url: str) -> None:
    done = installed.run("spectap", "import", GATEWAY / "telemetry.jsonl", "--server", url)
    assert done.stdout == "8 records read: 8 new, 0 already stored\n", done.stderr


def test_the_agent_says_what_it_needs_to_capture(installed: Installed) -> None:
    done = installed.run("spectap-agent", "doctor", "--no-self-test", "--backend", "tracepoints")
    assert done.returncode == 3
    assert ("python3-bpfcc" if os.geteuid() == 0 else "root") in done.stdout
