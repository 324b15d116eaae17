"""Audit events of a real API server, and possible variants, are read as exchanges."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.http.messages import BodyState, Caller, Completeness, Exchange
from agent.sources import audit, lines
from agent.sources.reported import CutShort, Entry, Reported, Skipped, UnreadableEntry
from agent.wire import Endpoint
from tests.agent.sources.values import VALUES

LOG = Path(__file__).parents[2] / "data/audit/kube-apiserver.jsonl"


def entries(raw: bytes) -> list[Entry]:
    return list(audit.entries(io.BytesIO(raw)))


def event(**fields: Any) -> dict[str, Any]:
    return {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": "a",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/pods?limit=5",
        "verb": "list",
        "user": {"username": "system:node:n1"},
        "sourceIPs": ["10.0.0.7"],
        "userAgent": "kubelet/v1.34",
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": "2026-03-01T12:00:00.250000Z",
        "stageTimestamp": "2026-03-01T12:00:00.260000Z",
        **fields,
    }


def reported(**fields: Any) -> Reported:
    (one,) = entries(json.dumps(event(**fields)).encode())
    assert isinstance(one, Reported), one
    return one


def exchanges(raw: bytes) -> dict[str, Exchange]:
    """By verb and target."""
    found = {}
    for one in entries(raw):
        if isinstance(one, Reported):
            assert one.exchange.request is not None
            assert one.exchange.caller is not None
            verb = one.exchange.caller.facts["audit.verb"]
            found[f"{verb} {one.exchange.request.target.decode()}"] = one.exchange
    return found


@pytest.mark.parametrize("level", ["\ud800", "hunter2", None, {"password": "hunter2"}])
def test_of_a_level_that_kubernetes_does_not_have_nothing_is_kept(level: object) -> None:
    caller = reported(level=level).exchange.caller
    assert caller is not None
    assert caller.facts["audit.level"] == "other"


def test_a_real_log_gives_each_call_once() -> None:
    found = entries(LOG.read_bytes())
    assert Counter(type(one) for one in found) == {Reported: 18, Skipped: 3}
    assert len({one.connection for one in found if isinstance(one, Reported)}) == 18
    seen = Counter(
        (one.exchange.request.method, one.exchange.response.status)
        for one in found
        if isinstance(one, Reported) and one.exchange.request and one.exchange.response
    )
    assert seen == {
        (b"GET", 200): 2,
        (b"GET", 401): 1,
        (b"GET", 403): 3,
        (b"GET", 404): 3,
        (b"POST", 201): 3,
        (b"POST", 404): 1,
        (b"PUT", 200): 1,
        (b"PATCH", 200): 1,
        (b"DELETE", 200): 2,
        (b"OTHER", 403): 1,
    }


def test_a_real_call_that_was_turned_away_has_no_user_and_no_later_stage() -> None:
    raw = b"".join(line for line in LOG.read_bytes().splitlines(True) if b'"user":{},' in line)
    (one,) = entries(raw)
    assert isinstance(one, Reported)
    assert one.exchange.caller == Caller(None, None, {"audit.verb": "list", "audit.level": "RequestResponse"})
    assert one.exchange.response is not None
    assert one.exchange.response.status == 401


def test_real_bodies_are_json_and_an_object_patch_has_no_type() -> None:
    found = exchanges(LOG.read_bytes())
    patch = found["patch /api/v1/namespaces/shop/configmaps/menu?fieldManager=kubectl-patch"].request
    assert patch is not None
    assert patch.body.data == b'{"data":{"soup":"leek"}}'
    assert [name for name, _ in patch.headers] == [b"user-agent"]
    update = found[
        "update /api/v1/namespaces/shop/configmaps/menu?fieldManager=kubectl-replace&fieldValidation=Strict"
    ]
    assert update.request is not None
    assert json.loads(update.request.body.data)["kind"] == "ConfigMap"
    assert (b"content-type", b"application/json") in update.request.headers


def test_a_real_refusal_does_not_name_a_person() -> None:
    refused = [
        one.exchange
        for one in entries(LOG.read_bytes())
        if isinstance(one, Reported)
        and one.exchange.caller
        and one.exchange.caller.acting_as == "alice@example.com"
    ]
    (one,) = refused
    assert one.response is not None
    assert b'User \\"user\\" cannot list' in one.response.body.data
    assert b"alice" not in one.response.body.data


@pytest.mark.parametrize(
    ("verb", "method"),
    [
        ("get", b"GET"),
        ("list", b"GET"),
        ("watch", b"GET"),
        ("create", b"POST"),
        ("update", b"PUT"),
        ("patch", b"PATCH"),
        ("delete", b"DELETE"),
        ("deletecollection", b"DELETE"),
        ("proxy", b"GET"),
        ("connect", b"GET"),
        ("post", b"POST"),
        ("options", b"OPTIONS"),
        ("", b"OTHER"),
        ("Über", b"OTHER"),
    ],
)
def test_each_verb_has_its_method(verb: str, method: bytes) -> None:
    request = reported(verb=verb).exchange.request
    assert request is not None
    assert request.method == method


@pytest.mark.parametrize("stage", ["RequestReceived", "ResponseStarted"])
def test_early_stages_are_left_out(stage: str) -> None:
    (one,) = entries(json.dumps(event(stage=stage)).encode())
    assert isinstance(one, Skipped)


def test_a_panic_is_the_call() -> None:
    assert reported(stage="Panic", responseStatus={"code": 500}).exchange.response is not None


@pytest.mark.parametrize(
    ("level", "request_state", "response_state"),
    [
        ("Metadata", BodyState.UNSEEN, BodyState.UNSEEN),
        ("Request", BodyState.COMPLETE, BodyState.UNSEEN),
        ("RequestResponse", BodyState.COMPLETE, BodyState.UNSEEN),
    ],
)
def test_bodies_that_the_level_leaves_out_are_unseen_and_not_absent(
    level: str, request_state: BodyState, response_state: BodyState
) -> None:
    exchange = reported(level=level).exchange
    assert exchange.request is not None
    assert exchange.response is not None
    assert (exchange.request.body.state, exchange.response.body.state) == (request_state, response_state)
    created = reported(level=level, verb="create").exchange.request
    assert created is not None
    assert created.body.state is BodyState.UNSEEN


def test_headers_are_stated_as_not_told() -> None:
    assert reported().exchange.fields_unknown == 1


def test_a_pods_token_tells_namespace_and_pod() -> None:
    user = {
        "username": "system:serviceaccount:shop:default",
        "extra": {"authentication.kubernetes.io/pod-name": ["web-1"]},
    }
    assert reported(user=user, sourceIPs=["::ffff:10.0.0.7", "10.0.0.1"]).client == Endpoint(
        "10.0.0.7", 0, pod="web-1", namespace="shop"
    )


def test_a_call_without_a_status_had_no_response() -> None:
    assert reported(responseStatus=None).exchange.completeness is Completeness.NO_RESPONSE


def test_a_list_of_events_is_its_events() -> None:
    listed = {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": [event(), event(auditID="b")]}
    assert [type(one) for one in entries(json.dumps(listed).encode())] == [Reported, Reported]


def test_broken_lines_are_named_by_their_number() -> None:
    whole = json.dumps(event()).encode()
    raw = b"\n".join([whole, b"", b'{"cut": ', b"[1]", b"{}", whole])
    assert [one for one in entries(raw) if not isinstance(one, Reported)] == [
        UnreadableEntry("line 3", "not JSON"),
        UnreadableEntry("line 4", "not a JSON object"),
        UnreadableEntry("line 5", "not an audit event"),
    ]


def test_a_line_without_end_is_one_broken_line_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE", 100)
    monkeypatch.setattr(lines, "_PIECE", 30)
    raw = b'{"a": "' + b"x" * 1000 + b'"}\n' + json.dumps(event()).encode()[:90] + b"\n" + b"y" * 500
    assert entries(raw) == [
        UnreadableEntry("line 1", "too long"),
        UnreadableEntry("line 2", "not JSON"),
        UnreadableEntry("line 3", "too long"),
    ]


def test_a_depth_bomb_is_one_broken_line() -> None:
    assert entries(b'{"a":' * 100_000 + b"1" + b"}" * 100_000) == [
        UnreadableEntry("line 1", "nested too deeply")
    ]
    wide = b'{"a":[' + b"{}," * 600_000 + b"{}]}"
    assert entries(wide) == [UnreadableEntry("line 1", "too many objects in it")]


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_are_calls_or_broken_and_never_an_exception(raw: bytes) -> None:
    assert all(isinstance(one, (Reported, UnreadableEntry, Skipped, CutShort)) for one in entries(raw))


@settings(deadline=None)
@given(st.sampled_from(sorted(event())), VALUES)
def test_any_value_in_an_event_is_a_call_or_broken_and_never_an_exception(name: str, value: Any) -> None:
    assert len(entries(json.dumps(event(**{name: value})).encode())) == 1
