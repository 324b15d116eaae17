"""The estate in numbers for monitoring: read often, so from counters and never from exchanges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent.wire import LOSSES, TOTALS
from server.analysis.specs.kinds import Kind, Severity, Where, severity_of
from server.ingest.catalogue_editor import CatalogueEditor
from server.ingest.outcomes import CallsKey
from server.store.rows import ApiOperations, DeviationCount, Ledgers
from server.store.store import Store

MOST_APIS = 100  # with a name; all others together are OTHER
OTHER = "other"
CALLED, UNDOCUMENTED, DEPRECATED = "called", "undocumented", "deprecated"
DESCRIBED, UNUSED = "described", "unused"
OPERATION_STATES = (CALLED, UNDOCUMENTED, DEPRECATED, DESCRIBED, UNUSED)


@dataclass(frozen=True, slots=True)
class ApiName:
    """An API as monitoring names it; two of one name in a cluster are counted together."""

    name: str
    cluster: str


@dataclass(frozen=True, slots=True)
class CallsOf:
    """What exchanges are counted by: verdict and class of status, "none" where there is none."""

    verdict: str
    status: str


@dataclass(frozen=True, slots=True)
class Measured:
    """`calls` are of the time since the start, the others of now. `operations` are by state, of which one
    operation has several; `lost` and `seen` are sums of all agents, of "bytes" and "exchanges".
    """

    calls: Mapping[ApiName, Mapping[CallsOf, int]]
    operations: Mapping[ApiName, Mapping[str, int]]
    deviations: Mapping[tuple[Kind, Severity], int]
    seen: Mapping[str, int]
    lost: Mapping[tuple[str, str], int]


class Measures:
    """`calls` returns the exchanges counted since the start."""

    def __init__(
        self, store: Store, catalogue: CatalogueEditor, calls: Callable[[], Mapping[CallsKey, int]]
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._calls = calls
        self._named: frozenset[int] = frozenset()

    def now(self) -> Measured:
        """The present numbers. Raises StoreUnavailable."""
        calls = self._calls()
        described = {
            api: {key for one in specs.specifications for key in one.operations}
            for api, specs in self._catalogue.published.apis.items()
        }
        with self._store.reading() as reader:
            rows = reader.estate.operation_counts()
            merged = reader.inventory.merged_into({key.api for key in calls})
            used = {
                api: len(keys.intersection(reader.inventory.called(api))) for api, keys in described.items()
            }
            deviations = reader.estate.deviation_counts()
            ledgers = reader.fleet.ledgers()
        names = self._names(rows)
        operations: dict[ApiName, Counter[str]] = {}
        for row in rows:
            known = len(described.get(row.number, ()))
            operations.setdefault(names[row.number], Counter()).update(
                {
                    CALLED: row.called,
                    UNDOCUMENTED: row.undocumented,
                    DEPRECATED: row.deprecated,
                    DESCRIBED: known,
                    UNUSED: known - used.get(row.number, 0),
                }
            )
        return Measured(
            calls=_by_name(calls, merged, names),
            operations=operations,
            deviations=_by_severity(deviations),
            seen={part: ledgers.agents.get(part, {}).get(bucket, 0) for part, bucket in TOTALS.items()},
            lost=_lost(ledgers),
        )

    def _names(self, rows: Sequence[ApiOperations]) -> Mapping[int, ApiName]:
        """An API keeps its name as long as the server runs, so that its counters do not jump; names that are
        left go to the APIs with the most calls.
        """
        known = self._named.intersection(row.number for row in rows)
        busiest = sorted(rows, key=lambda row: (-row.calls, row.number))
        new = [row.number for row in busiest if row.number not in known]
        self._named = known.union(new[: max(0, MOST_APIS - len(known))])
        other = ApiName(OTHER, "")
        return {
            row.number: ApiName(row.name, row.cluster or "") if row.number in self._named else other
            for row in rows
        }


def _by_name(
    calls: Mapping[CallsKey, int], merged: Mapping[int, int], names: Mapping[int, ApiName]
) -> Mapping[ApiName, Mapping[CallsOf, int]]:
    found: dict[ApiName, Counter[CallsOf]] = {}
    for key, count in calls.items():
        name = names.get(merged.get(key.api, key.api), ApiName(OTHER, ""))
        found.setdefault(name, Counter())[CallsOf(key.verdict, key.status)] += count
    return found


def _by_severity(counts: Sequence[DeviationCount]) -> Mapping[tuple[Kind, Severity], int]:
    found: Counter[tuple[Kind, Severity]] = Counter()
    for one in counts:
        kind = Kind(one.kind)
        found[kind, severity_of(kind, Where(one.where))] += one.count
    return found


def _lost(ledgers: Ledgers) -> Mapping[tuple[str, str], int]:
    """Each bucket of a loss, also those that are empty, so that an alert sees the first loss."""
    return {
        (part, bucket): ledgers.agents.get(part, {}).get(bucket, 0)
        for part, buckets in LOSSES.items()
        for bucket in sorted(buckets)
    }
