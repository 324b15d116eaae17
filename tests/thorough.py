"""The number of examples of each property: with `HYPOTHESIS=thorough` a hundred times as many, with new
seeds.
"""

from __future__ import annotations

import os
from inspect import signature

import pytest
from hypothesis import settings

settings.register_profile("patient", deadline=None)  # properties must hold on loaded machines, too
settings.register_profile("thorough", deadline=None, derandomize=False)

PROFILE = os.environ.get("HYPOTHESIS", "patient")
TIMES = 100 if PROFILE == "thorough" else 1


def repeat(test: pytest.Function) -> None:
    """Sets the number of examples of a property before it runs; other tests are unchanged."""
    if hasattr(test.obj, "hypothesis"):
        fixtures = {name: test.funcargs[name] for name in signature(test.obj).parameters}
        for _ in range(TIMES - 1):
            test.obj(**fixtures)
