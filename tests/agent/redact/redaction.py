"""Shared by the redaction tests: exchanges with one part of interest, and their records."""

from __future__ import annotations

from functools import cache

from agent import wire
from agent.events import ConnectionKey
from agent.http.messages import (
    EMPTY_BODY,
    Body,
    BodyState,
    Completeness,
    Exchange,
    Headers,
    Request,
    Response,
)
from agent.redact.names import Names
from agent.redact.policy import Policy
from agent.redact.redactor import Provenance, Redactor
from agent.redact.text import TextMasker

KEY = bytes(range(32))
POLICY = Policy(aggregation_header="X-Test")
JSON = ((b"content-type", b"application/json"),)
FORM = ((b"content-type", b"application/x-www-form-urlencoded"),)
MASKER = TextMasker(Names())
PROVENANCE = Provenance(
    agent="agent-1",
    node="node-1",
    cluster=None,
    offset_ns=1_000,
    boot_id="boot-1",
    connection=ConnectionKey("socket", 0xFFFF888000001000, 3),
    side="server",
    tls=None,
    client=None,
    server=None,
    process=None,
)


def body(data: bytes, state: BodyState = BodyState.COMPLETE) -> Body:
    return Body(len(data), data, state)


def request(
    target: bytes = b"/things",
    headers: Headers = (),
    payload: Body = EMPTY_BODY,
    method: bytes = b"POST",
    trailers: Headers = (),
) -> Request:
    return Request(method, target, b"1.1", ((b"host", b"api.example"), *headers), trailers, payload, 5, 6)


def response(headers: Headers = (), payload: Body = EMPTY_BODY, trailers: Headers = ()) -> Response:
    return Response(200, b"1.1", headers, trailers, payload, 7, 8)


def exchange(asked: Request | None, answered: Response | None = None, **facts: object) -> Exchange:
    return Exchange(0, asked, answered, Completeness.COMPLETE, **facts)  # type: ignore[arg-type]


@cache
def _redactor(policy: Policy, key: bytes) -> Redactor:
    return Redactor(policy, key)


def to_record(one: Exchange, provenance: Provenance, policy: Policy, key: bytes) -> wire.Record:
    """Uses one redactor for all tests, which has seen the earlier ones' exchanges."""
    return _redactor(policy, key).record(one, provenance)


def record(
    asked: Request | None, answered: Response | None = None, policy: Policy = POLICY, key: bytes = KEY
) -> wire.Record:
    return to_record(exchange(asked, answered), PROVENANCE, policy, key)


def body_record(data: bytes, headers: Headers = JSON, state: BodyState = BodyState.COMPLETE) -> wire.Record:
    return record(request(headers=headers, payload=body(data, state)))


def kept(data: bytes, headers: Headers = JSON, state: BodyState = BodyState.COMPLETE) -> bytes | None:
    """The request body in the record."""
    asked = body_record(data, headers, state).request
    assert asked is not None
    return asked.body.data
