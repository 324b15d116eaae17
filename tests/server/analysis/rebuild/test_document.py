from __future__ import annotations

import json
import random
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.wire import Body, Consumer, Mask, Record
from server.analysis.rebuild.document import DocumentOptions, document
from server.analysis.rebuild.learner import Learner
from server.analysis.rebuild.text import to_json, to_yaml
from tests.server.analysis.rebuild.shapes.taught import values
from tests.server.analysis.rebuild.traffic import call, deviations, learnt, rebuilt, validate

USERS = "/users"


def operation(found: dict[str, Any], path: str, method: str = "get") -> Any:
    return found["paths"][path][method]


def parameter(found: dict[str, Any], name: str) -> Any:
    return next(one for one in operation(found, USERS)["parameters"] if one["name"] == name)


def asked(*queries: str) -> Any:
    return rebuilt([call(path=f"{USERS}?{query}", answer=[]) for query in queries])


words = st.sampled_from(["a", "b", "users", "orders", "1", "22", "true", "a,b", "7f3a2c19ab", "x y", "é"])
names = st.sampled_from(["page", "q", "f[a]", "f[b]", "ids", "ids[]", "1", "a,", "%01,"])


@st.composite
def calls(draw: st.DrawFn) -> Record:
    """Arbitrary exchanges of a service."""
    method = draw(st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]))
    path = "/" + "/".join(draw(st.lists(st.sampled_from(["users", "1", "22", "me", "a b"]), max_size=3)))
    pairs = draw(st.lists(st.tuples(names, words | st.just("")), max_size=3))
    query = "&".join(f"{name}={value}".replace(" ", "%20") for name, value in pairs)
    sends = method in ("POST", "PUT") and draw(st.booleans())
    consumer = draw(
        st.sampled_from(
            [Consumer(), Consumer(credential_scheme="bearer"), Consumer(credential_scheme="basic")]
        )
    )
    authorized = {"authorization": "redacted"} if consumer.credential_scheme else {}
    return call(
        method,
        (path + "?" + query) if query else path,
        draw(st.sampled_from([200, 201, 302, 404, 500])),
        draw(st.none() | values),
        sent=draw(values) if sends else None,
        headers={**authorized, **draw(st.dictionaries(st.sampled_from(["X-Tenant", "X-Page"]), words))},
        consumer=consumer,
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(calls(), max_size=25))
def test_a_rebuilt_document_is_valid_and_accepts_its_own_evidence(records: list[Record]) -> None:
    found = rebuilt(records, evidence=True)
    paths = {
        one.request.path for one in records if one.response and one.response.status < 400 and one.request
    }
    taught = [one for one in records if one.request and one.request.path in paths]
    kinds = {kind for kind, _, _ in deviations(found, taught)}
    assert kinds <= {"unknown-method"}  # of a method that never succeeded


@settings(max_examples=30, deadline=None)
@given(st.lists(calls(), max_size=20), st.randoms(use_true_random=False))
def test_order_storing_and_adding_up_leave_no_trace(records: list[Record], chance: random.Random) -> None:
    expected = document(learnt(records), DocumentOptions("Shop"))
    mixed = chance.sample(records, len(records))
    assert document(learnt(mixed), DocumentOptions("Shop")) == expected
    cut = len(mixed) // 2
    learner = Learner.restore(learnt(mixed[:cut]).state())
    learner.absorb(learnt(mixed[cut:]))
    assert document(learner, DocumentOptions("Shop")) == expected
    assert document(Learner.restore(learner.state()), DocumentOptions("Shop")) == expected


def without_bodies(method: str, size: int | None, kind: str | None) -> Record:
    """A call whose bodies were not captured."""
    plain = call(method, "/pods", 201)
    unseen = Body(size, None, "unseen")
    assert plain.request is not None
    assert plain.response is not None
    request = replace(plain.request, body=unseen, content_type=kind)
    return replace(plain, request=request, response=replace(plain.response, body=unseen, content_type=kind))


def test_a_body_of_which_nothing_was_seen_is_not_described() -> None:
    found = operation(rebuilt([without_bodies("POST", None, None)] * 9, evidence=True), "/pods", "post")
    assert "requestBody" not in found
    assert "content" not in found["responses"]["201"]


@pytest.mark.parametrize(
    ("size", "kind", "shown"), [(8, None, "*/*"), (None, "application/json", "application/json")]
)
def test_a_body_of_which_size_or_type_was_seen_is_described(
    size: int | None, kind: str | None, shown: str
) -> None:
    found = operation(rebuilt([without_bodies("POST", size, kind)] * 9), "/pods", "post")
    assert list(found["requestBody"]["content"]) == [shown]
    assert list(found["responses"]["201"]["content"]) == [shown]


