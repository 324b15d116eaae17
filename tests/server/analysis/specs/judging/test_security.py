"""Security requirements: when they count as met, as far as masked requests show."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from server.analysis.specs.kinds import Verdict
from tests.server.analysis.specs.spec_calls import call, found, operation, spec

SCHEMES: Any = {
    "header": {"type": "apiKey", "in": "header", "name": "X-Key"},
    "query": {"type": "apiKey", "in": "query", "name": "key"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "sid"},
    "basic": {"type": "http", "scheme": "basic"},
    "bearer": {"type": "http", "scheme": "Bearer"},
    "oauth": {"type": "oauth2", "flows": {}},
    "tls": {"type": "mutualTLS"},
}
AUTHORIZED: Any = {"headers": [(b"Authorization", b"xxxx")]}


def unmet(security: Any, **said: Any) -> bool:
    item = {"get": operation(security=security)}
    judge = spec({"/x": item}, components={"securitySchemes": SCHEMES}).match
    return ("security-unmet", "security", "") in found(judge(call(**said)))


@pytest.mark.parametrize(
    ("scheme", "said"),
    [
        ("header", {"headers": [(b"x-KEY", b"xxxx")]}),
        ("query", {"query": b"key=xxxx"}),
        ("cookie", {"headers": [(b"cookie", b"a=b; sid=xxxx")]}),
        ("basic", {**AUTHORIZED, "scheme": "Basic"}),
        ("bearer", {**AUTHORIZED, "scheme": "bearer"}),
        ("bearer", AUTHORIZED),
        ("oauth", AUTHORIZED),
        ("oauth", {"query": b"access_token=xxxx"}),
    ],
)
def test_a_scheme_is_met_by_what_it_names_and_not_without(scheme: str, said: dict[str, Any]) -> None:
    assert not unmet([{scheme: []}], **said)
    assert unmet([{scheme: []}])


def test_another_http_scheme_does_not_do() -> None:
    assert unmet([{"bearer": []}], **AUTHORIZED, scheme="Basic")


def test_a_client_certificate_cannot_be_missed() -> None:
    assert not unmet([{"tls": []}])


def test_one_alternative_suffices_and_all_of_it_is_needed() -> None:
    both_or_key: Any = [{"header": [], "query": []}, {"cookie": []}]
    assert unmet(both_or_key, query=b"key=x")
    assert not unmet(both_or_key, query=b"key=x", headers=[(b"x-key", b"")])
    assert not unmet(both_or_key, headers=[(b"cookie", b"sid=x")])


def test_an_empty_alternative_and_an_empty_list_need_nothing() -> None:
    assert not unmet([{}, {"header": []}])
    assert not unmet([])


def test_the_documents_requirement_holds_where_an_operation_says_nothing() -> None:
    paths = {"/x": {"get": operation()}, "/y": {"get": operation(security=[])}}
    components = {"securitySchemes": SCHEMES}
    judge = spec(paths, components=components, security=[{"header": []}]).match
    assert found(judge(call())) == [("security-unmet", "security", "")]
    assert found(judge(call(path=b"/y"))) == []


@pytest.mark.parametrize("status", [401, 403, 407])
def test_a_call_that_was_turned_away_is_no_deviation(status: int) -> None:
    assert not unmet([{"header": []}], status=status)


def test_what_headers_would_show_is_not_missed_where_none_were_seen() -> None:
    described = [{"name": "X-Id", "in": "header", "required": True, "schema": {"type": "string"}}]
    item = {"get": operation(security=[{"header": []}], parameters=described)}
    judge = spec({"/x": item}, components={"securitySchemes": SCHEMES}).match
    assert judge(call(headers=[])).verdict == "unjudged"
    assert [kind for kind, _, _ in found(judge(call()))] == ["missing-parameter", "security-unmet"]


def test_what_may_be_in_header_fields_that_were_not_seen_is_not_missed() -> None:
    header: Any = {"name": "X-Tenant", "in": "header", "required": True, "schema": {}}
    query: Any = {"name": "q", "in": "query", "required": True, "schema": {}}
    item = {"get": operation(security=[{"bearer": []}], parameters=[header, query])}
    judge = spec({"/x": item}, components={"securitySchemes": SCHEMES}).match
    partly = replace(call(), fields_unknown=1)
    assert found(judge(partly)) == [("missing-parameter", "query", "q")]
    whole = judge(replace(partly, request=call(query=b"q=1").request))
    assert (whole.verdict, whole.why) == (Verdict.UNJUDGED, "some header fields were not seen")
