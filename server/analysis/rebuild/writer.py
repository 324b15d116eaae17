"""Learned operations → the paths of a document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

from server.analysis.json import JsonObject, object_in
from server.analysis.rebuild.answers import StatusAnswers
from server.analysis.rebuild.components import Components, ObjectCensus
from server.analysis.rebuild.events import event_schema
from server.analysis.rebuild.media import Media, MediaTypes
from server.analysis.rebuild.nouns import BREAK, noun_of, summary_of, tag_of
from server.analysis.rebuild.operation import LearntOperation
from server.analysis.rebuild.parameters import described_headers, parameters, schema_of_form
from server.analysis.rebuild.security import Schemes
from server.analysis.rebuild.shapes.render import Style, evidence, schema
from server.analysis.rebuild.templates.model import Template
from server.analysis.rebuild.times import Times
from server.analysis.specs.dialects.openapi import MULTI_SEGMENT
from server.analysis.specs.document.media import FORM, MULTIPART, is_json
from server.analysis.specs.judging.sequences import EVENTS, is_json_sequence

ENOUGH_FOR_BODY = 3  # bodies seen before one is required


@dataclass(frozen=True, slots=True)
class WrittenOperation:
    """One operation of a document: its place, and what was learned of it."""

    method: str
    template: Template
    learnt: LearntOperation


class PathsWriter:
    """Writes operations in one style. `sequences`: items of sequences are described, as by OpenAPI 3.2."""

    def __init__(
        self, style: Style, shared: ObjectCensus | Components, schemes: Schemes, sequences: bool = False
    ) -> None:
        self._style = style
        self._sequences = sequences
        self._shared = shared
        self._schemes = schemes
        self._ids: set[str] = set()
        self.tags: set[str] = set()

    def paths(self, operations: Sequence[WrittenOperation]) -> JsonObject:
        """The items of all paths, in the order of the operations."""
        found: dict[str, JsonObject] = {}
        for one in operations:
            item = found.setdefault(one.template.text, {})
            item[one.method.lower()] = self._operation(one.method, one.template, one.learnt)
        return {**found}

    def _operation(self, method: str, template: Template, learnt: LearntOperation) -> JsonObject:
        name, tag = noun_of(template.text), tag_of(template.text)
        self._shared.noun = name
        self.tags.add(tag)
        found: JsonObject = {
            "operationId": self._id(method, template.text),
            "summary": summary_of(method, template.text),
            "tags": [tag],
        }
        if learnt.deprecated:
            found["deprecated"] = True
        schemes = self._schemes.of(learnt)
        sent = [*_in_path(template), *parameters(learnt, schemes, replace(self._style, shared=None))]
        if sent:
            found["parameters"] = [*sent]
        body = self._request_body(learnt, name)
        if body:
            found["requestBody"] = body
        found["responses"] = self._responses(learnt, name)
        found["security"] = [*self._schemes.alternatives(schemes)]
        self._add_evidence(found, learnt.times)
        return found

    def _id(self, method: str, path: str) -> str:
        words = [part for part in BREAK.split(path.replace("{", "by {")) if part]
        stem = method.lower() + "".join(word[0].upper() + word[1:] for word in words)[:100]
        number, free = 2, stem
        while free in self._ids:
            free, number = f"{stem}{number}", number + 1
        self._ids.add(free)
        return free

    def _request_body(self, learnt: LearntOperation, name: str) -> JsonObject:
        if not learnt.bodies.by_kind:
            return {}
        self._shared.direction = "request"
        found: JsonObject = {"content": self._content(learnt.bodies, name)}
        bodies = sum(media.times.count for media in learnt.bodies.by_kind.values())
        if not learnt.bodiless and bodies >= ENOUGH_FOR_BODY:
            found["required"] = True
        return found

    def _responses(self, learnt: LearntOperation, name: str) -> JsonObject:
        self._shared.direction = "response"
        if not learnt.answers.by_status:
            return {"default": {"description": "The traffic has no response"}}
        return {
            str(status): self._response(status, answers, name)
            for status, answers in sorted(learnt.answers.by_status.items())
            if 100 <= status <= 599
        }

    def _response(self, status: int, answers: StatusAnswers, name: str) -> JsonObject:
        found: JsonObject = {"description": _phrase(status)}
        headers = described_headers(answers, replace(self._style, shared=None))
        if headers:
            found["headers"] = headers
        # A body that may be missing cannot be described: readers of `content` expect one.
        if answers.media.by_kind and not answers.empty:
            found["content"] = self._content(answers.media, name if status < 400 else "error")
        self._add_evidence(found, answers.times)
        return found

    def _content(self, media: MediaTypes, name: str) -> JsonObject:
        return {kind or "*/*": self._media(kind, one, name) for kind, one in sorted(media.by_kind.items())}

    def _media(self, kind: str, media: Media, name: str) -> JsonObject:
        found: JsonObject = {}
        if kind in (FORM, MULTIPART) and media.shape.count:
            found["schema"] = schema_of_form(media.shape, self._style)
        elif is_json(kind) and media.shape.count:
            found["schema"] = schema(media.shape, name, self._style)
        elif self._sequences and (items := _item_schema(kind, media, name, self._style)):
            found["itemSchema"] = items
        elif kind.startswith("text/") or is_json_sequence(kind):
            found["schema"] = {"type": "string"}
        if self._style.evidence:
            unlearnt: JsonObject = {"unlearnt": media.unlearnt} if media.unlearnt and is_json(kind) else {}
            found["x-spectap"] = {**_evidence(media.times), "largestBytes": media.largest, **unlearnt}
            alone = replace(self._style, shared=None)
            if not self._sequences and (items := _item_schema(kind, media, name, alone)):
                object_in(found, "x-spectap")["itemSchema"] = items
        return found

    def _add_evidence(self, found: JsonObject, times: Times) -> None:
        if self._style.evidence:
            found["x-spectap"] = _evidence(times)


def _item_schema(kind: str, media: Media, name: str, style: Style) -> JsonObject | None:
    """What the items of a sequence are; None of another body."""
    items = media.shape.items
    if not items or not (is_json_sequence(kind) or kind == EVENTS):
        return None
    return event_schema(items, style) if kind == EVENTS else schema(items, name, style)


def _evidence(times: Times) -> JsonObject:
    return evidence(times.count, times.first, times.last)


def _in_path(template: Template) -> Iterator[JsonObject]:
    for parameter in template.parameters:
        spans: JsonObject = {MULTI_SEGMENT: True} if parameter.name in template.spans else {}
        said: JsonObject = {**parameter.type.schema()}
        yield {"name": parameter.name, "in": "path", "required": True, "schema": said, **spans}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"