def test_bodies_not_seen_say_nothing_of_those_that_were() -> None:
    seen = [call("POST", "/pods", 201, {"id": 1}, sent={"name": "a"}) for _ in range(9)]
    found = rebuilt([*seen, *[without_bodies("POST", None, None)] * 9])
    assert found == rebuilt(seen)


def parts_of(records: list[Record], chance: random.Random) -> list[list[Record]]:
    parts: list[list[Record]] = [[] for _ in range(chance.randint(2, 5))]
    for record in chance.sample(records, len(records)):
        chance.choice(parts).append(record)
    return parts


@settings(max_examples=30, deadline=None)
@given(st.lists(calls(), max_size=20), st.randoms(use_true_random=False))
def test_any_partition_merged_in_any_order_gives_the_same_text(
    records: list[Record], chance: random.Random
) -> None:
    learners = [learnt(part) for part in parts_of(records, chance)]
    while len(learners) > 1:
        chance.shuffle(learners)
        stored = Learner.restore(learners.pop().state())
        stored.absorb(learners.pop())
        learners.append(stored)
    assert to_json(document(learners[0], DocumentOptions("Shop"))) == to_json(
        document(learnt(records), DocumentOptions("Shop"))
    )


@pytest.mark.parametrize(
    ("queries", "name", "expected"),
    [
        (["page=1", "page=2"], "page", {"schema": {"type": "integer"}}),
        (["full=true", "full=false"], "full", {"schema": {"type": "boolean"}}),
        (["page=1", "page=x"], "page", {"schema": {"type": "string"}}),
        (["page=007", "page=1"], "page", {"schema": {"type": "string"}}),
        (
            ["id=1&id=2", "id=3"],
            "id",
            {"style": "form", "explode": True, "schema": {"type": "array", "items": {"type": "integer"}}},
        ),
        (
            ["id=1,2", "id=3,4"],
            "id",
            {"style": "form", "explode": False, "schema": {"type": "array", "items": {"type": "integer"}}},
        ),
        (["q=a, b", "q=c"], "q", {"schema": {"type": "string"}}),
        (["flag=", "flag="], "flag", {"allowEmptyValue": True, "schema": {"type": "string"}}),
        (
            ["f[a]=1&f[b]=x"] * 10,
            "f",
            {
                "required": True,
                "style": "deepObject",
                "explode": True,
                "schema": {
                    "type": "object",
                    "required": ["a", "b"],
                    "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
                },
            },
        ),
    ],
)
def test_parameters_have_the_style_and_type_of_what_was_sent(
    queries: list[str], name: str, expected: dict[str, Any]
) -> None:
    assert parameter(asked(*queries), name) == {"name": name, "in": "query", **expected}


def test_a_parameter_is_required_once_enough_accepted_calls_sent_it() -> None:
    accepted = [call(path=f"{USERS}?page={i}", answer=[]) for i in range(10)]
    refused = [call(path=USERS, status=400), call(path=f"{USERS}?admin=1", status=403)]
    found = rebuilt([*accepted, *refused])
    assert parameter(found, "page")["required"]
    assert [one["name"] for one in operation(found, USERS)["parameters"]] == ["page"]
    assert "required" not in parameter(rebuilt(accepted[1:]), "page")


def test_names_without_number_are_one_free_parameter() -> None:
    found = asked(*[f"{1_700_000_000 + i}=" for i in range(3)])
    assert [one["name"] for one in operation(found, USERS)["parameters"]] == ["others"]
    assert deviations(found, [call(path=f"{USERS}?1800000000=", answer=[])]) == []


def test_headers_of_http_proxies_and_browsers_are_no_parameters() -> None:
    headers = {
        "Accept": "x",
        "X-Forwarded-For": "x",
        "Traceparent": "x",
        "Sec-Fetch-Mode": "x",
        "X-Tenant": "t",
    }
    found = rebuilt([call(answer=[], headers=headers)])
    assert [one["name"] for one in operation(found, USERS)["parameters"]] == ["x-tenant"]


def test_cookies_are_parameters_but_the_one_that_carries_the_session() -> None:
    session = Consumer(credential_scheme="cookie", credential="f", facts={"in": "cookie", "name": "sid"})
    found = rebuilt([call(answer=[], headers={"Cookie": "sid=redacted; lang=de"}, consumer=session)])
    said = operation(found, USERS)
    assert [(one["name"], one["in"]) for one in said["parameters"]] == [("lang", "cookie")]
    assert said["security"] == [{"sid-cookie": []}]
    assert found["components"]["securitySchemes"] == {
        "sid-cookie": {"type": "apiKey", "in": "cookie", "name": "sid"}
    }


