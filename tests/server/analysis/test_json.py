"""A value of an unexpected type counts as absent."""

from __future__ import annotations

import pytest

from server.analysis.json import Json, JsonObject, array_in, object_in, text_in, texts_in

NODE: JsonObject = {"object": {"a": 1}, "array": ["a", 1, None], "text": "a", "null": None, "number": 0}


@pytest.mark.parametrize("key", [*NODE, "absent"])
def test_only_a_value_of_the_kind_asked_for_is_there(key: str) -> None:
    value: Json = NODE.get(key)
    assert object_in(NODE, key) == (value if key == "object" else {})
    assert array_in(NODE, key) == (value if key == "array" else [])
    assert text_in(NODE, key) == (value if key == "text" else None)


def test_of_an_array_only_the_strings_are_texts() -> None:
    assert texts_in(NODE, "array") == ["a"]
