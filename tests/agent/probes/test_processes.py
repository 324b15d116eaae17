"""Parsing /proc: names with parentheses, processes that have ended."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.events import ProcessSeen
from agent.probes import processes

STAT = b"1234 (odd) name (x) S 1 1234 1234 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 0 0\n"


def test_a_name_with_parentheses_does_not_move_the_fields() -> None:
    assert processes.comm_of(STAT) == "odd) name (x"
    assert processes.start_ticks(STAT) == 987654


def test_a_damaged_stat_says_nothing() -> None:
    for cut in range(len(STAT) - 8):
        assert processes.start_ticks(STAT[:cut]) in (None, *(int(str(987654)[:n]) for n in range(1, 7)))
    assert processes.comm_of(b"") is None


def test_we_see_ourselves() -> None:
    seen = processes.describe(os.getpid(), 5, b"ignored")
    assert seen.pid == os.getpid()
    assert seen.executable == os.readlink("/proc/self/exe")
    assert seen.start_ticks is not None


def test_a_program_whose_path_is_not_utf_8_has_a_path_that_a_record_can_carry(tmp_path: Path) -> None:
    """Any user can run one, and what cannot be packed would end the agent."""
    sleep = shutil.which("sleep") or pytest.skip("no sleep")
    folder = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(folder)
    shutil.copy(sleep, os.fsdecode(folder + b"/sleep"))
    with subprocess.Popen([folder + b"/sleep", "60"]) as program:
        try:
            seen = processes.describe(program.pid, 5, b"sleep")
        finally:
            program.kill()
    assert seen.executable == f"{tmp_path}/\ufffd/sleep"
    seen.executable.encode()


def test_of_a_process_that_has_gone_remains_what_the_kernel_said(tmp_path: Path) -> None:
    seen = processes.describe(77, 5, b"curl\0\0", b"/usr/bin/curl", proc=tmp_path)
    assert seen == ProcessSeen(5, 77, None, "curl", "/usr/bin/curl", None)
