"""Named values of a request or response (headers, cookies, query, forms), as values for a shape to learn.

A query becomes an object: a text for a name sent once, an array for a repeated one, an object for
`name[field]`, null for an empty one; a comma-separated list is stored under the name with COMMAS.
"""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import MIMEPart
from itertools import islice

from agent.wire import Pairs
from server.analysis.rebuild.header_names import LONGEST_NAME, header_name
from server.analysis.rebuild.masked import Masked
from server.analysis.rebuild.shapes.values import Hidden, Value
from server.analysis.specs.judging.parameters import query_texts
from server.analysis.specs.judging.values import text_of

COMMAS = "\1,"
ANY_NAME = "0"  # stands for names not kept; since it is a number, names count as arbitrary
MOST_NAMES = 200  # names of one query or form, and cookies of one request; further ones are not learned
MOST_PARTS = 200  # of a multipart form

_POLICY = policy.default.clone(raise_on_defect=False)
_DEEP = re.compile(r"([^\[\]]+)\[([^\[\]]+)\]")
_LIST = re.compile(r"[\w.:@+-]{1,40}(?:,[\w.:@+-]{1,40}){1,200}")


def headers_of(headers: Pairs, where: str, masked: Masked) -> dict[str, Value]:
    """An API's own headers."""
    found: dict[str, Value] = {}
    for raw, value in headers:
        name = header_name(raw)
        if name is not None and len(found) < MOST_NAMES:
            found[name] = masked.text(where, name, value.decode("latin-1")) if value else None
    return found


def cookies_of(headers: Pairs, masked: Masked) -> dict[str, Value]:
    """A request's cookies."""
    found: dict[str, Value] = {}
    for raw, line in headers:
        if raw.lower() != b"cookie":
            continue
        for pair in line.split(b";"):
            name, equals, value = pair.strip().decode("latin-1").partition("=")
            if equals and name and len(name) <= LONGEST_NAME and len(found) < MOST_NAMES:
                found[name] = masked.text("cookie", name, value) if value else None
    return found


def query_of(query: bytes | None, where: str, masked: Masked) -> dict[str, Value]:
    """A query, or a form in the same notation."""
    found: dict[str, Value] = {}
    for name, sent in query_texts(query).items():
        if len(name) > LONGEST_NAME or len(found) >= MOST_NAMES or COMMAS[0] in name:
            found[ANY_NAME] = None
            continue
        shown = name if where == "query" else "/" + name.replace("~", "~0").replace("/", "~1")
        _add(found, name, [masked.text(where, shown, text_of(raw)) if raw else None for raw in sent])
    return found


def _add(found: dict[str, Value], name: str, texts: list[str | Hidden | None]) -> None:
    """Adds the value of one name."""
    first = texts[0]
    deep = _DEEP.fullmatch(name)
    fields = found.setdefault(deep[1], {}) if deep is not None else None
    if deep is not None and isinstance(fields, dict):
        fields[deep[2]] = first
    elif len(texts) > 1:
        found[name] = texts
    elif isinstance(first, str) and "," in first and _LIST.fullmatch(first):
        found[name + COMMAS] = first.split(",")
    else:
        found[name] = first


def multipart_of(body: bytes, content_type: str, masked: Masked) -> dict[str, Value] | None:
    """The fields of a multipart form (RFC 7578), True for a file's content; None if it is none."""
    head = b"Content-Type: " + content_type.encode("latin-1", "replace") + b"\r\n\r\n"
    message = message_from_bytes(head + body, policy=_POLICY)
    if not message.is_multipart():
        return None
    found: dict[str, Value] = {}
    for part in islice(message.iter_parts(), MOST_PARTS):
        name = part.get_param("name", header="content-disposition")
        if not isinstance(name, str) or not name or len(name) > LONGEST_NAME:
            continue
        value = True if part.get_filename() is not None else _field_of(part, name, masked)
        sent_before = name in found and value is not True
        found[name] = [*_several(found[name]), value] if sent_before else value
    return found


def _field_of(part: MIMEPart, name: str, masked: Masked) -> Value:
    payload = part.get_payload(decode=True)
    text = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
    return masked.text("request.body", "/" + name, text) if text else None


def _several(value: Value) -> list[Value]:
    return value if isinstance(value, list) else [value]
