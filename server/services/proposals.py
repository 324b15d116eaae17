"""Accepted changes of specifications, and the documents with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.wire import Record
from server.analysis.json import JsonObject
from server.analysis.specs.amending.patches import Change, Unfit, applied
from server.analysis.specs.amending.propose import proposal, shows
from server.analysis.specs.deviation import DeviationIdentity
from server.analysis.specs.document.text import parse
from server.analysis.views import most_seen
from server.catalogue import Loaded
from server.ingest.catalogue_editor import CatalogueEditor
from server.services.errors import Conflict, NotFound
from server.specification import Load, LoadedSpecification, understood
from server.store.reader import Reader
from server.store.rows import ExchangeRow, KnownDeviation, Proposal
from server.store.store import Store


@dataclass(frozen=True, slots=True)
class Amended:
    """A document with all accepted changes, and whether it was uploaded as JSON."""

    document: JsonObject
    is_json: bool


class Proposals:
    def __init__(self, store: Store, catalogue: CatalogueEditor, load: Load) -> None:
        self._store = store
        self._catalogue = catalogue
        self._load = load

    def of_api(self, api: int) -> Sequence[Proposal]:
        """The accepted changes of all specifications of an API, oldest first."""
        with self._store.reading() as reader:
            return reader.deviations.proposals(api)

    def document(self, api: int, spec: str | None) -> Amended:
        """A specification (the newest, or the one with this id) with all accepted changes. Raises
        NotFound.
        """
        with self._store.reading() as reader:
            found = [one for one in reader.specs.of_api(api) if spec in (None, one.row.id)]
            if not found:
                raise NotFound("this API has no such specification")
            accepted = reader.deviations.proposals(api, found[0].row.id)
        return Amended(changed(parse(found[0].raw), accepted), found[0].is_json)

    def found(self, deviation: KnownDeviation) -> tuple[str, Sequence[Change]]:
        """(the specification's id, its change) under which a deviation conforms. Raises Conflict."""
        wanted, known = deviation.identity, self._catalogue.published.of_api(deviation.api)
        with self._store.reading() as reader:
            record = _sample(reader.exchanges.one(deviation.sample))
            others = [one for one in reader.deviations.proposals(deviation.api) if one.identity != wanted]
            documents = {one.stored.id: _document(reader, one) for one in known}
        for loaded in _by_fit(known, wanted, record):
            stored = loaded.stored
            document = changed(documents[stored.id], [one for one in others if one.spec == stored.id])

            def understand(
                document: JsonObject, base_path: str | None = stored.base_path
            ) -> LoadedSpecification:
                return understood(self._load, document, base_path)

            patch = proposal(wanted, document, understand, record)
            if patch is not None:
                return stored.id, patch
        raise Conflict("no change of the specification was found under which this conforms")


def changed(document: JsonObject, accepted: Iterable[Proposal]) -> JsonObject:
    """The document after these proposals; one that no longer applies, because another was undone, is left
    out.
    """
    for one in accepted:
        try:
            document = applied(document, one.patch)
        except Unfit:
            continue
    return document


def _document(reader: Reader, loaded: Loaded) -> JsonObject:
    """A specification's document, with its server URLs as uploaded."""
    stored = reader.specs.one(loaded.stored.id) if loaded.stored.base_path is not None else None
    return dict(loaded.specification.document) if stored is None else parse(stored.raw)


def _sample(exchange: ExchangeRow | None) -> Record | None:
    return None if exchange is None else most_seen(exchange.views)


def _by_fit(known: tuple[Loaded, ...], wanted: DeviationIdentity, record: Record | None) -> list[Loaded]:
    """The specifications that the deviation is from; all of them if unknown."""
    if record is not None:
        fitting = [one for one in known if shows(one.specification.match(record), wanted)]
    else:
        fitting = [one for one in known if wanted.operation in one.operations]
    return fitting or [*known]
