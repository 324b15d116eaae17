"""daemonset/README.md explains every value of the chart and every privilege, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from agent.doctor.capabilities import CAPABILITIES

FOLDER = Path(__file__).parents[2] / "daemonset"
README = (FOLDER / "README.md").read_text()
MAIN = (FOLDER.parent / "README.md").read_text()
AS_A_WHOLE = ("server.resources", "agent.requests", "agent.nodeSelector", "agent.tolerations")
PARTS = "|".join(yaml.safe_load((FOLDER / "chart/values.yaml").read_text()))


def values(given: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, value in given.items():
        path = f"{above}{name}"
        if isinstance(value, dict) and value and path not in AS_A_WHOLE:
            yield from values(value, f"{path}.")
        else:
            yield path


def documented(pattern: str) -> set[str]:
    return set(re.findall(pattern, "\n".join(line for line in README.splitlines() if line.startswith("| "))))


def manifest(kind: str) -> dict[str, Any]:
    for path in (FOLDER / "base").glob("*.yaml"):
        for one in yaml.safe_load_all(path.read_text()):
            if one["kind"] == kind:
                found: dict[str, Any] = one
                return found
    raise AssertionError(kind)


def test_every_value_of_the_chart_is_explained() -> None:
    chart = set(values(yaml.safe_load((FOLDER / "chart/values.yaml").read_text())))
    assert documented(rf"`((?:{PARTS})\.[A-Za-z.]+)`") == chart


def test_every_capability_is_explained_and_the_doctor_misses_each() -> None:
    (container,) = manifest("DaemonSet")["spec"]["template"]["spec"]["containers"]
    given = container["securityContext"]["capabilities"]
    assert given["drop"] == ["ALL"]
    assert documented(r"`CAP_([A-Z_]+)`") == set(given["add"]) == {one.name for one in CAPABILITIES}


def test_every_folder_of_the_host_is_explained_and_only_the_spool_is_written_to() -> None:
    spec = manifest("DaemonSet")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    folders = {one["name"]: one["hostPath"]["path"] for one in spec["volumes"] if "hostPath" in one}
    assert all(f"`{path}`" in README for path in folders.values())
    written = {one["name"] for one in container["volumeMounts"] if not one.get("readOnly")} & folders.keys()
    assert written == {"spool"}


def test_every_overlay_is_named() -> None:
    for overlay in (FOLDER / "overlays").iterdir():
        assert f"overlays/{overlay.name}/kustomization.yaml" in README


def test_every_component_is_explained_with_its_value() -> None:
    chart = yaml.safe_load((FOLDER / "chart/values.yaml").read_text())
    rows = re.findall(r"^\| `([a-z-]+)` \| `([A-Za-z]+)\.([A-Za-z]+)=true` \|", README, flags=re.MULTILINE)
    assert [name for name, *_ in rows if (FOLDER / "components" / name).is_dir()] == [
        name for name, *_ in rows
    ]
    assert {name for name, *_ in rows} == {folder.name for folder in (FOLDER / "components").iterdir()}
    assert all(chart[part][value] is False for _, part, value in rows)


def test_the_three_commands_of_the_main_readme_are_of_this_page() -> None:
    page = re.sub(r"\s+", " ", README)
    (block,) = re.findall(r"^```\n(kubectl create namespace .*?)^```", MAIN, flags=re.MULTILINE | re.DOTALL)
    commands = re.split(r" && |\n", block.strip())
    assert len(commands) == 4
    assert not [command for command in commands if command not in page]


def test_every_message_is_one_of_the_doctors() -> None:
    said = "\n".join(path.read_text() for path in (FOLDER.parent / "agent").rglob("*.py"))
    table = README[README.index("| it says | then |") :]
    messages = re.findall(r"^\| `([^`]+)`", table, flags=re.MULTILINE)
    assert len(messages) >= 4
    assert not [message for message in messages if message not in said]
