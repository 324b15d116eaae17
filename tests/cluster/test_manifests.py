"""What is installed, as kustomize and Helm render it. No cluster runs here, but for its programs."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

import agent.options
from agent.options import OPTIONS
from tests.cluster.cluster import programs
from tests.cluster.manifests import containers, helmed, kustomized, plain, rendered
from tests.e2e.processes import REPOSITORY

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def tools() -> Path:
    return programs()


def test_helm_installs_what_kustomize_installs(tools: Path) -> None:
    ours = {name: plain(one) for name, one in kustomized(tools).items() if one["kind"] != "Namespace"}
    charts = {
        name: plain(one)
        for name, one in helmed(tools, "--skip-tests", "--set", "secrets.create=false").items()
    }
    assert charts == ours


def test_helm_makes_secrets_as_our_script_does(tools: Path) -> None:
    script = rendered([REPOSITORY / "daemonset/secrets"])
    charts = helmed(tools)
    for name, secret in script.items():
        assert charts[name]["data"].keys() == secret["data"].keys()
        assert all(charts[name]["data"][key] != text for key, text in secret["data"].items())


def test_every_variable_is_an_option_of_its_program(tools: Path) -> None:
    objects = kustomized(tools)
    (agent_container,) = containers(objects["DaemonSet/spectap-agent"])
    (server_container,) = containers(objects["StatefulSet/spectap-server"])
    known = {option.variable for option in OPTIONS}
    assert {one["name"] for one in agent_container["env"]} <= known
    options = (REPOSITORY / "server/options.py").read_text()
    for one in server_container["env"]:
        assert f'_env("{one["name"].removeprefix("SPECTAP_").lower()}"' in options


def test_the_memory_limit_is_what_the_agent_may_take(tools: Path) -> None:
    (container,) = containers(kustomized(tools)["DaemonSet/spectap-agent"])
    values = {one["name"]: one.get("value") for one in container["env"]}
    given = int(values["SPECTAP_MEMORY_MIB"]) + int(values["SPECTAP_RING_MIB"])
    assert container["resources"]["limits"]["memory"] == f"{given + 256}Mi"
    assert values["SPECTAP_MEMORY_MIB"] == str(agent.options.DEFAULT_MEMORY_MIB)


def test_images_have_the_version_of_this_tree(tools: Path) -> None:
    version = re.search(r'^version = "(.*)"', (REPOSITORY / "pyproject.toml").read_text(), flags=re.MULTILINE)
    assert version is not None
    for one in [*kustomized(tools).values(), *helmed(tools).values()]:
        for container in containers(one):
            assert container["image"].endswith(f":{version[1]}")


def test_the_chart_is_without_faults(tools: Path) -> None:
    argv = [str(tools / "helm"), "lint", "--strict", "daemonset/chart"]
    done = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_an_unknown_value_is_refused(tools: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        helmed(tools, "--set", "agent.memory=512")
    assert "memory" in refused.value.stderr


@pytest.mark.parametrize("overlay", ["example", "privileged", "seccomp-unconfined"])
def test_an_overlay_changes_the_agent_or_what_both_are_told_and_nothing_else(
    tools: Path, overlay: str
) -> None:
    ours = {name: plain(without_images(one)) for name, one in kustomized(tools).items()}
    found = rendered([tools / "kubectl", "kustomize", f"daemonset/overlays/{overlay}"])
    changed = {name for name, one in found.items() if plain(without_images(one)) != ours.get(name)}
    told = {"StatefulSet/spectap-server"} if overlay == "example" else set()  # the cluster's name
    assert (found.keys(), changed) == (ours.keys(), {"DaemonSet/spectap-agent", *told})


def test_agents_of_a_further_cluster_come_without_a_server(tools: Path) -> None:
    ours = kustomized(tools)
    found = rendered([tools / "kubectl", "kustomize", "daemonset/overlays/agents-only"])
    assert ours.keys() - found.keys() == {name for name in ours if name.endswith("/spectap-server")}
    changed = {
        name for name, one in found.items() if plain(without_images(one)) != plain(without_images(ours[name]))
    }
    assert changed == {"DaemonSet/spectap-agent"}
    (agent,) = containers(found["DaemonSet/spectap-agent"])
    told = {one["name"]: one.get("value") for one in agent["env"]}
    assert (told["SPECTAP_SERVER"], told["SPECTAP_CLUSTER"]) == ("https://spectap.example.com", "west")


def without_images(one: dict[str, Any]) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(one))
    for container in containers(copy):
        del container["image"]
    return copy