@pytest.mark.parametrize(
    ("consumer", "expected"),
    [
        (Consumer(credential_scheme="basic"), {"type": "http", "scheme": "basic"}),
        (
            Consumer(credential_scheme="bearer", facts={"jwt.alg": "RS256"}),
            {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        ),
        (
            Consumer(credential_scheme="api-key", facts={"in": "header", "name": "x-api-key"}),
            {"type": "apiKey", "in": "header", "name": "x-api-key"},
        ),
        (Consumer(credential_scheme="other"), {"type": "apiKey", "in": "header", "name": "Authorization"}),
    ],
)
def test_what_callers_authenticate_with_becomes_a_scheme(consumer: Consumer, expected: Any) -> None:
    calls = [call(answer=[], consumer=consumer, headers={"authorization": "x", "x-api-key": "x"})]
    found = rebuilt(calls)
    assert [*found["components"]["securitySchemes"].values()] == [expected]
    assert len(operation(found, USERS)["security"]) == 1
    assert {} in operation(rebuilt([*calls, call(answer=[])]), USERS)["security"]


def test_an_answer_that_announces_its_end_deprecates_the_operation() -> None:
    ending = call(answer=[], answer_headers={"Sunset": "Wed, 01 Jan 2031 00:00:00 GMT"})
    assert operation(rebuilt([call(answer=[]), ending]), USERS)["deprecated"]
    assert "deprecated" not in operation(rebuilt([call(answer=[])]), USERS)


def test_objects_of_several_places_become_one_component() -> None:
    user = {"id": 1, "name": "x", "mail": "a@b.de"}
    found = rebuilt(
        [call(answer={"items": [user]})] * 10 + [call(path=f"/users/{i}", answer=user) for i in range(10)]
    )
    assert [*found["components"]["schemas"]] == ["User"]
    one = operation(found, "/users/{userId}")["responses"]["200"]["content"]["application/json"]["schema"]
    assert one == {"$ref": "#/components/schemas/User"}


def test_a_component_knows_what_lies_within_all_of_its_places() -> None:
    one, other = ({"id": 1, "name": {"de": "x", text: "y"}} for text in ("fr", "ru"))
    records = [call(path="/a", answer=one), call(path="/b", answer=one), call(path="/c/d", answer=other)] * 10
    assert deviations(rebuilt(records), records) == []


def test_writing_a_document_teaches_nothing() -> None:
    user = {"id": "2024-01-01", "name": "x"}
    learner = learnt([call(answer=[user, {"key": "y", "text": "z"}]), call(path="/users/1", answer=user)])
    state = learner.state()
    document(learner, DocumentOptions("Shop"))
    assert learner.state() == state


def test_a_discriminator_tells_alternatives_apart() -> None:
    shapes = [{"kind": "circle", "radius": 1, "x": 1}, {"kind": "square", "side": 2, "label": "s"}] * 5
    found = rebuilt([call(path="/shapes", answer=shapes)])
    items = operation(found, "/shapes")["responses"]["200"]["content"]["application/json"]["schema"]["items"]
    assert items["discriminator"]["propertyName"] == "kind"
    assert {*items["discriminator"]["mapping"]} == {"circle", "square"}
    wrong = [{"kind": "circle", "radius": "1", "x": 1}]
    assert deviations(found, [call(path="/shapes", answer=wrong)]) == [("type", "response.body", "/0/radius")]


def test_tags_and_ids_are_of_the_words_in_the_path() -> None:
    found = rebuilt(
        [call(path="/api/v1/orders/1", answer={}), call(path="/api/v1/orders/1/items", answer=[])]
    )
    said = [one["get"] for one in found["paths"].values()]
    assert [one["tags"] for one in said] == [["orders"], ["orders"]]
    assert len({one["operationId"] for one in said}) == 2
    assert found["tags"] == [{"name": "orders"}]


def test_forms_are_objects_of_what_their_texts_stand_for() -> None:
    sent = b"name=a+b&age=7&tag=x&tag=y"
    form = "application/x-www-form-urlencoded"
    found = rebuilt([call("POST", sent=sent, kind=form, status=204)] * 10)
    schema = operation(found, USERS, "post")["requestBody"]["content"][form]["schema"]
    assert schema["properties"]["age"] == {"type": "integer"}
    assert schema["properties"]["tag"] == {
        "type": "array",
        "items": {"type": "string", "enum": ["x", "y"]},
    }
    assert schema["required"] == ["age", "name", "tag"]


def test_a_multipart_form_has_texts_and_files() -> None:
    sent = (
        b'--b\r\nContent-Disposition: form-data; name="age"\r\n\r\n7\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n\r\nredacted\r\n--b--\r\n'
    )
    kind = "multipart/form-data; boundary=b"
    found = rebuilt([call("POST", sent=sent, kind=kind, status=204)] * 3)
    content = operation(found, USERS, "post")["requestBody"]["content"]["multipart/form-data"]
    assert content["schema"]["properties"] == {
        "age": {"type": "integer"},
        "file": {"type": "string", "contentMediaType": "application/octet-stream"},
    }


def test_masked_values_are_no_examples_and_in_no_enum() -> None:
    masks = [Mask("response.body", "/token", "name:token"), Mask("query", "key", "name:key")]
    records = [
        call(path=f"{USERS}?key=redacted", answer={"token": "redacted"}, masks=masks) for _ in range(60)
    ]
    found = rebuilt(records, evidence=True)
    assert "redacted" not in json.dumps(found)
    assert deviations(found, records) == []


def test_what_never_succeeded_is_no_operation() -> None:
    found = rebuilt([call(path="/admin", status=404), call(path="/admin", status=401), call(answer=[])])
    assert [*found["paths"]] == [USERS]


def test_preflights_and_unheard_methods_are_no_calls() -> None:
    preflight = call("OPTIONS", headers={"Origin": "x", "Access-Control-Request-Method": "GET"})
    learner = learnt([preflight, call("PROPFIND"), call("CONNECT")])
    assert learner.counts == {"no_call": 3}


@pytest.mark.parametrize("broken", [b"{", b"[" * 10_000 + b"]" * 10_000, b"\xff", b'"\\ud800"', b"NaN"])
def test_a_body_that_is_no_json_teaches_nothing_but_its_type(broken: bytes) -> None:
    found = rebuilt([call(answer=broken)])
    assert operation(found, USERS)["responses"]["200"]["content"] == {"application/json": {}}


def test_a_body_beyond_the_bound_is_counted_and_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.analysis.rebuild.body_values.LARGEST_BODY", 100)
    found = rebuilt([call(answer=["x" * 100]), call(answer=["x"])], evidence=True)
    media = operation(found, USERS)["responses"]["200"]["content"]["application/json"]
    assert media["x-spectap"]["unlearnt"] == 1
    assert media["x-spectap"]["largestBytes"] == 104


def test_what_lies_as_deep_as_is_read_is_stored_and_written() -> None:
    value: Any = 1
    for _ in range(63):
        value = {"a": value}
    learner = learnt([call(answer=value)])
    assert Learner.restore(learner.state()).state() == learner.state()
    validate(document(learner, DocumentOptions("Shop")))


def test_hostile_paths_end_at_the_bounds() -> None:
    learner = Learner(shapes=3_000)
    chance = random.Random(1)
    for _ in range(20_000):
        path = "/" + "/".join(chance.choice("abcdefgh") * 3 + str(chance.randrange(9)) for _ in range(4))
        learner.learn(call(path=path, answer={"a": 1}))
    assert learner.places <= 3_000
    assert learner.counts["over_bound"] > 0
    validate(document(learner, DocumentOptions("Shop")))


def test_a_document_reads_the_same_as_yaml_and_as_json() -> None:
    found = rebuilt([call(answer=[{"id": 1}])], evidence=True)
    assert yaml.safe_load(to_yaml(found)) == json.loads(to_json(found)) == found


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/orders/17", ["orderId"]),
        ("/id/17", ["id"]),
        ("/date/2026-01-31", ["date"]),
        ("/uuid/0b0f7c1e-2f1c-4d7c-9c52-3d7c5b1d2a10", ["uuid"]),
        ("/api/v1/17", ["id"]),
        ("/payments/pay_01hzabcdefghjkmnpq", ["paymentId"]),
        ("/links/3/0", ["linkId", "linkId2"]),
    ],
)
def test_a_parameter_is_named_after_what_it_holds(path: str, names: list[str]) -> None:
    (item,) = rebuilt([call(path=path, answer={})])["paths"].values()
    assert [one["name"] for one in item["get"]["parameters"]] == names


def test_an_operation_has_a_summary_and_says_that_it_needs_no_credentials() -> None:
    found = rebuilt([call(path="/orders/17", answer={}), call("POST", path="/orders", answer={})])
    assert operation(found, "/orders/{orderId}")["summary"] == "Get order by orderId"
    assert operation(found, "/orders", "post")["summary"] == "Post to orders"
    assert operation(found, "/orders", "post")["security"] == []


def test_cookies_of_trackers_and_load_balancers_are_no_parameters() -> None:
    cookie = "_ga=1; __utma=2; AWSALB=3; cf_use_ob=0; BIGipServerpool=4; theme=dark"
    records = [call(path=USERS, answer=[], headers={"Cookie": cookie})] * 3
    found = rebuilt(records)
    assert [one["name"] for one in operation(found, USERS)["parameters"]] == ["theme"]
    assert deviations(found, records) == []
