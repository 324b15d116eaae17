"""The sidecar of examples/gateway: its options are the agent's, and what they name is mounted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from agent.cli import main

ROOT = Path(__file__).parents[2]
POD = yaml.safe_load((ROOT / "examples/gateway/sidecar.yaml").read_text())["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


def test_its_options_are_valid(tmp_path: Path) -> None:
    (tmp_path / "ingest").write_text("t" * 32)
    moved = [re.sub(r"=/(etc|var/lib)/spectap/", f"={tmp_path}/", word) for word in CONTAINER["args"]]
    with pytest.raises(SystemExit) as end:
        raise SystemExit(main([*moved, "--check"]))
    assert end.value.code == 0


def test_every_file_that_it_names_is_in_a_volume() -> None:
    mounted = {one["mountPath"]: one["name"] for one in CONTAINER["volumeMounts"]}
    named = {found[1] for word in CONTAINER["args"] if (found := re.fullmatch(r"--[a-z-]+=(/.*)/\w+", word))}
    assert named == mounted.keys()
    assert set(mounted.values()) == {one["name"] for one in POD["volumes"]}


def test_it_has_no_rights() -> None:
    context = CONTAINER["securityContext"]
    assert (context["runAsNonRoot"], context["capabilities"]) == (True, {"drop": ["ALL"]})
    assert context["allowPrivilegeEscalation"] is False
