"""The client's objects and filters are those of the server's own description."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from server.client import coverage_models, exchange_models, filters, models
from server.query.fields import FIELDS, ListName, fields_of
from server.query.sorting import SORTS
from tests.server.running import Client

RENAMED = {
    "HttpMessage": "Message",
    "PatchChange": "server__api__models__Change",
    "VersionChange": "server__api__rebuilt_models__Change",
    "VersionDiff": "Diff",
}
OURS = ("Model", "Page", "Bytes")


def objects() -> dict[str, type[models.Model]]:
    """The classes of objects by their name in the API."""
    modules = (models, exchange_models, coverage_models)
    found = {
        name: one
        for module in modules
        for name, one in vars(module).items()
        if isinstance(one, type) and issubclass(one, models.Model) and name not in OURS
    }
    return {RENAMED.get(name, name): one for name, one in found.items()}


def test_each_object_has_the_fields_that_the_server_describes(client: Client) -> None:
    schemas: dict[str, Any] = client.http.get("/openapi.json").json()["components"]["schemas"]
    ours = {
        name: {one.encode_name for one in msgspec.structs.fields(kind)} for name, kind in objects().items()
    }
    assert len(ours) > 40
    assert ours == {name: {*schemas[name]["properties"]} for name in ours}


LISTS = {
    ListName.APIS: filters.ApisFilters,
    ListName.OPERATIONS: filters.OperationsFilters,
    ListName.DEVIATIONS: filters.DeviationsFilters,
    ListName.EXCHANGES: filters.ExchangesFilters,
    ListName.CONSUMERS: filters.ConsumersFilters,
}


@pytest.mark.parametrize("of", ListName)
def test_the_filters_of_a_list_are_those_of_its_queries(of: ListName) -> None:
    states = {"state"} if of is ListName.OPERATIONS else set()  # a parameter of its own there
    assert {*filters.fields(LISTS[of])} == {*fields_of(of)} | states
    assert SORTS[of]


def test_the_example_of_a_field_is_that_of_the_query_language() -> None:
    assert {**{name: one.example for name, one in FIELDS.items()}, "node": "node-1"} == filters.EXAMPLES
