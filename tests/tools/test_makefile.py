"""The targets' promises that no other test runs."""

from __future__ import annotations

import subprocess


def test_an_audit_that_could_not_look_a_package_up_is_not_green() -> None:
    commands = subprocess.run(["make", "-n", "audit"], capture_output=True, text=True, check=True).stdout
    assert "pip-audit --strict " in commands
