from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from server.ui.laid_out import json_lines

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_laid_out_json_is_the_same_json_with_the_place_of_each_value(value: Any) -> None:
    lines = [*json_lines(json.dumps(value))]
    assert json.loads("\n".join(line.text for line in lines)) == value
    assert [line.place for line in lines if line.place is not None] == [*places(value, "")]


def places(value: Any, place: str) -> Any:
    yield place
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        yield from places(inner, f"{place}/{str(key).replace('~', '~0').replace('/', '~1')}")


@given(st.text(alphabet='{}[],:"a1\\ \n'))
def test_what_is_no_json_is_laid_out_as_well(text: str) -> None:
    shown = "".join(line.text for line in json_lines(text))
    assert "".join(shown.split()) == "".join(text.split())
