"""Judging a request's parameters: names first, then values by their schemas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from server.analysis.specs.bodies import NotJson, TooDeep, json_value
from server.analysis.specs.convert import Direction
from server.analysis.specs.kinds import Kind, Where
from server.analysis.specs.model import Parameter
from server.analysis.specs.outcome import Outcome
from server.analysis.specs.schemas import Schemas
from server.analysis.specs.values import DELIMITERS, Form, object_of, readings, text_of

Texts = Mapping[str, Sequence[bytes]]
"""Names as sent → every text sent for each, percent-encoded as sent."""


def query_texts(query: bytes | None) -> dict[str, list[bytes]]:
    """A query by name (form-encoded: "+" is a space in names; values are kept as sent)."""
    found: dict[str, list[bytes]] = {}
    for pair in query.split(b"&") if query else ():
        if pair:
            name, _, value = pair.partition(b"=")
            found.setdefault(text_of(name.replace(b"+", b" ")), []).append(value.replace(b"+", b"%20"))
    return found


def header_texts(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, list[bytes]]:
    """Header values by lower-case name."""
    found: dict[str, list[bytes]] = {}
    for name, value in headers:
        # Headers are not percent-encoded; this way they read back as they are.
        found.setdefault(name.decode("latin-1").lower(), []).append(value.strip().replace(b"%", b"%25"))
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


class ParameterJudge:
    """Judges the parameters of operations of one specification."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas

    def judge(self, parameter: Parameter, texts: Texts, outcome: Outcome) -> None:
        """One parameter, which stands in `texts` under its name or spread over names of its own."""
        form = self._schemas.form(parameter.schema)
        if _is_spread(parameter, form):
            self._judge_spread(parameter, form, texts, outcome)
            return
        sent = texts.get(parameter.name)
        if sent is None:
            _missing(parameter, outcome)
        elif parameter.json:
            self._judge_json(parameter, sent[0], outcome)
        elif parameter.style in DELIMITERS and not (parameter.allow_empty and sent == [b""]):
            if parameter.where is Where.HEADER:
                sent = [b", ".join(sent)]
            values = readings(sent, form, parameter.style, parameter.explode)
            self._judge_readings(parameter, [*values], sent, outcome)

    def _judge_spread(self, parameter: Parameter, form: Form, texts: Texts, outcome: Outcome) -> None:
        names = spread_names(parameter, form, texts)
        if any(outcome.masks.at(parameter.where, name) for name in names):
            outcome.unseen(f"a masked value in {parameter.where}")
        elif names:
            fields = {field: texts[name][0] for name, field in names.items()}
            self._judge_readings(parameter, [object_of(fields, form)], [*fields.values()], outcome)
        elif parameter.name in texts and parameter.style == "deepObject":
            outcome.add(Kind.MALFORMED_PARAMETER, parameter.where, parameter.name, "not name[field]=value")
        else:
            _missing(parameter, outcome)

    def _judge_json(self, parameter: Parameter, text: bytes, outcome: Outcome) -> None:
        try:
            value = json_value(text_of(text).encode())
        except NotJson:
            outcome.add(Kind.MALFORMED_PARAMETER, parameter.where, parameter.name, "not JSON")
        except TooDeep:
            outcome.unseen(f"a {parameter.where} parameter nests too deeply to judge")
        else:
            self._judge_readings(parameter, [value], [text], outcome)

    def _judge_readings(
        self, parameter: Parameter, values: Sequence[Any], texts: Sequence[bytes], outcome: Outcome
    ) -> None:
        """Whether one of the readings conforms; if none, what is wrong with the likeliest."""
        if parameter.schema is None:
            return
        checker = self._schemas.checker(parameter.schema, Direction.REQUEST)
        size = sum(map(len, texts))
        if checker.why or checker.too_much(size):
            outcome.unseen(checker.why or f"a {parameter.where} parameter is too large to judge")
        elif not values:
            outcome.add(
                Kind.MALFORMED_PARAMETER, parameter.where, parameter.name, "not in the parameter's style"
            )
        elif not any(map(checker.conforms, values)):
            for finding in checker.findings(values[0], size):
                outcome.add(finding.kind, parameter.where, parameter.name, finding.message)


def _missing(parameter: Parameter, outcome: Outcome) -> None:
    if parameter.required:
        message = f"a required {parameter.where} parameter is missing"
        outcome.add(Kind.MISSING_PARAMETER, parameter.where, parameter.name, message)


def _is_spread(parameter: Parameter, form: Form) -> bool:
    """Whether the fields of an object are sent as names of their own."""
    if parameter.where is not Where.QUERY or parameter.json:
        return False
    if parameter.style == "deepObject":
        return True
    return parameter.style == "form" and parameter.explode and "object" in form.types and len(form.types) <= 2


def spread_names(parameter: Parameter, form: Form, texts: Texts) -> dict[str, str]:
    """Names in `texts` that belong to a spread parameter → the field each stands for."""
    if parameter.style == "deepObject":
        start = parameter.name + "["
        return {
            name: name[len(start) : -1] for name in texts if name.startswith(start) and name.endswith("]")
        }
    return {name: name for name in form.fields or () if name in texts}


def unknown_names(parameters: Sequence[Parameter], forms: Sequence[Form], texts: Texts) -> set[str]:
    """Query names that no parameter accounts for."""
    unknown = set(texts)
    for parameter, form in zip(parameters, forms, strict=True):
        if not _is_spread(parameter, form):
            unknown.discard(parameter.name)
        elif parameter.style != "deepObject" and form.other_fields:
            return set()
        else:
            unknown.difference_update(spread_names(parameter, form, texts), (parameter.name,))
    return unknown
