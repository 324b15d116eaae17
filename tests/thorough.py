"""How often each property is tried: with `HYPOTHESIS=thorough` a hundred times as often, by other seeds."""

from __future__ import annotations

import os
from inspect import signature

import pytest
from hypothesis import settings

settings.register_profile("patient", deadline=None)  # a property holds on a busy machine, too
settings.register_profile("thorough", deadline=None, derandomize=False)

PROFILE = os.environ.get("HYPOTHESIS", "patient")
TIMES = 100 if PROFILE == "thorough" else 1


def repeat(test: pytest.Function) -> None:
    """Runs a property so often before it is run as a test; anything else not at all."""
    if hasattr(test.obj, "hypothesis"):
        fixtures = {name: test.funcargs[name] for name in signature(test.obj).parameters}
        for _ in range(TIMES - 1):
            test.obj(**fixtures)
