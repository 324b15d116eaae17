"""Validates a body: its media type, then its content as that type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from email.message import Message
from functools import partial

from agent.wire import Body
from server.analysis.json import Json, JsonObject
from server.analysis.specs.document.media import FORM, MULTIPART, essence, is_json, is_xml
from server.analysis.specs.document.pointers import escape
from server.analysis.specs.judging.forms import NotMultipart, form_of_pairs, form_of_parts, parts
from server.analysis.specs.judging.json_reading import NotJson, UnreadableJson, json_value
from server.analysis.specs.judging.markup import NotXml, check_xml
from server.analysis.specs.judging.outcome import JudgementDraft
from server.analysis.specs.judging.parameters import query_texts
from server.analysis.specs.judging.prepared import PreparedBody, PreparedContent
from server.analysis.specs.judging.sequences import EVENTS, LINES, events, is_json_sequence, json_texts
from server.analysis.specs.judging.values import Unclear, plain_readings
from server.analysis.specs.kinds import Kind, Where
from server.analysis.specs.schemas.cost import MAX_BODY_DEPTH
from server.analysis.specs.schemas.deferred import TOO_DEEP, AnyChecker
from server.analysis.specs.schemas.form import Form


def judge_body(
    body: Body, content_type: str | None, content: PreparedContent, outcome: JudgementDraft
) -> None:
    """Validates a body that is present (size above 0, or unknown)."""
    kind = essence(content_type or "")
    if not content.bodies or (not kind and len(content.bodies) > 1):
        return
    found = _described(kind, content.bodies)
    if found is None:
        message = "a content type that is not described"
        outcome.add(Kind.UNKNOWN_CONTENT_TYPE, content.where, "", message)
        return
    kind, described = found
    if not described.has_schema and not is_json(kind) and not is_xml(kind):
        return
    if body.state == "malformed" and is_json(kind) and not described.streams:
        outcome.add(Kind.MALFORMED_BODY, content.where, "", "the body is not JSON")
    elif body.state == "complete" and body.data is not None:
        _Reading(described, content.where, outcome).judge(body.data, kind, content_type or kind)
    elif described.has_schema:
        state = "not kept" if body.state == "complete" else body.state
        outcome.unseen(f"{content.where} is {state}")


class _Reading:
    """One body, completely captured."""

    __slots__ = ("_described", "_outcome", "_where")

    def __init__(self, described: PreparedBody, where: Where, outcome: JudgementDraft) -> None:
        self._described, self._where, self._outcome = described, where, outcome

    def judge(self, data: bytes, kind: str, content_type: str) -> None:
        """Validates the body, read as `kind`."""
        form, items = self._described.form, self._described.items
        if self._described.is_range and form is not None and form.is_text:
            return  # any text of any type, such as a proxied body
        if items is not None and is_json_sequence(kind):
            self._sequence(data, kind, items)
        elif items is not None and kind == EVENTS:
            self._events(data, items)
        elif is_json(kind):
            self._json(data)
        elif is_xml(kind):
            self._xml(data, form)
        elif form is None or self._described.checker is None:
            self._unseen("a sequence of a kind that is not read")
        else:
            self._typed(data, kind, content_type, form, self._described.checker)

    def _typed(self, data: bytes, kind: str, content_type: str, form: Form, checker: AnyChecker) -> None:
        """Validates a form or a text, which is read by its schema."""
        if kind == FORM:
            texts, encoding = query_texts(data), self._described.encoding
            read = partial(form_of_pairs, texts, form, encoding)
            self._fields(checker, form, [*texts], len(data), read)
        elif kind == MULTIPART:
            self._multipart(data, content_type, form, checker)
        else:
            self._text(data, kind, content_type, form, checker)

    def _unseen(self, why: str) -> None:
        self._outcome.unseen(f"{self._where}: {why}")

    def _malformed(self, what: str) -> None:
        self._outcome.add(Kind.MALFORMED_BODY, self._where, "", f"the body is not {what}")

    def _json(self, data: bytes) -> None:
        checker = self._described.checker
        if checker is not None and checker.why is not None:
            self._unseen(checker.why)
            return
        depth = MAX_BODY_DEPTH if checker is None else checker.limits.depth
        try:
            value = self._outcome.bodies.value(data, depth)
        except NotJson:
            if b"\0" in data:  # as in UTF-16 and UTF-32, which are not read
                self._outcome.unseen(f"{self._where} is undecodable")
            elif self._described.streams:
                self._unseen("a stream of events is not validated")
            else:
                self._json_lines(data, checker, depth)
        except UnreadableJson:
            if checker is not None:
                self._unseen(TOO_DEEP)
        else:
            if checker is not None:
                self._check(checker, value, len(data))

    def _json_lines(self, data: bytes, checker: AnyChecker | None, depth: int) -> None:
        """Validates each of several objects or arrays, one a line: so servers stream them under the type of
        one.
        """
        try:
            found = [(json_value(line, depth), len(line)) for line in json_texts(data, LINES)]
        except NotJson:
            self._malformed("JSON")
            return
        except UnreadableJson:
            self._unseen(TOO_DEEP)
            return
        if len(found) < 2 or not all(isinstance(value, (dict, list)) for value, _ in found):
            self._malformed("JSON")
        elif checker is not None:
            for value, size in found:
                self._check(checker, value, size)

    def _check(self, checker: AnyChecker, value: Json, size: int, at: str = "") -> None:
        outcome, where = self._outcome, self._where
        chosen = checker.for_value(value)
        if not self._can_check(chosen, size):
            return
        found, why = ([], chosen.doubt(value)) if chosen.conforms(value) else chosen.blame(value, size)
        for error in found:
            outcome.add(error.kind, where, at + error.pointer, error.message, error.spans)
        if why is not None:
            self._unseen(why)

    def _can_check(self, checker: AnyChecker, size: int) -> bool:
        """Whether a body of this size is checked; if not, records the reason."""
        if checker.why is None and not checker.too_much(size):
            return True
        self._unseen(checker.why or "it is too large to judge by its schema")
        return False

    def _sequence(self, data: bytes, kind: str, checker: AnyChecker) -> None:
        """Validates each item of a sequence of JSON texts (OpenAPI 3.2, 4.14.4)."""
        if not self._can_check(checker, len(data)):
            return
        try:
            for line in json_texts(data, kind):
                self._check(checker, json_value(line, checker.limits.depth), len(line))
        except NotJson:
            self._malformed("a sequence of JSON texts")
        except UnreadableJson:
            self._unseen(TOO_DEEP)

    def _events(self, data: bytes, checker: AnyChecker) -> None:
        """Validates each event, and data that is JSON by its own schema.

        Other data is a convention of the API, such as `[DONE]`: it is not modelled
        (OpenAPI's media type registry, "Server-Sent Events").
        """
        if not self._can_check(checker, len(data)):
            return
        content = self._described.event_data
        for event in events(data):
            said = str(event["data"])
            self._check(checker, event, len(said))
            if content is not None and said.lstrip()[:1] in ("{", "["):
                self._event_data(said, content)

    def _event_data(self, said: str, checker: AnyChecker) -> None:
        try:
            self._check(checker, json_value(said.encode(), checker.limits.depth), len(said), "/data")
        except NotJson:
            if said.lstrip().startswith("{"):
                self._outcome.add(
                    Kind.MALFORMED_BODY, self._where, "/data", "the data of an event is not JSON"
                )
        except UnreadableJson:
            self._unseen(TOO_DEEP)

    def _xml(self, data: bytes, form: Form | None) -> None:
        try:
            told = check_xml(data)
        except NotXml:
            self._malformed("well-formed XML")
            return
        if not told:
            self._unseen("XML with a document type, or nested too deeply, is not read")
        elif form is not None and not form.is_text:
            self._unseen("of XML only well-formedness is validated")

    def _multipart(self, data: bytes, content_type: str, form: Form, checker: AnyChecker) -> None:
        try:
            found = parts(data, content_type)
        except NotMultipart:
            if "boundary" in content_type.lower():
                self._malformed("a multipart form")
            else:
                self._unseen("the boundary of the parts is not known")
        except Unclear:
            self._unseen("it has too many parts to be validated")
        else:
            read = partial(form_of_parts, found, form, self._described.encoding)
            self._fields(checker, form, [part.name for part in found], len(data), read)

    def _fields(
        self, checker: AnyChecker, form: Form, names: list[str], size: int, read: Callable[[], JsonObject]
    ) -> None:
        if any(self._is_lost(name, form) for name in names):
            self._unseen("a masked field may have been of any type")
        elif self._can_check(checker, size):
            try:
                self._check(checker, read(), size)
            except Unclear:
                self._unseen("how a field of the form is to be read is not defined")
            except UnreadableJson:
                self._unseen("it has values that cannot be read within bounds")

    def _is_lost(self, name: str, form: Form) -> bool:
        """Whether a field is masked and its type is lost."""
        field = form.fields.get(name)
        masked = self._outcome.masks.at(self._where, "/" + escape(name))
        return masked and field is not None and not field.outlives_masks

    def _text(self, data: bytes, kind: str, content_type: str, form: Form, checker: AnyChecker) -> None:
        if not kind.startswith("text/"):
            if not form.is_text:
                self._unseen(f"{kind} is not validated by a schema")
            return
        text = _decoded(data, content_type)
        if text is None or not form.is_plain:
            self._unseen(f"{kind} is not validated by this schema")
        elif self._can_check(checker, len(data)):
            values = plain_readings(text, form.types)
            chosen = checker.for_value([*values])
            self._check(chosen, next(filter(chosen.conforms, values), values[0]), len(data))


def _decoded(data: bytes, content_type: str) -> str | None:
    """Text by its charset; None if that is unsupported or wrong."""
    message = Message()
    message["content-type"] = re.sub(r"[\r\n]", "", content_type)
    charset = str(message.get_content_charset("utf-8"))
    if charset not in ("utf-8", "us-ascii", "iso-8859-1"):
        return None
    try:
        return data.decode(charset)
    except UnicodeDecodeError:
        return None


def _described(kind: str, bodies: Mapping[str, PreparedBody]) -> tuple[str, PreparedBody] | None:
    """(media type to read a body as, its description); None if it is not described.

    A body without a type is read as the only described type.
    """
    if not kind:
        return next(iter(bodies.items()))
    for candidate in (kind, kind.partition("/")[0] + "/*", "*/*"):
        described = bodies.get(candidate)
        if described is not None:
            return kind, described
    return None
