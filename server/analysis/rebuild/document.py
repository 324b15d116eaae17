"""What was learnt of an API → an OpenAPI 3.1 document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from server.analysis.rebuild.components import Components, Survey, inline_single
from server.analysis.rebuild.learner import Learner, Place
from server.analysis.rebuild.operation import Answer, Media, Operation, Times
from server.analysis.rebuild.parameters import headers_said, parameters, schema_of_form
from server.analysis.rebuild.security import Schemes
from server.analysis.rebuild.shapes.render import Style, evidence, schema, singular
from server.analysis.rebuild.templates.model import Template
from server.analysis.specs.dialects.openapi import MULTI_SEGMENT
from server.analysis.specs.document.media import is_json

Json = dict[str, Any]

OPENAPI = "3.1.1"
ENOUGH_FOR_BODY = 3  # bodies, before one is required
_FORMS = frozenset(("application/x-www-form-urlencoded", "multipart/form-data"))
_PLAIN_WORDS = re.compile(
    r"(?:api|apis|rest|public|internal|v\d+(?:\.\d+)*(?:(?:alpha|beta)\d*)?)", re.IGNORECASE
)
_BREAK = re.compile(r"[^A-Za-z0-9]+")
_ORDER = ("get", "head", "post", "put", "patch", "delete", "options", "trace")


@dataclass(frozen=True, slots=True)
class Options:
    """What a document says besides what was learnt. `servers` are URLs."""

    title: str
    version: str = "1.0.0"
    servers: Sequence[str] = ()
    evidence: bool = True


def document(learner: Learner, options: Options) -> Json:
    """The document of all that was learnt; the learner stays as it is."""
    operations = [
        (method, template, _one(places)) for (method, template), places in learner.grouped().items()
    ]
    operations.sort(key=lambda one: (one[1].text, _ORDER.index(one[0].lower())))
    survey = Survey()
    _Writer(Style(False, shared=survey), survey, Schemes()).paths(operations)
    components = Components(survey)
    schemes = Schemes()
    style = Style(options.evidence, shared=components)
    paths = _Writer(style, components, schemes).paths(operations)
    found: Json = {"openapi": OPENAPI, "info": {"title": options.title, "version": options.version}}
    if options.servers:
        found["servers"] = [{"url": url} for url in options.servers]
    tags = sorted({tag for item in paths.values() for one in item.values() for tag in one.get("tags", ())})
    if tags:
        found["tags"] = [{"name": tag} for tag in tags]
    found["paths"] = paths
    schemas = inline_single(paths, components.finish(style))
    parts: Json = {"schemas": schemas, "securitySchemes": schemes.definitions}
    if any(parts.values()):
        found["components"] = {name: part for name, part in parts.items() if part}
    return found


def _one(places: list[Place]) -> Operation:
    """All that was learnt at several places, which stay as they are."""
    if len(places) == 1:
        return places[0].operation
    found = Operation.restore(places[0].operation.state())
    for place in places[1:]:
        found.absorb(Operation.restore(place.operation.state()))
    return found


class _Writer:
    """Writes operations in one style."""

    def __init__(self, style: Style, shared: Survey | Components, schemes: Schemes) -> None:
        self._style = style
        self._shared = shared
        self._schemes = schemes
        self._ids: set[str] = set()

    def paths(self, operations: Sequence[tuple[str, Template, Operation]]) -> Json:
        found: Json = {}
        for method, template, operation in operations:
            item = found.setdefault(template.text, {})
            item[method.lower()] = self._operation(method, template, operation)
        return found

    def _operation(self, method: str, template: Template, operation: Operation) -> Json:
        name = noun_of(template.text)
        found: Json = {"operationId": self._id(method, template.text), "tags": [tag_of(template.text)]}
        if operation.deprecated:
            found["deprecated"] = True
        schemes = self._schemes.of(operation)
        sent = [*_in_path(template), *parameters(operation, schemes, replace(self._style, shared=None))]
        if sent:
            found["parameters"] = sent
        body = self._request_body(operation, name)
        if body:
            found["requestBody"] = body
        found["responses"] = {
            str(status): self._response(status, answer, name)
            for status, answer in sorted(operation.answers.items())
            if 100 <= status <= 599
        }
        alternatives = self._schemes.alternatives(schemes)
        if alternatives:
            found["security"] = alternatives
        self._note(found, operation.times)
        return found

    def _id(self, method: str, path: str) -> str:
        words = [part for part in _BREAK.split(path.replace("{", "by {")) if part]
        stem = method.lower() + "".join(word[0].upper() + word[1:] for word in words)[:100]
        number, free = 2, stem
        while free in self._ids:
            free, number = f"{stem}{number}", number + 1
        self._ids.add(free)
        return free

    def _request_body(self, operation: Operation, name: str) -> Json:
        if not operation.bodies:
            return {}
        self._shared.direction = "request"
        found: Json = {"content": self._content(operation.bodies, name)}
        bodies = sum(media.times.count for media in operation.bodies.values())
        if not operation.bodiless and bodies >= ENOUGH_FOR_BODY:
            found["required"] = True
        return found

    def _response(self, status: int, answer: Answer, name: str) -> Json:
        self._shared.direction = "response"
        found: Json = {"description": _phrase(status)}
        headers = headers_said(answer, replace(self._style, shared=None))
        if headers:
            found["headers"] = headers
        # A body that may be missing cannot be described: whoever reads `content` expects one.
        if answer.media and not answer.empty:
            found["content"] = self._content(answer.media, name if status < 400 else "error")
        self._note(found, answer.times)
        return found

    def _content(self, media: dict[str, Media], name: str) -> Json:
        return {kind or "*/*": self._media(kind, one, name) for kind, one in sorted(media.items())}

    def _media(self, kind: str, media: Media, name: str) -> Json:
        found: Json = {}
        if kind in _FORMS and media.shape.count:
            found["schema"] = schema_of_form(media.shape, self._style)
        elif is_json(kind) and media.shape.count:
            found["schema"] = schema(media.shape, name, self._style)
        elif kind.startswith("text/"):
            found["schema"] = {"type": "string"}
        if self._style.evidence:
            found["x-spectap"] = {**_said(media.times), "largestBytes": media.largest}
            if media.unlearnt and is_json(kind):
                found["x-spectap"]["unlearnt"] = media.unlearnt
        return found

    def _note(self, found: Json, times: Times) -> None:
        if self._style.evidence:
            found["x-spectap"] = _said(times)


def _said(times: Times) -> Json:
    return evidence(times.count, times.first, times.last)


def _in_path(template: Template) -> Iterator[Json]:
    for parameter in template.parameters:
        yield {
            "name": parameter.name,
            "in": "path",
            "required": True,
            "schema": parameter.type.schema(),
            **({MULTI_SEGMENT: True} if parameter.name in template.spans else {}),
        }


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"


def _words(path: str) -> list[str]:
    """The segments that name something."""
    segments = [segment for segment in path.split("/") if segment and "{" not in segment]
    return [segment for segment in segments if not _PLAIN_WORDS.fullmatch(segment)] or segments


def tag_of(path: str) -> str:
    words = _words(path)
    return words[0][:60] if words else "root"


def noun_of(path: str) -> str:
    """What a path is about: its last word, in the singular."""
    words = _words(path)
    return singular(_BREAK.sub(" ", words[-1]).strip()[:60] or "root") if words else "root"
