"""A deviation's identity: what makes two of them one."""

import pytest

from server.store.findings import bounded


@pytest.mark.parametrize(
    ("where", "pointer", "kept"),
    [
        ("response.body", "/orders/0/items/12/quantity", "/orders/*/items/*/quantity"),
        ("request.body", "/7", "/*"),
        ("response.body", "/v1/x2", "/v1/x2"),
        ("response.body", "", ""),
        ("query", "/orders/0", "/orders/0"),
    ],
)
def test_all_items_of_an_array_are_one_deviation(where: str, pointer: str, kept: str) -> None:
    assert bounded("GET /orders", "type", where, pointer, "m").pointer == kept
