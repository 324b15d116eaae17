"""Changes of specifications that people accepted, and the documents that these make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.wire import Record, decode_record
from server.analysis.json import JsonObject
from server.analysis.specs.amending.patches import Change, Unfit, applied
from server.analysis.specs.amending.propose import proposal, shows
from server.analysis.specs.deviation import DeviationIdentity
from server.analysis.specs.document.text import parse
from server.analysis.views import most_seen
from server.catalogue import Loaded
from server.ingest.catalogue_editor import CatalogueEditor
from server.services.errors import Conflict, NotFound
from server.services.listing import Row
from server.specification import Load, Specification, understood
from server.store import decisions, queries, specs
from server.store.database import Connection, Store
from server.store.decisions import identity


@dataclass(frozen=True, slots=True)
class Accepted:
    """A deviation's change of the specification of this id; `time` in ns."""

    operation: str
    kind: str
    where: str
    pointer: str
    spec: str
    patch: tuple[Change, ...]
    reason: str | None
    by: str | None
    time: int

    @classmethod
    def of(cls, row: Row) -> Accepted:
        return cls(
            operation=row["operation"],
            kind=row["kind"],
            where=row["where"],
            pointer=row["pointer"],
            spec=row["spec"],
            patch=tuple(row["patch"]),
            reason=row["reason"],
            by=row["by"],
            time=row["time"],
        )


@dataclass(frozen=True, slots=True)
class Amended:
    """A document with all that was accepted, and whether it was uploaded as JSON."""

    document: JsonObject
    is_json: bool


class Proposals:
    def __init__(self, store: Store, catalogue: CatalogueEditor, load: Load) -> None:
        self._store = store
        self._catalogue = catalogue
        self._load = load

    def of_api(self, api: int) -> list[Accepted]:
        """Of all specifications of an API, oldest first."""
        with self._store.reading() as db:
            return [Accepted.of(row) for row in decisions.proposals(db, api)]

    def document(self, api: int, spec: str | None) -> Amended:
        """A specification (the newest, or the one of this id) with all that was accepted. Raises NotFound."""
        with self._store.reading() as db:
            found = [row for row in specs.of_api(db, api) if spec in (None, row["id"])]
            if not found:
                raise NotFound("this API has no such specification")
            raw: bytes = found[0]["raw"]
            document = changed(parse(raw), decisions.proposals(db, api, found[0]["id"]))
        return Amended(document, raw.lstrip()[:1] == b"{")

    def found(self, row: Row) -> tuple[str, tuple[Change, ...]]:
        """(the specification's id, its change) that makes a deviation conform. Raises Conflict."""
        wanted, known = identity(row), self._catalogue.published.of_api(row["api"])
        with self._store.reading() as db:
            record = _sample(queries.exchange(db, row["sample"]))
            others = [one for one in decisions.proposals(db, row["api"]) if identity(one) != wanted]
            documents = {one.stored.id: _document(db, one) for one in known}
        for loaded in _by_fit(known, wanted, record):
            stored = loaded.stored
            document = changed(documents[stored.id], [one for one in others if one["spec"] == stored.id])

            def understand(document: JsonObject, base_path: str | None = stored.base_path) -> Specification:
                return understood(self._load, document, base_path)

            patch = proposal(wanted, document, understand, record)
            if patch is not None:
                return stored.id, patch
        raise Conflict("no change of the specification makes this conform that could be found")


def changed(document: JsonObject, accepted: Iterable[Row]) -> JsonObject:
    """The document after these proposals; one that no longer fits, as another was undone, is left out."""
    for one in accepted:
        try:
            document = applied(document, one["patch"])
        except Unfit:
            continue
    return document


def _document(db: Connection, loaded: Loaded) -> JsonObject:
    """A specification's document, its server URLs as they were uploaded."""
    stored = specs.of_id(db, loaded.stored.id) if loaded.stored.base_path is not None else None
    return dict(loaded.specification.document) if stored is None else parse(stored["raw"])


def _sample(exchange: Row | None) -> Record | None:
    return None if exchange is None else most_seen([decode_record(raw) for raw in exchange["records"]])


def _by_fit(known: tuple[Loaded, ...], wanted: DeviationIdentity, record: Record | None) -> list[Loaded]:
    """Specifications that the deviation is one from, as far as is known."""
    if record is not None:
        fitting = [one for one in known if shows(one.specification.match(record), wanted)]
    else:
        fitting = [one for one in known if wanted.operation in one.operations]
    return fitting or [*known]
