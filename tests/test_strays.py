"""The guard in tests/conftest.py finds stray processes."""

from __future__ import annotations

import os
import subprocess

from tests.strays import running_descendants


def test_a_running_child_is_found_and_an_ended_one_is_not() -> None:
    child = subprocess.Popen(["sleep", "600"])
    try:
        assert "sleep 600" in running_descendants(os.getpid())[child.pid]
    finally:
        child.kill()
        child.wait()
    assert child.pid not in running_descendants(os.getpid())
