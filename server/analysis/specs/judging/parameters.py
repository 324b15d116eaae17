"""Validates parameters, and a response's headers: names first, then values by their schemas."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from server.analysis.json import Json, JsonObject
from server.analysis.specs.dialects.openapi import QUERYSTRING
from server.analysis.specs.judging.json_reading import NotJson, UnreadableJson, json_value
from server.analysis.specs.judging.outcome import JudgementDraft
from server.analysis.specs.judging.values import (
    DELIMITERS,
    Unclear,
    object_of,
    plain_readings,
    readings,
    text_of,
)
from server.analysis.specs.kinds import Kind, Where
from server.analysis.specs.model import Alternatives, Parameter
from server.analysis.specs.schemas.convert import SchemaDirection
from server.analysis.specs.schemas.deferred import AnyChecker
from server.analysis.specs.schemas.form import Form
from server.analysis.specs.schemas.validators import Schemas

_FALSE = ("0", "false")
Texts = Mapping[str, Sequence[bytes]]
"""Names as sent → every text sent for each, percent-encoded as sent."""


def query_texts(query: bytes | None) -> dict[str, list[bytes]]:
    """The values of a query by name (form-encoded: "+" is a space in names; values are kept as sent)."""
    found: dict[str, list[bytes]] = {}
    for pair in query.split(b"&") if query else ():
        if pair:
            name, _, value = pair.partition(b"=")
            found.setdefault(text_of(name.replace(b"+", b" ")), []).append(value.replace(b"+", b"%20"))
    return found


def query_names(query: bytes) -> set[str]:
    """The names alone of `query_texts`."""
    if b"%" not in query and b"+" not in query:
        text = query.decode("utf-8", "replace")
        return {pair.partition("=")[0] for pair in text.split("&") if pair}
    names = {pair.partition(b"=")[0] for pair in query.split(b"&") if pair}
    return {text_of(name.replace(b"+", b" ")) for name in names}


def is_on(query: bytes | None, switch: str) -> bool:
    """Whether a boolean query parameter is true, as Kubernetes reads it: every value but 0 and false, also
    the empty text.
    """
    if not query or switch.encode() not in query:
        return False
    sent = query_texts(query).get(switch)
    return sent is not None and text_of(sent[0]).lower() not in _FALSE


def header_texts(headers: Sequence[tuple[bytes, bytes]], wanted: Container[bytes]) -> dict[str, list[bytes]]:
    """Values of the wanted headers, by lower-case name."""
    found: dict[str, list[bytes]] = {}
    for name, value in headers:
        name = name.lower()
        if name in wanted:
            text = value.replace(
                b"%", b"%25"
            )  # headers are not percent-encoded: escaped here, so that decoding restores the value
            found.setdefault(name.decode("latin-1"), []).append(text)
    return found


def cookie_texts(headers: Texts) -> dict[str, list[bytes]]:
    """Cookies of a request by name (RFC 6265, 4.2.1)."""
    found: dict[str, list[bytes]] = {}
    for line in headers.get("cookie", ()):
        for pair in line.split(b";"):
            name, equals, value = pair.strip().partition(b"=")
            if equals:
                found.setdefault(name.decode("latin-1"), []).append(value)
    return found


@dataclass(frozen=True, slots=True)
class PreparedParameter:
    """A prepared parameter: how its texts are read, the checker of their value (None: unchecked), and whether
    its fields are sent under their own names.
    """

    parameter: Parameter
    form: Form
    checker: AnyChecker | None
    is_plain: bool  # one text, one value
    is_spread: bool


class Parameters:
    """The prepared parameters of one operation, or headers of one response."""

    def __init__(
        self,
        parameters: Sequence[Parameter],
        security: Alternatives,
        schemas: Schemas,
        direction: SchemaDirection = SchemaDirection.REQUEST,
    ) -> None:
        self._described = [_prepared(one, schemas, direction) for one in parameters]
        in_query = [one for one in self._described if one.parameter.where is Where.QUERY]
        self._spread = [one for one in in_query if one.is_spread]
        self._names = {one.parameter.name for one in in_query} | {
            scheme.name for alternative in security for scheme in alternative if scheme.where is Where.QUERY
        }
        self._any_name = any(
            one.form.other_fields or one.parameter.style == QUERYSTRING
            for one in self._spread
            if one.parameter.style in ("form", QUERYSTRING)
        )
        self.headers = frozenset(_headers_of(parameters, security))
        self.in_path = any(one.where is Where.PATH for one in parameters)

    def judge(self, texts: Mapping[Where, Texts], outcome: JudgementDraft, blind: bool = False) -> None:
        """Validates all parameters, then the names that belong to none. `blind`: headers were not
        captured.
        """
        for described in self._described:
            if blind and described.parameter.where in (Where.HEADER, Where.COOKIE):
                continue
            self._judge(described, texts[described.parameter.where], outcome)
        query = texts[Where.QUERY]
        if query and not self._any_name:
            unknown = query.keys() - self._names
            for described in self._spread:
                unknown -= spread_names(described, query).keys()
            for name in sorted(unknown):
                message = "a query parameter that is not described"
                outcome.add(Kind.UNKNOWN_PARAMETER, Where.QUERY, name, message)

    def _judge(self, described: PreparedParameter, texts: Texts, outcome: JudgementDraft) -> None:
        parameter = described.parameter
        if described.is_spread:
            self._judge_spread(described, texts, outcome)
            return
        sent = texts.get(parameter.name)
        if sent is None:
            _missing(parameter, outcome)
        elif not sent or described.checker is None or (parameter.allow_empty and sent == [b""]):
            pass
        elif parameter.json:
            self._judge_json(described, sent[0], outcome)
        elif parameter.style in DELIMITERS or parameter.style in ("label", "matrix"):
            if not described.form.outlives_masks and outcome.masks.at(parameter.where, parameter.name):
                outcome.unseen(f"a masked value in {parameter.where}")
            else:
                self._judge_texts(described, sent, outcome)

    def _judge_texts(
        self, described: PreparedParameter, sent: Sequence[bytes], outcome: JudgementDraft
    ) -> None:
        parameter, form = described.parameter, described.form
        if described.is_plain and len(sent) == 1 and parameter.style in DELIMITERS:
            values = plain_readings(text_of(sent[0]), form.types)
        else:
            try:
                values = readings(sent, form, parameter.style, parameter.explode, parameter.name)
            except Unclear:
                outcome.unseen(f"how a {parameter.where} parameter is to be read is not defined")
                return
        self._judge_readings(described, values, sent, outcome)

    def _judge_spread(self, described: PreparedParameter, texts: Texts, outcome: JudgementDraft) -> None:
        parameter = described.parameter
        names = spread_names(described, texts)
        if names and (parameter.json or parameter.schema is None):
            outcome.unseen("a query as a whole is validated as a form only")
        elif any(outcome.masks.at(parameter.where, name) for name in names):
            outcome.unseen(f"a masked value in {parameter.where}")
        elif names:
            fields = {field: texts[name] for name, field in names.items()}
            sent = [text for field in fields.values() for text in field]
            try:
                value = _object(fields, described.form)
            except Unclear:
                outcome.unseen(f"how a {parameter.where} parameter is to be read is not defined")
            else:
                self._judge_readings(described, [value], sent, outcome)
        elif parameter.name in texts and parameter.style == "deepObject":
            outcome.add(Kind.MALFORMED_PARAMETER, parameter.where, parameter.name, "not name[field]=value")
        else:
            _missing(parameter, outcome)

    def _judge_json(self, described: PreparedParameter, text: bytes, outcome: JudgementDraft) -> None:
        parameter = described.parameter
        try:
            value = json_value(text_of(text).encode())
        except NotJson:
            outcome.add(Kind.MALFORMED_PARAMETER, parameter.where, parameter.name, "not JSON")
        except UnreadableJson:
            outcome.unseen(f"a {parameter.where} parameter nests too deeply to be validated")
        else:
            self._judge_readings(described, [value], [text], outcome)

    def _judge_readings(
        self,
        described: PreparedParameter,
        values: Sequence[Json],
        texts: Sequence[bytes],
        outcome: JudgementDraft,
    ) -> None:
        """Accepts if one of the readings conforms; otherwise adds the deviations of the likeliest."""
        parameter = described.parameter
        if described.checker is None:
            return
        size = sum(map(len, texts))
        checker = described.checker.for_value([*values])
        if checker.why or checker.too_much(size):
            outcome.unseen(checker.why or f"a {parameter.where} parameter is too large to judge")
        elif not values:
            message = "not in the parameter's style"
            outcome.add(Kind.MALFORMED_PARAMETER, parameter.where, parameter.name, message)
        else:
            fitting = [*filter(checker.conforms, values)]
            found, why = ([], checker.doubt(fitting[0])) if fitting else checker.blame(values[0], size)
            for error in found:
                outcome.add(error.kind, parameter.where, parameter.name, error.message)
            if why is not None:
                outcome.unseen(f"{parameter.where}: {why}")


def _prepared(parameter: Parameter, schemas: Schemas, direction: SchemaDirection) -> PreparedParameter:
    style, form = parameter.style, schemas.form(parameter.schema)
    checker = None if parameter.schema is None else schemas.checker(parameter.schema, direction)
    by_field = style == "deepObject" or (style == "form" and parameter.explode and form.is_object)
    spread = parameter.where is Where.QUERY and (style == QUERYSTRING or (by_field and not parameter.json))
    return PreparedParameter(parameter, form, checker, form.is_plain, spread)


def _headers_of(parameters: Sequence[Parameter], security: Alternatives) -> Iterator[bytes]:
    """Names of the headers in parameters and security."""
    schemes = [scheme for alternative in security for scheme in alternative]
    if schemes:
        yield b"authorization"
    named = [(one.where, one.name) for one in parameters]
    for where, name in [*named, *((one.where, one.name) for one in schemes)]:
        if where in (Where.HEADER, Where.RESPONSE_HEADER):
            yield name.encode()
        elif where is Where.COOKIE:
            yield b"cookie"


def _missing(parameter: Parameter, outcome: JudgementDraft) -> None:
    if not parameter.required:
        return
    if parameter.where is Where.RESPONSE_HEADER:
        message = "a required header is missing"
        outcome.add(Kind.MISSING_HEADER, parameter.where, parameter.name, message)
    else:
        message = f"a required {parameter.where} parameter is missing"
        outcome.add(Kind.MISSING_PARAMETER, parameter.where, parameter.name, message)


def _object(fields: Mapping[str, Sequence[bytes]], form: Form) -> JsonObject:
    """The object whose fields were sent under their own names. Raises Unclear for nested objects."""
    if any("[" in name and name not in form.fields for name in fields):
        raise Unclear
    return object_of(fields, form)


def spread_names(described: PreparedParameter, texts: Texts) -> dict[str, str]:
    """Names in `texts` that belong to a spread parameter → its field."""
    if described.parameter.style == "deepObject":
        start = described.parameter.name + "["
        return {
            name: name[len(start) : -1] for name in texts if name.startswith(start) and name.endswith("]")
        }
    if described.parameter.style == QUERYSTRING:
        return {name: name for name in texts}
    return {name: name for name in described.form.fields if name in texts}
