"""Lines of places in the file of a specification."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from server.offline.reports.lines import MAX_DEPTH, lines
from tests.server.offline.reports.reported import SPEC, reported

TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=5), below, max_size=4),
    max_leaves=20,
).filter(lambda tree: isinstance(tree, dict))


def test_a_deviation_is_at_the_part_it_differs_from(tmp_path: Path) -> None:
    report, spec = reported(tmp_path, "/pets/a", "/old", "/nowhere")
    told = {row.rule: SPEC.splitlines()[spec.line(row) - 1].strip() for row in report.rows()}
    assert told == {"unknown-path": "paths:", "type": "'200':", "zombie": "get:"}


def test_an_undocumented_method_is_at_its_path(tmp_path: Path) -> None:
    report, spec = reported(tmp_path, "/old", "/pets/a", method="PATCH")
    lines_of = {row.operation: SPEC.splitlines()[spec.line(row) - 1].strip() for row in report.rows()}
    assert {row.rule for row in report.rows()} == {"unknown-method"}
    assert set(lines_of.values()) == {"/old:", "/pets/{id}:"}


def test_json_is_located_as_yaml_is(tmp_path: Path) -> None:
    text = """{
  "openapi": "3.0.3", "info": {"title": "t", "version": "1"},
  "paths": {
    "/a\\/b": {"get": {
      "responses": {
        "200": {"description": "a \\"quoted\\" {brace}, ok"}}}}}}
"""
    found = lines(text)
    assert {place: found[place] for place in found if "paths" in place} == {
        "/paths": 3,
        "/paths/~1a~1b": 4,
        "/paths/~1a~1b/get": 4,
        "/paths/~1a~1b/get/responses": 5,
        "/paths/~1a~1b/get/responses/200": 6,
    }


@given(TREES)
def test_every_member_of_indented_json_is_at_its_own_line(tree: dict[str, object]) -> None:
    text = json.dumps(tree, indent=1, ensure_ascii=False)
    rows = text.split("\n")
    for place, line in lines(text).items():
        key = place.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
        assert place.count("/") <= MAX_DEPTH
        assert not place or json.dumps(key, ensure_ascii=False) in rows[line - 1] or key.isdecimal()


def test_aliases_and_deep_places_are_at_what_holds_them(tmp_path: Path) -> None:
    text = "paths:\n  /a:\n    get: &get\n      responses: {}\n  /b:\n    get: *get\n"
    assert lines(text)["/paths/~1b/get"] == 6
    _, spec = reported(tmp_path)
    assert spec.line_of("/paths/~1quiet/get/responses/200/content/x") == spec.line_of(
        "/paths/~1quiet/get/responses/200"
    )
    assert spec.line_of("/nothing/here") == 1
