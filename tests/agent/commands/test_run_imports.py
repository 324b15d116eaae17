"""What a capturing agent does without: each library that it imports is memory on every node."""

from __future__ import annotations

import subprocess
import sys

from tests.e2e.processes import REPOSITORY

NOT_NEEDED = {"rich", "click", "pygments", "h2", "agent.doctor", "server"}
"""Of a terminal, of the doctor's calls, and of the server."""


def test_a_run_imports_nothing_that_only_terminals_or_the_doctor_need() -> None:
    program = "import agent.cli, agent.commands.run, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    imported = set(done.stdout.split())
    assert "httpx" in imported
    assert not imported & NOT_NEEDED
