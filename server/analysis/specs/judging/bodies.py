"""Judging a body: its media type against those described, then as that type is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from email.message import Message

from agent.wire import Body
from server.analysis.json import Json, JsonObject
from server.analysis.specs.document.media import FORM, MULTIPART, essence, is_json
from server.analysis.specs.document.pointers import escape
from server.analysis.specs.judging.forms import NotMultipart, form_of_pairs, form_of_parts, parts
from server.analysis.specs.judging.json_reading import NotJson, Unreadable, json_value
from server.analysis.specs.judging.markup import NotXml, check_xml
from server.analysis.specs.judging.outcome import Outcome
from server.analysis.specs.judging.parameters import query_texts
from server.analysis.specs.judging.values import Unclear, plain_readings
from server.analysis.specs.kinds import Kind, Where
from server.analysis.specs.model import Content, Encoding
from server.analysis.specs.schemas.convert import Direction
from server.analysis.specs.schemas.form import Form
from server.analysis.specs.schemas.validators import Checker, Schemas

_WHERE = {Direction.REQUEST: Where.REQUEST_BODY, Direction.RESPONSE: Where.RESPONSE_BODY}
_SEQUENCES = {
    **dict.fromkeys(
        ("application/jsonl", "application/x-ndjson", "application/ndjson", "application/json-lines"),
        re.compile(rb"\r?\n"),
    ),
    "application/json-seq": re.compile(rb"\x1e"),
}


class BodyJudge:
    """Judges bodies by the content that one specification describes."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas

    def judge(
        self, body: Body, content_type: str | None, content: Content, direction: Direction, outcome: Outcome
    ) -> None:
        """A body that is there (size above 0, or not known)."""
        where = _WHERE[direction]
        named = essence(content_type or "")
        if not content.media or (not named and len(content.media) > 1):
            return
        described = _described(named, content)
        if described is None:
            outcome.add(Kind.UNKNOWN_CONTENT_TYPE, where, "", "a content type that is not described")
            return
        kind, media = described
        place, item = content.media[media], content.items.get(media)
        if place is None and item is None and not is_json(kind) and not is_xml(kind):
            return
        if body.state == "malformed" and is_json(kind) and content.stream_switch is None:
            outcome.add(Kind.MALFORMED_BODY, where, "", "the body is not JSON")
            return
        if body.state != "complete" or body.data is None:
            if place is not None or item is not None:
                outcome.unseen(f"{where} is {body.state if body.state != 'complete' else 'not kept'}")
            return
        _Reading(self._schemas, direction, outcome, content.encoding.get(media, {})).judge(
            body.data,
            kind,
            content_type or kind,
            place,
            item,
            "*" in media,
            content.stream_switch is not None,
        )

    def may_be_empty(self, content: Content) -> bool:
        """Whether no bytes at all may be a body as described: an empty text, or nothing known of it."""
        return not content.media or any(
            place is None
            or not (is_json(kind) or is_xml(kind) or not self._schemas.form(place).types & {"string", "null"})
            for kind, place in content.media.items()
        )


