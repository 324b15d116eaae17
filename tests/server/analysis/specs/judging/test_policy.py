"""Undescribed parts are reported, ignored, or ignored by pattern."""

from __future__ import annotations

from typing import Any

import pytest

from server.analysis.specs.judging.policy import ReportingPolicy
from tests.server.analysis.specs.spec_calls import body, call, found, operation, spec

SCHEMA = {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {}}}}}
ANSWER = {"200": {"description": "", "content": {"application/json": {"schema": SCHEMA}}}}


def unknown(policy: ReportingPolicy) -> list[str]:
    loaded = spec({"/x": {"get": operation(responses=ANSWER)}}, policy=policy)
    record = call(
        query=b"page=1&x-trace=2", headers=[(b"X-Odd", b"1")], answer=body({"a": {"z/y": 1}, "x-b": 2})
    )
    return [f"{where} {pointer}" for kind, where, pointer in found(loaded.match(record))]


FIELDS = ["response.body /a/z~1y", "response.body /x-b"]
PARAMETERS = ["query page", "query x-trace"]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, [*FIELDS, *PARAMETERS]),
        ({"fields": False}, PARAMETERS),
        ({"parameters": False}, FIELDS),
        ({"headers": True}, [*FIELDS, "header x-odd", *PARAMETERS]),
        ({"headers": True, "ignored_headers": ("X-*",)}, [*FIELDS, *PARAMETERS]),
        ({"ignored_fields": ("x-*",)}, [FIELDS[0], *PARAMETERS]),
        ({"ignored_fields": ("z/y",)}, [FIELDS[1], *PARAMETERS]),
        ({"ignored_fields": ("/a/*", "nothing")}, [FIELDS[1], *PARAMETERS]),
        ({"ignored_parameters": ("x-*",)}, [*FIELDS, PARAMETERS[0]]),
    ],
)
def test_a_policy_decides_what_of_the_unknown_is_told(policy: Any, expected: list[str]) -> None:
    assert sorted(unknown(ReportingPolicy(**policy))) == sorted(expected)


def test_a_policy_silences_nothing_that_is_described() -> None:
    answer = {"200": {"description": "", "content": {"application/json": {"schema": {"required": ["a"]}}}}}
    silent = ReportingPolicy(fields=False, parameters=False, ignored_fields=("*",))
    loaded = spec({"/x": {"get": operation(responses=answer)}}, policy=silent)
    assert [kind for kind, _, _ in found(loaded.match(call(answer=body({}))))] == ["missing-field"]
