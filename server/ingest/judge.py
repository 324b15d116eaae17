"""Which specification an exchange is held against, and what comes of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from agent.wire import Record
from server.analysis.inventory import host_of, name_of
from server.analysis.specs.amending.propose import Judging
from server.analysis.specs.kinds import Verdict
from server.analysis.specs.model import Judgement, Operation, SpecError
from server.store import decisions, specs
from server.store.database import Database
from server.store.findings import bounded
from server.store.specs import StoredSpec

log = logging.getLogger(__name__)


class Specification(Judging, Protocol):
    """What the engine makes of a document."""

    @property
    def title(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def warnings(self) -> Sequence[str]: ...


Load = Callable[[bytes], Specification]
"""From a document's bytes, JSON or YAML. Raises SpecError."""


@dataclass(frozen=True, slots=True)
class Loaded:
    stored: StoredSpec
    specification: Specification
    base_paths: tuple[bytes, ...]
    operations: Mapping[str, Operation]

    def base_of(self, path: bytes) -> int:
        """Length of the longest base path that `path` lies under; -1 where there is none."""
        return max((len(base) for base in self.base_paths if under(path, base)), default=-1)


@dataclass(frozen=True, slots=True)
class Ruling:
    """A judgement, and what the specification says of the operation (None where it knows none). The
    verdict is the judgement's but for what people ignore.
    """

    judgement: Judgement
    operation: Operation | None
    verdict: Verdict


def under(path: bytes, base: bytes) -> bool:
    return path == base or path.startswith(base + b"/")


def based(load: Load, raw: bytes, base_path: str | None) -> Specification:
    """The specification, its server URLs replaced by a base path if one is given. Raises SpecError."""
    specification = load(raw)
    return specification if base_path is None else understood(load, specification.document, base_path)


def understood(load: Load, document: Mapping[str, Any], base_path: str | None) -> Specification:
    """The specification that a document is, its server URLs replaced if need be. Raises SpecError."""
    if base_path is not None:
        served = {"basePath": base_path} if "swagger" in document else {"servers": [{"url": base_path}]}
        document = {**document, **served}
    return load(json.dumps(document).encode())


class Judges:
    """The writer's view of all specifications. Documents are parsed once, whatever is forgotten."""

    def __init__(self, db: Database, load: Load) -> None:
        self._db = db
        self._read = load
        self._parsed: dict[int, Loaded | None] = {}
        self.forget()

    def forget(self) -> None:
        self._by_api: dict[int, tuple[Loaded, ...]] = {}
        for spec in specs.stored(self._db):
            loaded = self._load(spec)
            if loaded is not None:
                self._by_api[spec.api] = (*self._by_api.get(spec.api, ()), loaded)
        self._revisions: dict[int, int] = specs.revisions(self._db)
        self._ignored = decisions.ignored(self._db)

    def _load(self, spec: StoredSpec) -> Loaded | None:
        if spec.number not in self._parsed:
            try:
                specification = based(self._read, spec.raw, spec.base_path)
            except SpecError as error:
                log.error("specification %s is left out: %s: %s", spec.id, error.where, error.reason)
                self._parsed[spec.number] = None
            else:
                self._parsed[spec.number] = _loaded(spec, specification)
        loaded = self._parsed[spec.number]
        return replace(loaded, stored=spec) if loaded else None

    def add(self, spec: StoredSpec, specification: Specification) -> None:
        """A specification that was parsed already and is stored now."""
        self._parsed[spec.number] = _loaded(spec, specification)
        self.forget()

    def of_api(self, api: int) -> tuple[Loaded, ...]:
        return self._by_api.get(api, ())

    def revision(self, api: int) -> int:
        """Counts the changes of an API's specifications."""
        return self._revisions.get(api, 0)

    def judge(self, api: int, record: Record) -> Ruling | None:
        """The verdict of the specification that fits best; None where the API has none.

        Those declared for the host the client named come first, then the longest base path; the first
        that knows the operation has the word.
        """
        found = self._by_api.get(api)
        if not found or record.request is None:
            return None
        first: Judgement | None = None
        for loaded in _by_fit(found, record):
            judgement = loaded.specification.match(record)
            if judgement.operation is not None:
                operation = loaded.operations.get(judgement.operation)
                return Ruling(judgement, operation, self._heard(api, judgement))
            first = first or judgement
        return Ruling(first, None, first.verdict) if first else None

    def _heard(self, api: int, judgement: Judgement) -> Verdict:
        """The verdict, to which deviations that are ignored do not count."""
        ignored = self._ignored.get(api)
        if not ignored or judgement.verdict != Verdict.DEVIATING or judgement.operation is None:
            return judgement.verdict
        for one in judgement.deviations:
            kept = bounded(judgement.operation, one.kind, one.where, one.pointer, "")
            if (kept.operation, kept.kind, kept.where, kept.pointer) not in ignored:
                return judgement.verdict
        if judgement.deprecated:
            return Verdict.ZOMBIE
        return Verdict.UNJUDGED if judgement.why else Verdict.CONFORMING


def _loaded(spec: StoredSpec, specification: Specification) -> Loaded:
    bases = tuple(base.rstrip("/").encode() for base in specification.base_paths) or (b"",)
    operations = {operation.key: operation for operation in specification.operations}
    return Loaded(spec, specification, bases, operations)


def _by_fit(found: tuple[Loaded, ...], record: Record) -> Sequence[Loaded]:
    if len(found) == 1 or record.request is None:
        return found
    host, path = host_of(record), record.request.path
    named = [one for one in found if one.stored.host and host and one.stored.host in (host, name_of(host))]
    return sorted(named or found, key=lambda one: -one.base_of(path))
