"""The elements of an array in JSON of any size: those found in bulk are those found one by one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.sources import elements as module
from agent.sources.elements import Element, Part, Stray, elements, elements_of_array
from tests.agent.sources.values import VALUES

TRICKY = {"k": '},\n{"k": "x', "nested": [{"k": 1}, {"k": 2}]}


def pieces(raw: bytes, size: int) -> Callable[[int], bytes]:
    parts = iter([raw[at : at + size] for at in range(0, len(raw), size)])
    return lambda _size: next(parts, b"")


def document(items: list[Any], indent: int | None = None) -> bytes:
    return json.dumps({"log": {"x": [{"k": 1}], "items": items}, "end": []}, indent=indent).encode()


def found(raw: bytes, size: int) -> list[Part]:
    return list(elements(pieces(raw, size), b"items", 2))


@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize("size", [64, 1000, 10**6])
def test_elements_of_any_layout_are_found_in_bulk(indent: int | None, size: int) -> None:
    items = [{f"k{at % 3}": at, **TRICKY} for at in range(50)]
    told = found(document(items, indent), size)
    assert [json.loads(one.raw or b"") for one in told if isinstance(one, Element)] == items


def test_nearly_all_elements_come_in_bulk(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = 0
    real = module._Scan._open

    def counted(scan: Any, byte: int) -> Any:
        nonlocal opened
        opened += 1
        return real(scan, byte)

    monkeypatch.setattr(module._Scan, "_open", counted)
    for indent in (None, 2):
        opened = 0
        assert len(found(document([TRICKY] * 5000, indent), 64 * 1024)) == 5000
        assert opened < 50


@pytest.mark.parametrize("broken", ['{"k": nonsense}', '{"k": "\\x"}', "7", '{"k": 1,}', "nan"])
def test_what_is_broken_affects_no_other_element(broken: str) -> None:
    whole = json.dumps({"k": "v" * 40})
    for size in (100, 10_000):
        raw = ('{"log": {"items": [' + ", ".join([whole] * 40 + [broken] + [whole] * 40) + "]}}").encode()
        told = found(raw, size)
        assert len(told) == 81
        assert [one for at, one in enumerate(told) if at != 40] == [Element(whole.encode())] * 80


@settings(deadline=None)
@given(st.lists(VALUES | st.dictionaries(st.text(max_size=3), VALUES), max_size=8), st.integers(1, 200))
def test_any_cut_gives_the_same_elements(items: list[Any], size: int) -> None:
    raw = json.dumps(items).encode()
    told = list(elements_of_array(pieces(raw, size)))
    values = [one for one in items if isinstance(one, (dict, list))]
    assert [json.loads(one.raw or b"") for one in told if isinstance(one, Element)] == json.loads(
        json.dumps(values)
    )
    assert sum(isinstance(one, Stray) for one in told) == len(items) - len(values)
