"""A document's bytes → a Specification, or SpecError with the line or pointer and the reason."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from server.analysis.specs.checks import mapping, text
from server.analysis.specs.convert import Direction
from server.analysis.specs.fields import inheritance
from server.analysis.specs.match import Matcher
from server.analysis.specs.model import Content, Operation, SpecError
from server.analysis.specs.operations import Reader
from server.analysis.specs.pointers import Pointers
from server.analysis.specs.routes import Routes
from server.analysis.specs.schemas import Schemas
from server.analysis.specs.servers import base_paths
from server.analysis.specs.specification import Specification
from server.analysis.specs.survey import Survey
from server.analysis.specs.text import parse

MAX_WARNINGS = 100
_READ = "OpenAPI 3.0 and 3.1 are read"


def load(raw: bytes) -> Specification:
    """Reads OpenAPI 3.0 or 3.1, JSON or YAML. Raises SpecError."""
    document = parse(raw)
    is_31 = _is_31(document)
    title, version = _info(document)
    warnings: dict[str, None] = {}

    def warn(warning: str) -> None:
        if len(warnings) < MAX_WARNINGS:
            warnings[warning] = None

    if not is_31 and "paths" not in document:
        raise SpecError("/paths", "missing")
    pointers = Pointers(document)
    heirs = inheritance(document, pointers)
    survey = Survey(pointers, is_31, heirs, warn)
    routes = Routes()
    operations: list[Operation] = []
    for operation, bases in Reader(document, pointers).operations():
        for base in bases:
            routes.add(operation, base, warn)
        operations.append(operation)
    roots = {
        Direction.REQUEST: [place for operation in operations for place in _sent(operation)],
        Direction.RESPONSE: [place for operation in operations for place in _answered(operation)],
    }
    for place in chain.from_iterable(roots.values()):
        survey.walk(place)
    schemas = Schemas(roots, survey, warn)
    return Specification(
        title=title,
        version=version,
        document=document,
        base_paths=base_paths(document, ""),
        operations=tuple(operations),
        warnings=tuple(warnings),
        matcher=Matcher(routes, schemas),
        schemas=schemas,
    )


def _is_31(document: dict[str, Any]) -> bool:
    """Whether the document is OpenAPI 3.1; False is 3.0. Raises SpecError for anything else."""
    if "swagger" in document:
        raise SpecError("/swagger", f"Swagger 2.0 is not read; convert the document ({_READ})")
    if "openapi" not in document:
        raise SpecError("/openapi", f"missing; {_READ}")
    version = str(document["openapi"])
    for known in ("3.0", "3.1"):
        if version == known or version.startswith((known + ".", known + "-")):
            return known == "3.1"
    raise SpecError("/openapi", f"not a version that is read; {_READ}")


def _info(document: dict[str, Any]) -> tuple[str, str]:
    """(title, version); a version that YAML made a number becomes text again."""
    if "info" not in document:
        raise SpecError("/info", "missing")
    info = mapping(document["info"], "/info")
    if "version" not in info:
        raise SpecError("/info/version", "missing")
    return text(info, "title", "/info"), str(info["version"])


def _sent(operation: Operation) -> Iterator[str]:
    """Places of the schemas that requests are judged by."""
    yield from (parameter.schema for parameter in operation.parameters if parameter.schema is not None)
    if operation.body is not None:
        yield from _places(operation.body)


def _answered(operation: Operation) -> Iterator[str]:
    for content in operation.responses.values():
        yield from _places(content)


def _places(content: Content) -> Iterator[str]:
    return (place for place in content.media.values() if place is not None)