class _Reading:
    """One body, of which all was seen."""

    __slots__ = ("_direction", "_encoding", "_outcome", "_schemas", "_where")

    def __init__(
        self, schemas: Schemas, direction: Direction, outcome: Outcome, encoding: Mapping[str, Encoding]
    ) -> None:
        self._schemas, self._direction, self._outcome = schemas, direction, outcome
        self._where = _WHERE[direction]
        self._encoding = encoding

    def judge(
        self,
        data: bytes,
        kind: str,
        content_type: str,
        place: str | None,
        item: str | None,
        is_range: bool,
        streams: bool,
    ) -> None:
        """`kind` is how to read it, `is_range` whether its type was described as a range only."""
        form = None if place is None else self._schemas.form(place)
        if is_range and form is not None and form.is_text:
            return  # any text of any type, such as what a proxy passes on
        if item is not None and kind in _SEQUENCES:
            self._sequence(data, kind, item)
        elif is_json(kind):
            self._json(data, place, streams)
        elif is_xml(kind):
            self._xml(data, form)
        elif place is None or form is None:
            self._unseen("a sequence of a kind that is not read")
        elif kind == FORM:
            texts = query_texts(data)
            self._fields(place, form, [*texts], len(data), lambda: form_of_pairs(texts, form, self._encoding))
        elif kind == MULTIPART:
            self._multipart(data, content_type, place, form)
        else:
            self._text(data, kind, content_type, place, form)

    def _unseen(self, why: str) -> None:
        self._outcome.unseen(f"{self._where}: {why}")

    def _malformed(self, what: str) -> None:
        self._outcome.add(Kind.MALFORMED_BODY, self._where, "", f"the body is not {what}")

    def _json(self, data: bytes, place: str | None, streams: bool) -> None:
        checker = None if place is None else self._schemas.checker(place, self._direction)
        if checker is not None and checker.why is not None:
            self._unseen(checker.why)
            return
        try:
            value = json_value(data, checker.limits.depth) if checker else json_value(data)
        except NotJson:
            if streams:
                self._unseen("a stream of events is not judged")
            else:
                self._malformed("JSON")
        except Unreadable:
            if checker:
                self._unseen("it nests too deeply, or holds what cannot be read, to be judged")
        else:
            if checker:
                self._check(checker, value, len(data))

    def _check(self, checker: Checker, value: Json, size: int) -> None:
        outcome, where = self._outcome, self._where
        if checker.why is not None:
            self._unseen(checker.why)
        elif checker.too_much(size):
            self._unseen("it is too large to judge by its schema")
        else:
            found, why = ([], checker.doubt(value)) if checker.conforms(value) else checker.blame(value, size)
            for finding in found:
                outcome.add(finding.kind, where, finding.pointer, finding.message, finding.spans)
            if why is not None:
                self._unseen(why)

    def _sequence(self, data: bytes, kind: str, item: str) -> None:
        """Each item of a sequence of JSON texts (OpenAPI 3.2, 4.14.4)."""
        checker = self._schemas.checker(item, self._direction)
        if checker.why is not None or checker.too_much(len(data)):
            self._unseen(checker.why or "it is too large to judge by its schema")
            return
        try:
            for line in filter(bytes.strip, _SEQUENCES[kind].split(data)):
                self._check(checker, json_value(line, checker.limits.depth), len(line))
        except NotJson:
            self._malformed("a sequence of JSON texts")
        except Unreadable:
            self._unseen("it nests too deeply, or holds what cannot be read, to be judged")

    def _xml(self, data: bytes, form: Form | None) -> None:
        try:
            told = check_xml(data)
        except NotXml:
            self._malformed("well-formed XML")
            return
        if not told:
            self._unseen("XML with a document type, or nested too deeply, is not read")
        elif form is not None and not form.is_text:
            self._unseen("of XML only well-formedness is judged")

    def _multipart(self, data: bytes, content_type: str, place: str, form: Form) -> None:
        try:
            found = parts(data, content_type)
        except NotMultipart:
            if "boundary" in content_type.lower():
                self._malformed("a multipart form")
            else:
                self._unseen("the boundary of the parts is not known")
        except Unclear:
            self._unseen("it has too many parts to be judged")
        else:
            names = [part.name for part in found]
            self._fields(place, form, names, len(data), lambda: form_of_parts(found, form, self._encoding))

    def _fields(
        self, place: str, form: Form, names: list[str], size: int, read: Callable[[], JsonObject]
    ) -> None:
        for name in names:
            field = form.fields.get(name)
            masked = self._outcome.masks.at(self._where, "/" + escape(name))
            if masked and field is not None and not field.outlives_masks:
                self._unseen("a masked field may have been of any type")
                return
        checker = self._schemas.checker(place, self._direction)
        if checker.why is not None or checker.too_much(size):
            self._unseen(checker.why or "it is too large to judge by its schema")
            return
        try:
            self._check(checker, read(), size)
        except Unclear:
            self._unseen("how a field of the form is to be read is not defined")
        except Unreadable:
            self._unseen("it holds what cannot be read within bounds")

    def _text(self, data: bytes, kind: str, content_type: str, place: str, form: Form) -> None:
        if not kind.startswith("text/"):
            if not form.is_text:
                self._unseen(f"{kind} is not judged by a schema")
            return
        text = _decoded(data, content_type)
        if text is None or not form.is_plain:
            self._unseen(f"{kind} is not judged by this schema")
            return
        checker = self._schemas.checker(place, self._direction)
        values = plain_readings(text, form.types)
        if checker.why is not None or checker.too_much(len(data)):
            self._unseen(checker.why or "it is too large to judge by its schema")
        else:
            self._check(checker, next(filter(checker.conforms, values), values[0]), len(data))


def _decoded(data: bytes, content_type: str) -> str | None:
    """Text by its charset; None where that is not one that is read, or lies."""
    message = Message()
    message["content-type"] = re.sub(r"[\r\n]", "", content_type)
    charset = str(message.get_content_charset("utf-8"))
    if charset not in ("utf-8", "us-ascii", "iso-8859-1"):
        return None
    try:
        return data.decode(charset)
    except UnicodeDecodeError:
        return None


def is_xml(kind: str) -> bool:
    """Of a media type's essence."""
    return kind.endswith(("/xml", "+xml"))


def _described(kind: str, content: Content) -> tuple[str, str] | None:
    """(media type to read the body as, the one described); None where it is not described.

    A body without a type is read as the only one described.
    """
    media = content.media
    if not kind:
        only = next(iter(media))
        return only, only
    for candidate in (kind, kind.partition("/")[0] + "/*", "*/*"):
        if candidate in media:
            return kind, candidate
    return None
