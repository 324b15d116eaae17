"""The kinds of calls, and their verdicts under the specification: written by hand, not computed.

`where` and `pointer` of a difference and the parts that a call covers are those of the published API
(server/analysis/specs/README.md, server/analysis/coverage/README.md).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

STATE = {"type": "string", "enum": ["open", "paid"]}
ORDER = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "integer"}, "state": STATE, "note": {"type": "string"}},
}
ASKED = {
    "type": "object",
    "required": ["item"],
    "properties": {"item": {"type": "string"}, "count": {"type": "integer", "minimum": 1}},
}


def _json(schema: object) -> dict[str, object]:
    return {"content": {"application/json": {"schema": schema}}}


SPECIFICATION = json.dumps(
    {
        "openapi": "3.0.3",
        "info": {"title": "Orders", "version": "1"},
        "paths": {
            "/orders": {
                "post": {
                    "operationId": "createOrder",
                    "requestBody": {"required": True, **_json(ASKED)},
                    "responses": {"201": {"description": "made", **_json(ORDER)}},
                }
            },
            "/orders/{orderId}": {
                "parameters": [
                    {"name": "orderId", "in": "path", "required": True, "schema": {"type": "integer"}}
                ],
                "get": {
                    "operationId": "getOrder",
                    "parameters": [{"name": "verbose", "in": "query", "schema": {"type": "boolean"}}],
                    "responses": {
                        "200": {"description": "it", **_json(ORDER)},
                        "404": {"description": "none"},
                    },
                },
            },
            "/old": {"get": {"deprecated": True, "responses": {"200": {"description": "old"}}}},
        },
    }
).encode()


@dataclass(frozen=True, slots=True)
class Judged:
    """The specification's judgement of a call that was seen to some extent."""

    verdict: str
    parts: tuple[str, ...] = ()
    deviations: tuple[tuple[str, str, str], ...] = ()  # kind, where, pointer


@dataclass(frozen=True, slots=True)
class CallKind:
    """`{}` in the path is a number. `template` is the operation's path if no specification describes it,
    `described` if one does (None: none does). Bodies are JSON. `status` is None without a response.
    """

    method: str
    path: str
    template: str
    status: int | None
    described: str | None
    whole: Judged
    body_unseen: Judged | None = None  # of a view without the response's body
    unanswered: Judged = Judged("unjudged", ("hits:none",))  # the client closed before the response
    query: str | None = None
    asked: str = ""
    answered: str = ""


COLOUR = (("unknown-parameter", "query", "colour"),)
LACKING = (("missing-field", "request.body", "/item"), ("bounds", "request.body", "/count"))
ONE, MADE = "/orders/{orderId}", "/orders"
GOT = ("field:response.body.200/id", "field:response.body.200/state")
UNSEEN = "body:unseen"
ID, VERBOSE = "parameter:path:orderId", "parameter:query:verbose"
NO_ANSWER = Judged("unjudged", ("hits:none", ID))

KINDS = {
    "get": CallKind(
        "GET", "/orders/{}", "/orders/{id}", 200, ONE,
        Judged("conforming", ("hits:2xx", ID, *GOT)),
        Judged("unjudged", ("hits:2xx", ID, UNSEEN)),
        NO_ANSWER,
        answered='{"id": 7, "state": "open"}',
    ),
    "verbose": CallKind(
        "GET", "/orders/{}", "/orders/{id}", 200, ONE,
        Judged("conforming", ("hits:2xx", ID, VERBOSE, *GOT, "field:response.body.200/note")),
        Judged("unjudged", ("hits:2xx", ID, VERBOSE, UNSEEN)),
        Judged("unjudged", ("hits:none", ID, VERBOSE)),
        query="verbose=true",
        answered='{"id": 7, "state": "open", "note": "by noon"}',
    ),
    "wrong": CallKind(
        "GET", "/orders/{}", "/orders/{id}", 200, ONE,
        Judged(
            "deviating",
            ("hits:2xx", "deviating", ID, *GOT),
            (("type", "response.body", "/id"), ("unknown-field", "response.body", "/extra")),
        ),
        Judged("unjudged", ("hits:2xx", ID, UNSEEN)),
        NO_ANSWER,
        answered='{"id": "7", "state": "paid", "extra": 1}',
    ),
    "asked wrong": CallKind(
        "GET", "/orders/{}", "/orders/{id}", 200, ONE,
        Judged("deviating", ("hits:2xx", "deviating", ID, *GOT), COLOUR),
        Judged("deviating", ("hits:2xx", "deviating", ID, UNSEEN), COLOUR),
        NO_ANSWER,
        query="colour=red",
        answered='{"id": 7, "state": "open"}',
    ),
    "none": CallKind(
        "GET", "/orders/{}", "/orders/{id}", 404, ONE,
        Judged("conforming", ("hits:4xx", ID)),
        unanswered=NO_ANSWER,
    ),
    "failed": CallKind(
        "GET", "/orders/{}", "/orders/{id}", 500, ONE,
        Judged("deviating", ("hits:5xx", "deviating", ID), (("unknown-status", "status", "500"),)),
        unanswered=NO_ANSWER,
    ),
    "silent": CallKind("GET", "/orders/{}", "/orders/{id}", None, ONE, NO_ANSWER),
    "made": CallKind(
        "POST", "/orders", "/orders", 201, MADE,
        Judged(
            "conforming",
            ("hits:2xx", "field:request.body/item", "field:request.body/count", "field:response.body.201/id"),
        ),
        Judged("unjudged", ("hits:2xx", "field:request.body/item", "field:request.body/count", UNSEEN)),
        Judged("unjudged", ("hits:none", "field:request.body/item", "field:request.body/count")),
        asked='{"item": "tea", "count": 2}',
        answered='{"id": 7}',
    ),
    "made wrong": CallKind(
        "POST", "/orders", "/orders", 201, MADE,
        Judged(
            "deviating",
            ("hits:2xx", "deviating", "field:request.body/count", "field:response.body.201/id"),
            LACKING,
        ),
        Judged(
            "deviating",
            ("hits:2xx", "deviating", "field:request.body/count", UNSEEN),
            LACKING,
        ),
        Judged("unjudged", ("hits:none", "field:request.body/count")),
        asked='{"count": 0}',
        answered='{"id": 7}',
    ),
    "old": CallKind(
        "GET", "/old", "/old", 200, "/old",
        Judged("zombie", ("hits:2xx",)),
        unanswered=Judged("zombie", ("hits:none",)),
    ),
    "undocumented": CallKind(
        "GET", "/admin/{}", "/admin/{id}", 200, None,
        Judged("shadow", (), (("unknown-path", "path", ""),)),
    ),
    "unknown method": CallKind(
        "DELETE", "/orders/{}", "/orders/{id}", 200, None,
        Judged("shadow", (), (("unknown-method", "path", ""),)),
    ),
}  # fmt: skip
