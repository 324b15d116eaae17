"""A secret under any of its names, in any nesting, spelling and envelope, is never in the record."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

from hypothesis import example, given
from hypothesis import strategies as st

from agent.http.messages import Exchange, Headers
from agent.redact.roles import NAMED, Group, Naming
from agent.wire import pack_record
from tests.agent.redact.redaction import (
    FORM,
    JSON,
    POLICY,
    PROVENANCE,
    body,
    exchange,
    request,
    response,
    to_record,
)

SECRET = "Trombone-Parapet-8814"
NUMBER = 918273645546
SECRET_NAMES = (
    "password",
    "DB_PASSWORD",
    "apiKey",
    "x-auth-token",
    "session_id",
    "userPin",
    "client_secret",
)
NAMINGS = {
    Naming.TYPE: ("type", "kind"),
    Naming.NAME: ("name", "key", "parameter key", "variable", "env", "option name", "header", "k"),
    Naming.ID: ("id", "slug"),
    Naming.TITLE: ("label", "title"),
    Naming.PLACE: ("source", "target"),
    Naming.FIELD: ("field", "property name", "param", "attribute", "loc", "path"),
    Naming.POINTER: ("pointer", "instance path", "data path"),
}
GROUPS = {
    Group.VALUE: ("value", "values", "val", "v", "attempted value", "parameter value", "value string"),
    Group.HOLDER: ("content", "default", "data", "text", "raw"),
    Group.ECHO: ("input", "received", "actual", "given"),
    Group.REASON: ("reason",),
    Group.CHANGE: ("old", "new", "from", "to", "previous"),
    Group.COMPLAINT: ("message", "msg", "error message", "detail", "ctx", "params", "constraints"),
}
HARMLESS_KEYS = ("count", "colour", "ok", "items", "at")
harmless = st.sampled_from((1, True, None, "words", "it's", "", "a: b", [1, "x"], {"colour": "red"}))


def spelled(words: str, style: int) -> str:
    parts = words.split()
    camel = "".join(part.capitalize() for part in parts)
    return (
        "_".join(parts),
        "-".join(parts),
        camel,
        camel[:1].lower() + camel[1:],
        "_".join(parts).upper(),
        "".join(parts),
    )[style]


styles = st.integers(0, 5)


@st.composite
def values(draw: st.DrawFn) -> Any:
    """The secret, or a value that contains it."""
    value: Any = draw(st.sampled_from((SECRET, NUMBER, f"not {SECRET}", f"'{SECRET}' is short")))
    for step in draw(st.lists(st.sampled_from(("list", "object", "beside")), max_size=3)):
        value = [value] if step == "list" else {"x": value} if step == "object" else ["words", value, None]
    return value


@st.composite
def labelled(draw: st.DrawFn) -> Any:
    """An object in which a label names the secret."""
    naming = draw(st.sampled_from(Naming))
    group = draw(st.sampled_from(sorted(NAMED[naming], key=lambda one: one.value)))
    name: Any = draw(st.sampled_from(SECRET_NAMES))
    if naming in (Naming.FIELD, Naming.POINTER):
        name = draw(st.sampled_from((name, f"user.{name}", f"$.{name}", ["body", name], [name])))
    if naming is Naming.POINTER and isinstance(name, str):
        name = draw(st.sampled_from((name, f"/user/{name}")))
    naming_key = spelled(draw(st.sampled_from(NAMINGS[naming])), draw(styles))
    value_key = spelled(draw(st.sampled_from(GROUPS[group])), draw(styles))
    members = [(naming_key, name), (value_key, draw(values()))]
    members += draw(st.lists(st.tuples(st.sampled_from(HARMLESS_KEYS), harmless), max_size=3))
    return dict(draw(st.permutations(members)))


@st.composite
def nested_labels(draw: st.DrawFn) -> Any:
    """The location of an error in a nested object, as in JSON:API."""
    pointer = {"pointer": f"/data/attributes/{draw(st.sampled_from(SECRET_NAMES))}"}
    place = spelled(draw(st.sampled_from(("source", "location", "field"))), draw(styles))
    members = [(place, pointer), (draw(st.sampled_from(("detail", "input", "meta"))), draw(values()))]
    return dict(draw(st.permutations(members)))


own_names = st.builds(lambda name, value: {name: value}, st.sampled_from(SECRET_NAMES), values())
pairs = st.builds(lambda name: [["colour", "red"], [name, SECRET]], st.sampled_from(SECRET_NAMES))


def quoted(text: str, quote: str) -> str:
    return f"{quote}{text}{quote}"


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A text that names the secret."""
    name = quoted(draw(st.sampled_from(SECRET_NAMES)), draw(st.sampled_from(("", "'", '"'))))
    value = quoted(SECRET, draw(st.sampled_from(("", "'", '"'))))
    sign = draw(st.sampled_from((": ", "=", " = ", " => ", ":")))
    around = draw(
        st.sampled_from(("%s", "%s", "{%s}", "[%s]", "{a: %s}", "(x, %s)", "auth: {%s}", "credentials: [%s]"))
    )
    outer = draw(st.sampled_from(("", "auth: ", "secrets = ", "session => ")))
    pair = draw(
        st.sampled_from(
            (
                f"{name}{sign}{value}",
                f"{name}{sign}[{value}]",
                f"{name}{sign}{{a: {value}}}",
                f"{name}{sign}({value}, 1)",
                f"{name}:\n  {value}",
                f"{name}:\n  - 1\n  - {value}",
                f"{name}: |\n  words\n  {value}",
                f"name{sign}{name}, value{sign}{value}",
                f"Value{sign}{value}, Key{sign}{name}",
                f"field{sign}{name}; message{sign}{value}",
                f"Duplicate entry '{SECRET}' for key {name}",
                f"{name} got invalid value {value}" if value != SECRET else f"{name}={value}",
            )
        )
    )
    before = draw(st.sampled_from(("", "user: ada, ", "it's fine. ", "a {b} ", "x=1&", "\n")))
    after = draw(st.sampled_from(("", " and more", " it's over", ", user: ada", "\nuser: ada")))
    return before + outer + around % pair + after


