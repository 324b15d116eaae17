"""What the kprobes need of a host, on hosts made of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.probes.capability import KPROBE_SWITCHES, KPROBES, kprobe_refusals


def made(root: Path, **texts: str) -> Path:
    for name, text in texts.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_kernel_without_kprobes_is_refused(tmp_path: Path) -> None:
    assert [refusal.what for refusal in kprobe_refusals(tmp_path)] == ["the kernel has no kprobes"]


def test_kprobes_without_any_switch_or_with_all_on_are_not_refused(tmp_path: Path) -> None:
    there = made(tmp_path, **{KPROBES.replace("/", "__"): "8\n"})
    assert list(kprobe_refusals(there)) == []
    on = {switch.replace("/", "__"): "1\n" for switch in KPROBE_SWITCHES}
    assert list(kprobe_refusals(made(tmp_path, **on))) == []


@pytest.mark.parametrize("switch", KPROBE_SWITCHES)
def test_kprobes_that_are_turned_off_are_refused_with_the_switch(tmp_path: Path, switch: str) -> None:
    off = made(tmp_path, **{KPROBES.replace("/", "__"): "8\n", switch.replace("/", "__"): "0\n"})
    (refusal,) = kprobe_refusals(off)
    assert refusal.cure == f"write 1 to /{switch}"
