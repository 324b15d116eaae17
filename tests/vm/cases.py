"""The kernels that the tests boot: the newest, or with TIERS=all every fetched one."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Any

import pytest

from tests.vm import machine
from tests.vm.machine import Kernel

EVERYTHING = os.environ.get("TIERS") == "all"


def found() -> list[Kernel]:
    """Oldest first."""
    kernels = [] if machine.missing_tools() else machine.kernels()
    return kernels if EVERYTHING else kernels[-1:]


def cases(kernels: list[Kernel], *modes: str) -> list[Any]:
    """Parameters `kernel` and `mode` of a test."""
    if not kernels:
        return [
            pytest.param(None, "", marks=pytest.mark.skip("no such kernel was fetched (tests/vm/README.md)"))
        ]
    return [pytest.param(kernel, mode, id=f"{kernel.release}-{mode}") for kernel in kernels for mode in modes]


def python(module: str, *arguments: str) -> str:
    """A shell command that runs a module with this interpreter."""
    return shlex.join([sys.executable, "-m", module, *arguments])
