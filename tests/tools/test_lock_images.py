"""The images contain what this tree is tested with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_locks_of_the_images_are_parts_of_the_lock() -> None:
    argv = [sys.executable, "tools/lock-images", "--check"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
