"""Judging a body: its media type against those described, its JSON against the schema."""

from __future__ import annotations

import json
import re
from typing import Any

from agent.wire import Body
from server.analysis.specs.convert import Direction
from server.analysis.specs.cost import MAX_BODY_DEPTH
from server.analysis.specs.kinds import Kind, Where
from server.analysis.specs.model import Content
from server.analysis.specs.operations import essence, is_json
from server.analysis.specs.outcome import Outcome
from server.analysis.specs.schemas import Checker, Schemas

_WHERE = {Direction.REQUEST: Where.REQUEST_BODY, Direction.RESPONSE: Where.RESPONSE_BODY}


class NotJson(ValueError):
    """The bytes are not JSON text in UTF-8."""


class Unreadable(ValueError):
    """The text nests too deeply, a number in it is too long, or a string is no Unicode (half of a
    surrogate pair), to be read within bounds.
    """


class _Constant(Exception):
    """NaN or Infinity, which Python's parser takes and JSON does not have."""


def _refuse(name: str) -> Any:
    raise _Constant


_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_DECODER = json.JSONDecoder(parse_constant=_refuse)


def json_value(raw: bytes, depth: int = MAX_BODY_DEPTH) -> Any:
    """The JSON value in `raw`. Raises NotJson, Unreadable."""
    try:
        value = _DECODER.decode(raw.decode("utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError, _Constant):
        raise NotJson from None
    except (RecursionError, ValueError):  # the latter for integers of thousands of digits
        raise Unreadable from None
    if raw.count(b"[") + raw.count(b"{") > depth and _is_deeper(value, depth):
        raise Unreadable
    if _SURROGATE.search(raw):
        _refuse_halves(value)
    return value


def _refuse_halves(value: Any) -> None:
    """Raises Unreadable where an escape left half of a surrogate pair, which no validator takes."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Unreadable from None


def _is_deeper(value: Any, depth: int) -> bool:
    level = [value]
    while level and depth >= 0:
        depth -= 1
        level = [
            below
            for one in level
            if isinstance(one, (dict, list))
            for below in (one.values() if isinstance(one, dict) else one)
        ]
    return bool(level)


class BodyJudge:
    """Judges bodies by the content that one specification describes."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas

    def judge(
        self, body: Body, content_type: str | None, content: Content, direction: Direction, outcome: Outcome
    ) -> None:
        """A body that is there (size above 0, or not known)."""
        where = _WHERE[direction]
        if not content.media:
            return
        kind = essence(content_type or "")
        described = _described(kind, content)
        if described is None:
            outcome.add(Kind.UNKNOWN_CONTENT_TYPE, where, "", "a content type that is not described")
            return
        kind, place = described
        if place is None:
            return
        if body.state != "complete" or body.data is None:
            outcome.unseen(f"{where} is {body.state if body.state != 'complete' else 'not kept'}")
        elif is_json(kind):
            self._judge_json(body.data, self._schemas.checker(place, direction), where, outcome)
        elif not self._schemas.form(place).types <= {"string", "null"}:
            outcome.unseen(f"{where} is not JSON, and only JSON is judged by a schema")

    def _judge_json(self, data: bytes, checker: Checker, where: Where, outcome: Outcome) -> None:
        if checker.why is not None:
            outcome.unseen(f"{where}: {checker.why}")
            return
        try:
            value = json_value(data, checker.limits.depth)
            if checker.too_much(len(data)):
                outcome.unseen(f"{where} is too large to judge by its schema")
            elif not checker.conforms(value):
                for finding in checker.findings(value, len(data)):
                    outcome.add(finding.kind, where, finding.pointer, finding.message, finding.spans)
        except NotJson:
            outcome.add(Kind.MALFORMED_BODY, where, "", "the body is not JSON")
        except Unreadable:
            outcome.unseen(f"{where} nests too deeply, or holds what cannot be read, to be judged")


def _described(kind: str, content: Content) -> tuple[str, str | None] | None:
    """(media type to read the body as, its schema); None where it is not described.

    A body without a type is read as the only one described.
    """
    media = content.media
    if not kind:
        only = next(iter(media)) if len(media) == 1 else ""
        return only, media.get(only)
    for candidate in (kind, kind.partition("/")[0] + "/*", "*/*"):
        if candidate in media:
            return kind, media[candidate]
    return None