named = st.one_of(own_names, labelled(), nested_labels(), pairs, texts().map(lambda text: {"log": text}))


@st.composite
def documents(draw: st.DrawFn) -> Any:
    """JSON with the secret anywhere within."""
    document = draw(named)
    for step in draw(st.lists(st.sampled_from(("list", "object", "text", "form")), max_size=4)):
        if step == "text":
            document = {"raw": json.dumps(document, ensure_ascii=draw(st.booleans()))}
        elif step == "form":
            document = {"raw": f"a=1&document={quote(json.dumps(document))}"}
        elif step == "list":
            document = [draw(harmless), document]
        else:
            document = {"a": draw(harmless), "b": document, "c": draw(harmless)}
    return document


def sent(data: bytes, headers: Headers) -> Exchange:
    return exchange(request(headers=headers, payload=body(data)), response(headers, body(data)))


def escaped(text: str) -> str:
    """JSON in which every letter of keys and texts is an escape, as any writer may produce."""
    strings = re.compile(r'"(?:[^"\\]|\\.)*"')
    return strings.sub(lambda one: re.sub(r"(?<!\\)[A-Za-z]", _escape, one[0]), text)


def _escape(letter: re.Match[str]) -> str:
    return f"\\u{ord(letter[0]):04x}"


def enveloped(document: Any, envelope: str) -> Exchange:
    text = json.dumps(document)
    match envelope:
        case "JSON":
            return sent(text.encode(), JSON)
        case "spaced":
            return sent(json.dumps(document, indent=2).encode(), JSON)
        case "escaped":
            return sent(escaped(text).encode(), JSON)
        case "untyped":
            return sent(text.encode(), ())
        case "lines":
            return sent(f'{{"a": 1}}\n{text}\n'.encode(), ((b"content-type", b"application/x-ndjson"),))
        case "form":
            return sent(f"a=1&document={quote(text)}".encode(), FORM)
        case "multipart":
            part = b'--edge\r\nContent-Disposition: form-data; name="x"\r\n\r\n%s\r\n--edge--\r\n'
            return sent(part % text.encode(), ((b"content-type", b"multipart/form-data; boundary=edge"),))
        case "events":
            return sent(f"event: a\ndata: {text}\n\n".encode(), ((b"content-type", b"text/event-stream"),))
        case "text":
            return sent(text.encode(), ((b"content-type", b"text/plain"),))
        case "query":
            return exchange(request(f"/a?page=1&document={quote(text, safe='')}".encode()), response())
        case _:
            return exchange(request(headers=((b"user-agent", text.encode()),)), response())


ENVELOPES = (
    "JSON",
    "spaced",
    "escaped",
    "untyped",
    "lines",
    "form",
    "multipart",
    "events",
    "text",
    "query",
    "header",
)


@given(documents(), st.sampled_from(ENVELOPES))
@example({"log": 'auth: token: "' + SECRET + '"'}, "JSON")
def test_a_secret_under_its_name_is_in_no_record(document: Any, envelope: str) -> None:
    record = pack_record(to_record(enveloped(document, envelope), PROVENANCE, POLICY, bytes(32)))
    assert b"Trombone" not in record
    assert b"Parapet" not in record
    assert b"8273645" not in record
