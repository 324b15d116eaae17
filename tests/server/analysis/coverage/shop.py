"""A small shop's specification and calls."""

from __future__ import annotations

from functools import cache
from typing import Any

from msgspec.structs import replace

from agent.wire import Consumer, Record
from server.analysis.coverage.counts import By, Counts
from server.analysis.coverage.outline import Outline
from server.analysis.coverage.report import report
from server.analysis.specs.judging.judged import Judged
from server.analysis.specs.specification import Specification
from tests.server.analysis.specs.spec_calls import EMPTY, body, call, operation, parameter, spec

ITEM = {
    "type": "object",
    "properties": {"sku": {"type": "string"}, "parts": {"$ref": "#/components/schemas/Items"}},
}
SCHEMAS = {
    "Items": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
    "Item": ITEM,
    "Order": {
        "allOf": [
            {"type": "object", "properties": {"id": {"type": "integer"}, "a/b": {"type": "string"}}},
            {"properties": {"items": {"$ref": "#/components/schemas/Items"}}},
        ],
        "properties": {"labels": {"type": "object", "additionalProperties": {"type": "string"}}},
    },
}
ORDER = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}}
ORDER_FIELDS = {
    "/id", "/a~1b", "/items", "/items/*", "/items/*/sku", "/items/*/parts", "/labels", "/labels/*",
}  # fmt: skip


@cache
def shop() -> Specification:
    listing = operation(
        tags=["orders"],
        operationId="listOrders",
        parameters=[
            parameter("limit", "query", {"type": "integer"}),
            parameter("watch", "query", {"type": "boolean"}),
        ],
    )
    creating = {
        "requestBody": ORDER,
        "responses": {"201": {"description": "made", **ORDER}, "default": {"description": "no"}},
        "tags": ["orders", "writing"],
        "parameters": [parameter("X-Trace", "header", {"type": "string"})],
    }
    paths = {
        "/v1/orders": {"get": listing, "post": creating},
        "/v1beta1/orders": {"get": operation()},
        "/v1/old": {"get": operation(deprecated=True)},
    }
    return spec(paths, components={"schemas": SCHEMAS})


def by_agent(record: Record, name: str, test: str | None = None) -> Record:
    return replace(record, consumer=Consumer(user_agent=name, test_name=test))


def listing(**options: Any) -> Record:
    return call("GET", b"/v1/orders", answer=body({}), **options)


def creating(value: Any, status: int = 201, **options: Any) -> Record:
    answer = body(value) if status == 201 else EMPTY
    return call("POST", b"/v1/orders", status, sent=body(value), answer=answer, **options)


def counted(*records: Record, by: By = By.USER_AGENT) -> tuple[Outline, Counts]:
    specification = shop()
    outline, counts = Outline([specification]), Counts()
    for record in records:
        counts.add_exchange(Judged.by(specification, record), outline, by)
    return outline, counts


def covered(*records: Record, by: By = By.USER_AGENT, **options: Any) -> Any:
    return report(*counted(*records, by=by), **options)


def of(coverage: Any, operation: str) -> Any:
    return next(one for one in coverage["operations"] if one["operation"] == operation)
