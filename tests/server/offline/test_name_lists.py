"""Lists of names in files."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.offline.name_lists import ListError, names_in

CONFORMANCE = """
- testname: Pods
  codename: '[sig-node] Pods should be submitted and
    removed [Conformance]'
  release: v1.9
"""


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (CONFORMANCE, {"[sig-node] Pods should be submitted and removed [Conformance]"}),
        ("- endpoint: connectCoreV1GetNodeProxy\n  reason: soon deprecated\n", {"connectCoreV1GetNodeProxy"}),
        ("---\n- a\n- b\n", {"a", "b"}),
        ('["a", {"name": "b"}]', {"a", "b"}),
        ("[]", set()),
    ],
)
def test_the_published_lists_are_read(tmp_path: Path, text: str, names: set[str]) -> None:
    file = tmp_path / "list.yaml"
    file.write_text(text)
    assert names_in(file) == names


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: b", "is not a list of names"),
        ("- {reason: x}", "entry 1 is neither"),
        ("- 7", "entry 1"),
        ("- [", "line"),
    ],
)
def test_what_is_no_list_is_one_sentence_with_its_place(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "list.yaml"
    file.write_text(text)
    with pytest.raises(ListError, match=why):
        names_in(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ListError, match="No such file"):
        names_in(tmp_path / "none.yaml")
