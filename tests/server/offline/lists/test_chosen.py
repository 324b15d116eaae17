"""An API is chosen by its name or id."""

from __future__ import annotations

import pytest

from agent.wire import Endpoint
from server.client.connection import Remote
from server.client.errors import WrongQuery
from server.offline.lists.chosen import api_id
from tests.server.records import both, record
from tests.server.running import Client


def test_a_name_that_one_api_has_is_enough_and_several_are_told_apart(client: Client) -> None:
    there = Endpoint("10.0.0.9", 443, None)
    client.send(*both(0), record(1, "client", port=41_000, server=there))
    one, other = client.items("/apis")
    with Remote(str(client.http.base_url)) as server:
        assert api_id(server, one["name"]) == api_id(server, one["id"]) == one["id"]
        assert api_id(server, "an-earlier-id") == "an-earlier-id"
        with pytest.raises(WrongQuery) as several:
            api_id(server, "*")
    assert all(each["id"] in str(several.value) for each in (one, other))
