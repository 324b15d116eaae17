"""All specifications and all ignored deviations, as one immutable value.

The writer builds the next catalogue and assigns it once (server/ingest/catalogue_editor.py). Readers on other
threads use the published one and never wait for the writer. A reader that also reads the database takes the
catalogue first: then every specification it finds there is in the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent.wire import Record
from server.analysis.coverage.outline import Outline
from server.analysis.inventory import host_of, name_of
from server.analysis.specs.deviation import DeviationIdentity
from server.analysis.specs.judging.judged import Judged, first_with_operation
from server.analysis.specs.kinds import Fault, Verdict
from server.analysis.specs.model import Judgement, Operation
from server.analysis.specs.routing.bases import base_of, closeness, encoded_bases
from server.specification import LoadedSpecification
from server.store.values import StoredSpec


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A stored specification, loaded by the engine."""

    stored: StoredSpec
    specification: LoadedSpecification
    base_paths: tuple[bytes, ...]
    operations: Mapping[str, Operation]

    @classmethod
    def of(cls, stored: StoredSpec, specification: LoadedSpecification) -> Loaded:
        bases = encoded_bases(specification.base_paths)
        operations = {operation.key: operation for operation in specification.operations}
        return cls(stored, specification, bases, operations)

    def base_of(self, path: bytes) -> bytes | None:
        """The longest base path above `path`; None if there is none."""
        return base_of(self.base_paths, path)


@dataclass(frozen=True, slots=True)
class Ruling:
    """A validated exchange, and the specification's operation (None if it has none). The verdict is the
    judgement's without ignored deviations.
    """

    judged: Judged
    operation: Operation | None
    verdict: Verdict

    @property
    def judgement(self) -> Judgement:
        return self.judged.judgement

    @property
    def fault(self) -> Fault | None:
        """The judgement's, unless all its deviations are ignored."""
        judgement = self.judgement
        return judgement.fault if self.verdict is judgement.verdict else None


@dataclass(frozen=True, slots=True)
class ApiSpecs:
    """The specifications of one API, oldest first, with their common outline and the operations of all."""

    specifications: tuple[Loaded, ...]
    outline: Outline
    operations: Mapping[str, Operation]

    @classmethod
    def of(cls, specifications: tuple[Loaded, ...]) -> ApiSpecs:
        outline = Outline([one.specification for one in specifications])
        if len(specifications) == 1:
            return cls(specifications, outline, specifications[0].operations)
        operations = {key: one for each in specifications for key, one in each.operations.items()}
        return cls(specifications, outline, operations)


NO_SPECS = ApiSpecs.of(())


@dataclass(frozen=True, slots=True)
class Catalogue:
    """`revisions` count the changes of each API's specifications; `unreadable` are the ids of stored
    specifications that the engine refuses.
    """

    apis: Mapping[int, ApiSpecs]
    revisions: Mapping[int, int]
    ignored: Mapping[int, frozenset[DeviationIdentity]]
    unreadable: frozenset[str]

    def __iter__(self) -> Iterator[Loaded]:
        return (one for specs in self.apis.values() for one in specs.specifications)

    def of_api(self, api: int) -> tuple[Loaded, ...]:
        """The specifications of an API (its number), oldest first."""
        return self.apis.get(api, NO_SPECS).specifications

    def operations(self, api: int) -> Mapping[str, Operation]:
        """The operations that an API's specifications describe, by key, in the documents' order."""
        return self.apis.get(api, NO_SPECS).operations

    def outline(self, api: int) -> Outline:
        """The outline of an API's specifications, for coverage."""
        return self.apis.get(api, NO_SPECS).outline

    def revision(self, api: int) -> int:
        """The number of changes of an API's specifications."""
        return self.revisions.get(api, 0)

    def newly_ignored(self, api: int, before: Catalogue) -> Iterable[DeviationIdentity]:
        """The deviations of an API that are ignored and were not `before`."""
        return self.ignored.get(api, frozenset()) - before.ignored.get(api, frozenset())

    def judge(self, api: int, record: Record) -> Ruling | None:
        """The verdict of the specification that fits best; None if the API has none.

        Specifications declared for the requested host come first, then those with the longest base path; the
        first that has the operation decides.
        """
        specs = self.apis.get(api)
        if specs is None or record.request is None:
            return None
        found = first_with_operation(_by_fit(specs.specifications, record), record)
        if found is None:
            return None
        loaded, judged = found
        operation = loaded.operations.get(judged.judgement.operation or "")
        return Ruling(judged, operation, self._verdict(api, judged.judgement))

    def _verdict(self, api: int, judgement: Judgement) -> Verdict:
        """The judgement's verdict without ignored deviations."""
        ignored = self.ignored.get(api)
        if not ignored or judgement.verdict != Verdict.DEVIATING or judgement.operation is None:
            return judgement.verdict
        if any(one.identity(judgement.operation) not in ignored for one in judgement.deviations):
            return judgement.verdict
        if judgement.deprecated:
            return Verdict.ZOMBIE
        return Verdict.UNJUDGED if judgement.partial else Verdict.CONFORMING


EMPTY = Catalogue({}, {}, {}, frozenset())


def by_api(specifications: Iterable[Loaded], before: Catalogue) -> Mapping[int, ApiSpecs]:
    """Specifications, oldest first, by API. An API unchanged since `before` keeps its object."""
    found: dict[int, tuple[Loaded, ...]] = {}
    for one in specifications:
        found[one.stored.api] = (*found.get(one.stored.api, ()), one)
    kept = before.apis
    return {
        api: kept[api] if api in kept and kept[api].specifications == specs else ApiSpecs.of(specs)
        for api, specs in found.items()
    }


def _by_fit(specifications: tuple[Loaded, ...], record: Record) -> Sequence[Loaded]:
    if len(specifications) == 1 or record.request is None:
        return specifications
    host, path = host_of(record), record.request.path
    named = [
        one for one in specifications if one.stored.host and host and one.stored.host in (host, name_of(host))
    ]
    return sorted(named or specifications, key=lambda one: closeness(one.base_of(path)), reverse=True)
