"""A document's bytes → a Specification, or SpecError with line or pointer and the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from server.analysis.json import JsonObject
from server.analysis.specs.dialects.dialect import dialect_of
from server.analysis.specs.document.bundle import Read, bundle
from server.analysis.specs.document.checks import mapping, text
from server.analysis.specs.document.pointers import Pointers, under
from server.analysis.specs.document.servers import rebased
from server.analysis.specs.document.text import parse
from server.analysis.specs.judging.match import Matcher
from server.analysis.specs.judging.policy import ReportingPolicy
from server.analysis.specs.judging.prepared import PreparedOperation
from server.analysis.specs.model import Content, Operation, SpecError
from server.analysis.specs.routing.routes import Routes
from server.analysis.specs.schemas.convert import SchemaDirection
from server.analysis.specs.schemas.fields import inheritance
from server.analysis.specs.schemas.survey import SchemaSurvey
from server.analysis.specs.schemas.validators import Schemas
from server.analysis.specs.specification import Specification

MAX_WARNINGS = 100
MAX_ROUTES = 60_000
"""Operations, each once for every base path; one takes 1 to 13 kB of memory. Microsoft Graph has 38,000."""
MAX_PARAMETERS = 1_000  # of an operation; each is looked for in every call of it
_REPORTING = ReportingPolicy()


def load(raw: bytes, policy: ReportingPolicy = _REPORTING) -> Specification:
    """Reads Swagger 2.0 or OpenAPI 3, JSON or YAML. Raises SpecError."""
    return understand(parse(raw), policy)


def load_files(
    root: str, read: Read, policy: ReportingPolicy = _REPORTING, base_path: str | None = None
) -> Specification:
    """Reads a document in one or more files, starting with `root`, at another base path if one is given.
    Raises SpecError.
    """
    bundled = bundle(root, read)
    document = bundled.document if base_path is None else rebased(bundled.document, base_path)
    try:
        found = understand(document, policy)
        return replace(found, warnings=tuple(map(bundled.named, found.warnings)))
    except SpecError as error:
        raise bundled.blame(error) from None


def understand(document: JsonObject, policy: ReportingPolicy = _REPORTING) -> Specification:
    """The specification in a parsed document. Raises SpecError."""
    dialect = dialect_of(document)
    title, version = _info(document)
    warnings: dict[str, None] = {}

    def warn(warning: str) -> None:
        if len(warnings) < MAX_WARNINGS:
            warnings[warning] = None

    if not dialect.is_31 and "paths" not in document:
        raise SpecError("/paths", "missing")
    pointers = Pointers(dialect.document)
    heirs = inheritance(dialect.document, pointers)
    survey = SchemaSurvey(pointers, dialect.is_31, heirs, warn, dialect.nulls)
    reader = dialect.reader(dialect.document, pointers)
    described = _bounded(reader.operations())
    operations = tuple(operation for operation, _ in described)
    roots = {
        SchemaDirection.REQUEST: [place for operation in operations for place in _sent(operation)],
        SchemaDirection.RESPONSE: [place for operation in operations for place in _answered(operation)],
    }
    for place in chain.from_iterable(roots.values()):
        survey.walk(place)
    survey.set_apart()
    schemas = Schemas(roots, survey, warn)
    routes: Routes[PreparedOperation] = Routes()
    for operation, bases in described:
        prepared = PreparedOperation(operation, schemas)
        for base in bases:
            routes.add(operation, prepared, base, warn)
    return Specification(
        title=title,
        version=version,
        document=document,
        base_paths=reader.bases(),
        operations=operations,
        warnings=tuple(warnings),
        matcher=Matcher(routes, policy),
        schemas=schemas,
    )


def _bounded(found: Iterator[tuple[Operation, tuple[str, ...]]]) -> list[tuple[Operation, tuple[str, ...]]]:
    """All operations. Raises SpecError as soon as they are too many."""
    described, routes = [], 0
    for operation, bases in found:
        if len(operation.parameters) > MAX_PARAMETERS:
            raise SpecError(under("/paths", operation.template), f"more than {MAX_PARAMETERS:,} parameters")
        routes += len(bases)
        if routes > MAX_ROUTES:
            reason = f"more than {MAX_ROUTES:,} operations, counted once for each base path of its servers"
            raise SpecError("/paths", f"{reason}: split the document by base path")
        described.append((operation, bases))
    return described


def _info(document: JsonObject) -> tuple[str, str]:
    """(title, version); a version that YAML read as a number becomes text."""
    if "info" not in document:
        raise SpecError("/info", "missing")
    info = mapping(document["info"], "/info")
    if "version" not in info:
        raise SpecError("/info/version", "missing")
    return text(info, "title", "/info"), str(info["version"])


def _sent(operation: Operation) -> Iterator[str]:
    """Places of the schemas for requests."""
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
    yield from content.event_data.values()
