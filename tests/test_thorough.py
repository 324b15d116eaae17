from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROPERTY = """
from hypothesis import given, settings, strategies as st

@settings(max_examples=5)
@given(st.integers())
def test_property(number: int) -> None:
    print("tried")

def test_plain() -> None:
    print("once")
"""


@pytest.mark.parametrize(("profile", "least"), [("patient", 2), ("thorough", 200)])
def test_a_profile_says_how_often_a_property_is_tried(tmp_path: Path, profile: str, least: int) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_pyfunc_call")
    (tmp_path / "test_any.py").write_text(PROPERTY)
    out = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", tmp_path],
        env={**os.environ, "HYPOTHESIS": profile, "PYTHONPATH": str(Path(__file__).parent.parent)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert least <= out.count("tried") <= 5 * (100 if profile == "thorough" else 1)
    assert out.count("once") == 1
