"""Which view represents an exchange."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from agent.wire import Body, Record
from server.analysis.views import most_seen
from tests.server.records import record


def seen(side: str, state: str, completeness: str) -> Record:
    one = replace(record(0), side=side, completeness=completeness)
    assert one.response is not None
    return replace(one, response=replace(one.response, body=Body(200, None, state)))


@pytest.mark.parametrize(
    ("client", "server", "chosen"),
    [
        (("masked", "complete"), ("unseen", "truncated"), "client"),  # sent by sendfile, no structure
        (("malformed", "complete"), ("truncated", "truncated"), "client"),
        (("complete", "complete"), ("masked", "complete"), "client"),
        (("unseen", "truncated"), ("masked", "complete"), "server"),
        (("unseen", "complete"), ("unseen", "truncated"), "client"),
        (("complete", "complete"), ("complete", "complete"), "server"),
    ],
)
def test_the_most_complete_view_stands_for_the_exchange(
    client: tuple[str, str], server: tuple[str, str], chosen: str
) -> None:
    views = [seen("client", *client), seen("server", *server)]
    assert most_seen(views).side == most_seen(views[::-1]).side == chosen
