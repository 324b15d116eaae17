"""A learner → an OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.analysis.json import JsonObject
from server.analysis.rebuild.components import Components, ObjectCensus, inline_single
from server.analysis.rebuild.learner import Learner
from server.analysis.rebuild.modernized import OPENAPI, OPENAPI_WITH_SEQUENCES
from server.analysis.rebuild.operation import LearntOperation
from server.analysis.rebuild.path_operations import PathOperation
from server.analysis.rebuild.security import Schemes
from server.analysis.rebuild.shapes.render import Style
from server.analysis.rebuild.writer import PathsWriter, WrittenOperation

_ORDER = ("get", "head", "post", "put", "patch", "delete", "options", "trace")


@dataclass(frozen=True, slots=True)
class DocumentOptions:
    """Parts of a document that are not learned. `servers` are URLs; `sequences`: it is OpenAPI 3.2, which can
    describe the items of sequences, instead of 3.1.
    """

    title: str
    version: str = "1.0.0"
    servers: Sequence[str] = ()
    evidence: bool = True
    sequences: bool = False


def document(learner: Learner, options: DocumentOptions) -> JsonObject:
    """The learned document; the learner is not changed."""
    operations = _operations(learner)
    census = ObjectCensus()
    PathsWriter(Style(False, shared=census), census, Schemes(), options.sequences).paths(operations)
    components, schemes = Components(census), Schemes()
    style = Style(options.evidence, shared=components)
    writer = PathsWriter(style, components, schemes, options.sequences)
    paths = writer.paths(operations)
    openapi = OPENAPI_WITH_SEQUENCES if options.sequences else OPENAPI
    found: JsonObject = {"openapi": openapi, "info": {"title": options.title, "version": options.version}}
    if options.servers:
        found["servers"] = [{"url": url} for url in options.servers]
    if writer.tags:
        found["tags"] = [{"name": tag} for tag in sorted(writer.tags)]
    found["paths"] = paths
    schemas = inline_single(paths, components.finish(style))
    parts: JsonObject = {"schemas": {**schemas}, "securitySchemes": schemes.definitions}
    if any(parts.values()):
        found["components"] = {name: part for name, part in parts.items() if part}
    return found


def _operations(learner: Learner) -> list[WrittenOperation]:
    """All operations that ever succeeded, in document order."""
    operations = [
        WrittenOperation(method, template, _one(seen))
        for (method, template), seen in learner.grouped().items()
    ]
    return sorted(operations, key=lambda one: (one.template.text, _ORDER.index(one.method.lower())))


def _one(seen: list[PathOperation]) -> LearntOperation:
    """The operations at several paths merged into one; they are not changed."""
    first, *more = (one.operation for one in seen)
    if not more:
        return first
    found = LearntOperation.restore(first.state())
    for other in more:
        found.absorb(LearntOperation.restore(other.state()))
    return found
