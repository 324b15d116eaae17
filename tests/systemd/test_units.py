"""The units for systemd: form, exposure as systemd computes it, and what they share with other manifests."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from agent.cli import main as agent_main
from server.cli import main as server_main

ROOT = Path(__file__).parents[2]
UNITS = {
    "spectap-agent.service": ROOT / "agent/systemd/spectap-agent.service",
    "spectap-server.service": ROOT / "server/systemd/spectap-server.service",
}
PAGE = (ROOT / "docs/packages.md").read_text()
analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze reads units")


def settings(name: str) -> dict[str, list[str]]:
    """The values of each setting; continued lines are not used."""
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", UNITS[name].read_text(), flags=re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


@analyze
@pytest.mark.parametrize("name", UNITS)
def test_systemd_has_nothing_to_say_about_it(name: str, tmp_path: Path) -> None:
    unit = tmp_path / name
    unit.write_text(UNITS[name].read_text().replace("/opt/spectap/bin/", f"{sys.prefix}/bin/"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@analyze
@pytest.mark.parametrize("name", UNITS)
def test_it_is_no_more_exposed_than_documented(name: str) -> None:
    (documented,) = re.findall(rf"^\| `{name}` .*\| ([0-9.]+) \|$", PAGE, flags=re.MULTILINE)
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(UNITS[name])]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (computed,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert float(computed) <= float(documented)


def test_the_agent_has_the_capabilities_that_it_has_in_a_pod() -> None:
    (daemon_set,) = (
        one
        for one in yaml.safe_load_all((ROOT / "daemonset/base/agent.yaml").read_text())
        if one["kind"] == "DaemonSet"
    )
    (container,) = daemon_set["spec"]["template"]["spec"]["containers"]
    (given,) = settings("spectap-agent.service")["CapabilityBoundingSet"]
    added = container["securityContext"]["capabilities"]["add"]
    assert set(given.split()) == {f"CAP_{name}" for name in added}


def test_the_server_has_no_capability_and_no_user_of_the_machine() -> None:
    found = settings("spectap-server.service")
    assert (found["CapabilityBoundingSet"], found["DynamicUser"]) == ([""], ["yes"])


@pytest.mark.parametrize("name", UNITS)
def test_tokens_come_as_credentials_and_state_is_systemds(name: str) -> None:
    found = settings(name)
    loaded = {one.partition(":")[0] for one in found["LoadCredential"]}
    used = set(re.findall(r"SPECTAP_\w*TOKEN_FILE=%d/(\w+)", " ".join(found["Environment"])))
    assert loaded == used
    assert found["StateDirectory"] == [name.removesuffix(".service").replace("-server", "")]
    assert found["StateDirectoryMode"] == ["0700"]


@pytest.mark.parametrize(
    ("name", "main"), [("spectap-agent.service", agent_main), ("spectap-server.service", server_main)]
)
def test_a_usage_error_ends_it_for_good(name: str, main: Callable[[list[str]], int]) -> None:
    (command,) = settings(name)["ExecStart"]
    with pytest.raises(SystemExit) as end:
        main([*command.split()[1:], "--no-such-option"])
    assert str(end.value.code) in settings(name)["RestartPreventExitStatus"][0].split()
