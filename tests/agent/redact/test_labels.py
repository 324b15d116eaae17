"""Labels in JSON: values named as secrets are masked in any order and nesting, other values stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.redact.roles import Group, Naming, role
from tests.agent.redact.redaction import body_record, kept
from tests.secret_bodies import ECHOES, PAIRS

SECRET = "Trombone-Parapet-8814"
DOCUMENTS = {
    f"{kind}: {name}": made for kind, one in (("echo", ECHOES), ("pair", PAIRS)) for name, made in one.items()
}

Wrapped = Callable[[Any], Any]


def backwards(document: Any) -> Any:
    """Reverses the members of each object: a label then follows its value."""
    if isinstance(document, dict):
        return {key: backwards(value) for key, value in reversed(document.items())}
    return [backwards(value) for value in document] if isinstance(document, list) else document


WRAPPERS: dict[str, Wrapped] = {
    "as it is": lambda document: document,
    "backwards": backwards,
    "in a list": lambda document: [1, document, {"a": document}],
    "beside others": lambda document: {"value": 1, "item": document, "name": "color", "data": [document]},
    "in a text": lambda document: {"log": json.dumps(document)},
    "in a text, backwards": lambda document: {"log": json.dumps([backwards(document)], indent=1)},
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_value_beside_a_secrets_name_is_masked(document: str, wrapper: str) -> None:
    sent = WRAPPERS[wrapper](DOCUMENTS[document](SECRET))
    assert SECRET in json.dumps(sent)
    left = kept(json.dumps(sent).encode())
    assert left is not None
    assert SECRET.encode() not in left
    assert shape(json.loads(left)) == shape(sent)


def shape(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: shape(value) for key, value in document.items()}
    return [shape(value) for value in document] if isinstance(document, list) else type(document)


UNTOUCHED: tuple[Any, ...] = (
    {"type": "about:blank", "title": "Forbidden", "status": 403, "instance": "/account/12/password"},
    {"question": "Which colour?", "answer": "red"},
    {"name": "color", "value": "red"},
    {"id": 1, "value": 2},
    {"id": "6f1f5e3e-89d5-4b1e-8a3e-0123456789ab", "content": "words", "title": "Words"},
    {"items": [{"key": "theme", "value": "dark"}, {"Key": "Name", "Value": "web-1"}]},
    {"ParameterKey": "InstanceType", "ParameterValue": "t3.micro"},
    {"title": "How to reset your password", "content": "an article", "text": "words"},
    {"label": "Forgot your password again?", "text": "here", "value": "link"},
    {"timestamp": 1, "status": 404, "error": "Not Found", "message": "No message", "path": "/api/token"},
    {"path": "/login/token", "value": 12},
    {"path": "src/token.py", "content": "words", "data": "words", "message": "words"},
    {"env": [{"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]},
    {"type": "object", "required": ["email", "password"], "properties": {"email": {"type": "string"}}},
    {"name": "password_policy", "value": "strict"},
    {"type": "token", "data": {"text": "words"}, "message": "words"},
    {"name": "session", "message": "words", "from": "10:00", "to": "11:00"},
    {"level": "info", "target": "auth", "message": "ada logged in", "source": "auth"},
    {"detail": [{"loc": ["body", "age"], "msg": "not a number", "input": "x", "ctx": {"limit": 8}}]},
    {"errors": [{"field": "email", "rejectedValue": "x", "defaultMessage": "no"}]},
    {"fields": ["email", "password"], "data": [["a", "b"], ["c", "d"]]},
    {"grant_type": "password", "name": "ada", "value": "x"},
)


@pytest.mark.parametrize("document", UNTOUCHED, ids=json.dumps)
@pytest.mark.parametrize("order", [lambda document: document, backwards], ids=["", "backwards"])
def test_values_beside_other_names_stay(document: Any, order: Wrapped) -> None:
    sent = json.dumps(order(document)).encode()
    assert kept(sent) == sent


@pytest.mark.parametrize(
    ("key", "naming", "group"),
    [
        ("name", Naming.NAME, None),
        ("ParameterKey", Naming.NAME, None),
        ("PROPERTY_NAME", Naming.FIELD, None),
        ("instancePath", Naming.POINTER, None),
        ("label", Naming.TITLE, None),
        ("rejectedValue", None, Group.VALUE),
        ("VALUES", None, Group.VALUE),
        ("valueString", None, Group.VALUE),
        ("errorMessage", None, Group.COMPLAINT),
        ("toString", None, Group.CHANGE),
    ],
)
def test_a_key_means_the_same_in_each_spelling(key: str, naming: Naming | None, group: Group | None) -> None:
    found = role(key)
    assert found is not None
    assert (found.naming, found.group) == (naming, group)


@pytest.mark.parametrize(
    "key", ["", "1", "color", "valueFrom", "valueType", "contentType", "data_length", "日本語"]
)
def test_other_keys_mean_nothing(key: str) -> None:
    assert role(key) is None


KEYS = "name Key field loc path source id type value Value input data message ctx from secret x op"
keys = st.sampled_from(KEYS.split())
leaves = st.sampled_from(("password", "pin", "/pin", "body", "add", "x", "words", 5, True, None, ""))
documents = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=5)),
    max_leaves=20,
)


def changes(before: Any, after: Any, pointer: str = "") -> list[str]:
    """The differences between two documents of one shape."""
    if isinstance(before, dict):
        return [at for key in before for at in changes(before[key], after[key], f"{pointer}/{key}")]
    if isinstance(before, list):
        return [at for i in range(len(before)) for at in changes(before[i], after[i], f"{pointer}/{i}")]
    return [] if before == after else [pointer]


@given(documents)
def test_whatever_is_masked_is_told_by_its_place(document: Any) -> None:
    one = body_record(json.dumps(document).encode())
    assert one.request is not None
    assert one.request.body.data is not None
    places = {mask.pointer for mask in one.masks}
    assert set(changes(document, json.loads(one.request.body.data))) <= places


@given(documents)
def test_the_order_of_members_is_no_matter(document: Any) -> None:
    left = [kept(json.dumps(one).encode()) for one in (document, backwards(document))]
    assert json.loads(left[0] or b"") == json.loads(left[1] or b"")


def test_names_behind_what_they_name_are_no_trouble_at_any_depth() -> None:
    document = '{"value":' * 1000 + '"a1"' + ',"name":"pin"}' * 1000
    assert (
        kept(document.encode())
        == document.replace("a1", "redacted").replace('"pin"}', '"redacted"}', 999).encode()
    )
