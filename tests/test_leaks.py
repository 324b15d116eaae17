"""The count of leaks by class."""

from __future__ import annotations

from tests.leaks import by_class


def test_each_class_is_counted_in_the_order_of_planting() -> None:
    assert by_class(["json", "json", "form"], ["json"]).split("\n") == [
        "leaked ÷ planted",
        "  json    1 ÷ 2",
        "  form    0 ÷ 1",
        "  all     1 ÷ 3",
    ]
