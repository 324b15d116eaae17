"""daemonset/build-images takes the first tool that works, with the same tags and arguments for each."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "daemonset"
VERSION = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text())["project"]["version"]
BASICS = ("bash", "sed", "git", "dirname")


def built(folder: Path, *tools: str) -> tuple[int, list[list[str]], str]:
    """Exit status, arguments of each build, and errors, where only these tools work."""
    programs, log = folder / "programs", folder / "log"
    programs.mkdir()
    log.touch()
    for name in BASICS:
        (programs / name).symlink_to(f"/usr/bin/{name}")
    for name in ("docker", "podman", "buildah"):
        works = f'[ "$1" = info ] || echo {name} "$@" >>{log}' if name in tools else "exit 1"
        (programs / name).write_text(f"#!/usr/bin/bash\n{works}\n")
        (programs / name).chmod(0o755)
    words = ["/usr/bin/bash", str(FOLDER / "build-images"), "registry.example.com/tools/", "--pull"]
    done = subprocess.run(words, env={"PATH": str(programs)}, capture_output=True, text=True, check=False)
    return done.returncode, [line.split() for line in log.read_text().splitlines()], done.stderr


@pytest.mark.parametrize(
    ("tools", "taken"),
    [(("docker", "podman"), "docker"), (("podman", "buildah"), "podman"), (("buildah",), "buildah")],
)
def test_the_first_tool_that_works_builds_both_images(
    tmp_path: Path, tools: Sequence[str], taken: str
) -> None:
    status, builds, _ = built(tmp_path, *tools)
    assert (status, [words[0] for words in builds]) == (0, [taken, taken])
    for name, words in zip(("agent", "server"), builds, strict=True):
        assert f"registry.example.com/tools/spectap-{name}:{VERSION}" in words
        assert words[-2:] == ["--pull", "."]
        assert ("--timestamp" in words) == (taken != "docker")


def test_without_any_it_says_so(tmp_path: Path) -> None:
    status, builds, errors = built(tmp_path)
    assert (status, builds) == (1, [])
    assert errors.startswith("spectap: none of docker, podman and buildah works here")
