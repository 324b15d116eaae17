"""A document's bytes → a Specification, or SpecError with the line or pointer and the reason."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from server.analysis.specs.dialects.kubernetes import is_kubernetes, meant
from server.analysis.specs.dialects.openapi import Reader
from server.analysis.specs.dialects.swagger import SwaggerReader, modern
from server.analysis.specs.document.bundle import Read, bundle
from server.analysis.specs.document.checks import mapping, text
from server.analysis.specs.document.pointers import Pointers
from server.analysis.specs.document.text import parse
from server.analysis.specs.judging.match import Matcher
from server.analysis.specs.judging.policy import Policy
from server.analysis.specs.model import Content, Operation, SpecError
from server.analysis.specs.routing.routes import Routes
from server.analysis.specs.schemas.convert import Direction
from server.analysis.specs.schemas.fields import inheritance
from server.analysis.specs.schemas.survey import Survey
from server.analysis.specs.schemas.validators import Schemas
from server.analysis.specs.specification import Specification

MAX_WARNINGS = 100
_REPORTING = Policy()
_READ = "Swagger 2.0 and OpenAPI 3.0, 3.1 and 3.2 are read"


def load(raw: bytes, policy: Policy = _REPORTING) -> Specification:
    """Reads Swagger 2.0 or OpenAPI 3, JSON or YAML. Raises SpecError."""
    return understand(parse(raw), policy)


def load_files(root: str, read: Read, policy: Policy = _REPORTING) -> Specification:
    """Reads a document that may be spread over files; `root` is the one it begins in. Raises SpecError."""
    bundled = bundle(root, read)
    try:
        return understand(bundled.document, policy)
    except SpecError as error:
        raise bundled.blame(error) from None


def understand(document: dict[str, Any], policy: Policy = _REPORTING) -> Specification:
    """What a document that is parsed says. Raises SpecError."""
    is_swagger, is_31 = _version(document)
    title, version = _info(document)
    warnings: dict[str, None] = {}

    def warn(warning: str) -> None:
        if len(warnings) < MAX_WARNINGS:
            warnings[warning] = None

    if not is_31 and "paths" not in document:
        raise SpecError("/paths", "missing")
    read = modern(document, meant(document.get("definitions"))) if is_swagger else _modern_3(document)
    pointers = Pointers(read)
    heirs = inheritance(read, pointers)
    survey = Survey(pointers, is_31, heirs, warn, is_kubernetes(document))
    routes = Routes()
    operations: list[Operation] = []
    reader = (SwaggerReader if is_swagger else Reader)(read, pointers)
    for operation, bases in reader.operations():
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
        base_paths=reader.bases(),
        operations=tuple(operations),
        warnings=tuple(warnings),
        matcher=Matcher(routes, schemas, policy),
        schemas=schemas,
    )


def _version(document: dict[str, Any]) -> tuple[bool, bool]:
    """(whether it is Swagger 2.0, whether it is OpenAPI 3.1 or later). Raises SpecError for others."""
    if "swagger" in document:
        if str(document["swagger"]) not in ("2.0", "2"):
            raise SpecError("/swagger", f"not a version that is read; {_READ}")
        return True, False
    if "openapi" not in document:
        raise SpecError("/openapi", f"missing; {_READ}")
    version = str(document["openapi"])
    for known in ("3.0", "3.1", "3.2"):
        if version == known or version.startswith((known + ".", known + "-")):
            return False, known != "3.0"
    raise SpecError("/openapi", f"not a version that is read; {_READ}")


def _modern_3(document: dict[str, Any]) -> dict[str, Any]:
    """An OpenAPI 3 document, Kubernetes' schemas as they are meant."""
    components = document.get("components")
    if not isinstance(components, dict) or "schemas" not in components:
        return document
    schemas = meant(components["schemas"])
    if schemas is components["schemas"]:
        return document
    return {**document, "components": {**components, "schemas": schemas}}


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
        yield from (header.schema for header in content.headers if header.schema is not None)


def _places(content: Content) -> Iterator[str]:
    yield from (place for place in content.media.values() if place is not None)
    yield from content.items.values()
