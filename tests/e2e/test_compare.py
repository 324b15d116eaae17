"""The comparison can fail: a stored exchange that is wrong in any one fact is reported, a correct one is
not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.e2e.compare import CLOCK_SLACK_NS, disagreements, ends_disagree
from tests.e2e.observations import Observation, Payload
from tests.e2e.seen import Content, Seen, Witness, moment, octets

BODY = b'{"id": "t-1", "text": "hello"}'
START = 1_700_000_000_000_000_000
MOMENTS = (START + 10, START + 20, START + 30, START + 40)
HEADERS = ((b"x-spectap-test", b"t-1"),)

CLIENT = Observation(
    end="client",
    id="t-1",
    method="POST",
    target=b"/echo/t-1?a=b",
    status=200,
    request_headers=HEADERS,
    request=Payload.of(BODY),
    response_headers=HEADERS,
    response=Payload.of(BODY),
    local=("127.0.0.1", 40000),
    peer=("127.0.0.1", 20000),
    start_ns=START,
    end_ns=START + 50,
    pid=11,
)
SERVER = replace(CLIENT, end="server", local=CLIENT.peer, peer=CLIENT.local, pid=12)

STORED = Seen(
    id="x",
    side="client",
    witnesses=(Witness("client", 11, MOMENTS), Witness("server", 12, MOMENTS)),
    protocol="h1",
    tls=None,
    method="POST",
    scheme="http",
    path=b"/echo/t-1",
    query=b"a=b",
    status=200,
    request=Content(HEADERS, len(BODY), BODY, "complete"),
    response=Content(HEADERS, len(BODY), BODY, "complete"),
    client=("127.0.0.1", 40000),
    server=("127.0.0.1", 20000),
    completeness="complete",
    verdict=None,
    raw={},
)
RIGHT = Content(HEADERS, len(BODY), BODY, "complete")
LATE = (START + 10, START + 20, START + 30, START + 60 + CLOCK_SLACK_NS)


def test_a_true_exchange_has_no_disagreement() -> None:
    assert disagreements(STORED, [CLIENT, SERVER]) == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"method": "GET"}, "method"),
        ({"path": b"/echo/t-2"}, "path"),
        ({"query": None}, "query"),
        ({"status": 201}, "status"),
        ({"client": ("127.0.0.1", 40001)}, "client address"),
        ({"client": None}, "client address"),
        ({"server": ("127.0.0.2", 20000)}, "server address"),
        ({"request": None}, "not stored"),
        ({"request": replace(RIGHT, headers=())}, "aggregation header"),
        ({"request": replace(RIGHT, size=len(BODY) + 1)}, "size"),
        ({"request": replace(RIGHT, data=BODY.replace(b"hello", b"hallo"))}, "body differs at byte"),
        ({"response": replace(RIGHT, data=BODY[:-1])}, "body differs at byte"),
        ({"response": replace(RIGHT, data=None)}, "body differs at byte 0"),
        ({"response": replace(RIGHT, state="truncated")}, "state"),
        ({"witnesses": (Witness("client", 13, MOMENTS),)}, "process"),
        ({"witnesses": (Witness("client", 11, (None, *MOMENTS[1:])),)}, "a moment is missing"),
        ({"witnesses": (Witness("client", 11, MOMENTS[::-1]),)}, "out of order"),
        ({"witnesses": (Witness("client", 11, LATE),)}, "outside"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_wrong_fact_is_told(changed: dict[str, Any], told: str) -> None:
    found = disagreements(replace(STORED, **changed), [CLIENT, SERVER])
    assert any(told in text for text in found), found


def test_a_body_over_the_cap_must_be_the_exact_prefix_and_marked() -> None:
    def told(data: bytes) -> list[str]:
        cut = replace(RIGHT, data=data, state="truncated")
        return disagreements(replace(STORED, request=cut, response=cut), [CLIENT], body_cap=27)

    assert told(BODY[:27]) == []
    assert told(BODY[: BODY.index(b'"text"')]) == [], "the member that the cap cut in two may be missing"
    assert told(BODY[: BODY.index(b'"t-1"')]), "a whole one may not"
    assert told(BODY[:10] + b"x" + BODY[11:27])
    assert disagreements(STORED, [CLIENT], body_cap=27)


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "GET"},
        {"target": b"/"},
        {"status": 500},
        {"local": ("127.0.0.1", 1)},
        {"response": Payload.of(b"x")},
        {"request": Payload.of(BODY.replace(b"hello", b"hallo"))},
    ],
    ids=str,
)
def test_logs_that_contradict_each_other_are_told(changed: dict[str, Any]) -> None:
    assert ends_disagree(CLIENT, SERVER) == []
    assert ends_disagree(CLIENT, replace(SERVER, **changed))


def test_times_and_bytes_of_the_api_are_read_exactly() -> None:
    assert moment("2023-11-14T22:13:20.000000010Z") == START + 10
    assert moment("2023-11-14T22:13:20Z") == START
    assert octets({"base64": "/w=="}) == b"\xff"
    assert octets({"text": "é"}) == "é".encode()
    assert octets(None) is None
