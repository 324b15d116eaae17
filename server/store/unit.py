"""Writing, as Protocols that an engine implements. A piece of work uses them on the writer's thread.

An engine owns its caches of stored data. It reads them again whenever work was undone, before anything else
is written, so that memory never has more than what is stored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from agent.wire import Batch, Record, Resident, Residents
from server.analysis.inventory import ConsumerKind
from server.analysis.json import JsonObject
from server.analysis.specs.deviation import DeviationIdentity
from server.store.draft import ExchangeDraft
from server.store.rows import Publication
from server.store.tokens import StoredTokens
from server.store.values import (
    Contribution,
    Covered,
    DeliveredStart,
    DeviationDecision,
    HostRoute,
    Learned,
    Leftover,
    Merge,
    Occurrence,
    RetentionBounds,
    RoutedWorkload,
    StoredSpec,
    StoredView,
    Upload,
)
from server.store.waiting import HeldViews, LoneViews, WatchedAddresses


class Apis(Protocol):
    """APIs and what they are recognised by. APIs that turn out to be the same are merged without losing
    counts.
    """

    def resolve(self, record: Record) -> tuple[int, Merge | None]:
        """The record's API, created if new, and the declared API to merge if it turned out to be one."""

    def learn(self, record: Record, target: int) -> Merge | None:
        """Records that `target` is the server of this client's view: its address leads there from now on.

        An address that leads to two servers (a virtual address) is not used again: calls that only the client
        saw get an API of that address.
        """

    def declare(self, names: Sequence[str], title: str, cluster: str | None = None) -> int:
        """The API with one of these names, in a cluster or (None) in any, created if traffic has not.

        A name is a host, with or without port, or a workload after WORKLOAD_PREFIX. If several APIs had the
        name, one whose server was captured is preferred, then the busiest.
        """

    def add_host(self, api: int, record: Record) -> None:
        """Stores the host name that the client used as an alias."""

    def number_of(self, id: str) -> int | None:
        """An API's number by its id, an earlier id, or the id of an API that was merged into it."""

    def id_of(self, api: int) -> str: ...

    def revise(self, api: int) -> None:
        """Increments the revision of the API's specifications."""

    def revisions(self) -> Mapping[int, int]:
        """Each API's revision: the number of changes of its specifications."""

    def to_judge(self) -> Sequence[int]:
        """APIs with stored exchanges that were not validated under the current revision (after a restart)."""


class Operations(Protocol):
    """Operations by API and key, created on first use."""

    def key_of(self, number: int) -> str:
        """For example, "GET /users/{id}"."""

    def provisional(self, api: int, method: str, template: str, found: bool = True) -> int:
        """The operation of a template; beyond the bound, the API's overflow operation.

        Half of the room is reserved for paths that the server has answered for (`found`), so that scanners
        cannot displace real operations.
        """

    def specified(self, api: int, key: str, deprecated: bool, operation_id: str | None) -> int:
        """The operation that a specification names; a provisional one with the same key becomes it. If
        several specifications name it, in any order, it is deprecated if one of them says so.
        """

    def unseen(self, api: int) -> int:
        """The operation of exchanges whose request was not captured, or is of none (CONNECT)."""

    def demote(self, api: int) -> None:
        """Makes all operations of an API provisional again: its specifications are about to change."""

    def leftovers(self, api: int) -> Sequence[Leftover]:
        """Operations with calls that have no verdict and are not stored. Call it after all stored exchanges
        were validated. Calls whose request was not captured never have one.
        """

    def move_counts(self, source: int, target: int) -> None:
        """Adds the counts of one operation to another, and removes the first."""


class Consumers(Protocol):
    """Consumers by kind and name."""

    def number(self, kind: ConsumerKind, name: str) -> int:
        """Created on first use; beyond a bound, the consumers of a kind share a number."""

    def drop_unused(self, numbers: Sequence[int]) -> int:
        """Removes those of `numbers` that nothing refers to. Returns how many."""


class CallTally(Protocol):
    """Counts of calls, also by verdict and fault, and of latency. Verdicts are of the API's current
    specifications.
    """

    def add(self, one: Contribution, sign: int = 1) -> None:
        """Adds an exchange's contribution; `sign` -1 subtracts it."""

    def flush(self) -> None:
        """Writes all changes since the last flush; counters at zero are removed."""

    def reset_verdicts(self, api: int) -> None:
        """Counts an API's calls without verdicts: its specifications are about to change. Flush before."""

    def judge(self, operation: int, verdict: str, fault: str | None, count: int) -> None:
        """Gives calls of an operation that are no longer stored, and have no verdict, this one. Flush
        before.
        """


class CoverageTally(Protocol):
    """Counts of exercised parts of operations."""

    def add(self, one: Covered, sign: int = 1) -> None:
        """Adds an exchange's parts; `sign` -1 subtracts them."""

    def flush(self) -> None:
        """Writes all changes since the last flush; counters at zero are removed."""

    def reset(self, api: int) -> None:
        """Removes an API's counts: its specifications are about to change, and exchanges will be counted
        again.
        """


class DeviationTally(Protocol):
    """Deviations, stored once per API and identity, with count, consumers and a sample: the newest exchange
    by time and id that shows it under the current specifications.
    """

    def add(self, at: Occurrence, identity: DeviationIdentity, message: str) -> bool:
        """Counts a deviation. Returns False if it is left out: the API's bound is reached, or its number is
        taken.
        """

    def take_back(self, at: Occurrence, identity: DeviationIdentity) -> None: ...

    def flush(self) -> None:
        """Writes all changes since the last flush."""

    def reset(self, api: int) -> None:
        """Removes an API's deviations: its specifications are about to change."""


class Samples(Protocol):
    """Stored exchanges and their views."""

    def numbers(self, count: int, now: int) -> Sequence[int]:
        """New numbers for `count` records that arrive at `now` (ns), above all earlier numbers."""

    def known(self, ids: Sequence[str]) -> Collection[str]:
        """The ones of these record ids that are stored already."""

    def known_of(self, cluster: str, ids: Sequence[str]) -> Collection[str]:
        """The ones of these record ids that are stored already, of a record that names this cluster."""

    def load(self, number: int) -> ExchangeDraft | None:
        """A stored exchange; None if retention deleted it or it cannot be read."""

    def add_views(self, views: Iterable[StoredView]) -> None:
        """Inserts views, whether or not their exchanges are known."""

    def remove_views(self, numbers: Iterable[int]) -> None:
        """Removes views that belong to no stored exchange."""

    def join(self, number: int, exchange: int) -> None:
        """Moves a stored view to another exchange."""

    def write(self, exchanges: Iterable[ExchangeDraft]) -> None:
        """Inserts new exchanges and updates changed ones."""

    def unjudged(self, api: int, revision: int, limit: int) -> Sequence[int]:
        """Numbers of an API's exchanges that were not validated under its current revision."""

    def mark_judged(self, number: int, revision: int) -> None:
        """Marks an exchange that cannot be validated again as validated. It has no verdict any more, unless
        that was counted under this revision.
        """

    def reconsider(self, api: int, identity: DeviationIdentity) -> None:
        """Makes the exchanges with this deviation `unjudged`. What was counted of them still counts."""


class KnownPods(Protocol):
    """Pods by address, as agents report them."""

    def record(self, residents: Residents, now: int) -> None:
        """These are all pods of a node at `now` (ns): others that it had are gone. A Service does not get an
        address that a pod has.
        """

    @property
    def are_known(self) -> bool:
        """Whether any are."""

    def at(self, cluster: str | None, ip: str) -> Resident | None:
        """The pod that has this address."""

    def expire(self, now: int) -> None:
        """Removes the pods of nodes that were not reported for hours."""


class HostRoutes(Protocol):
    """The hosts and paths under which workloads are reached, as clusters configure them."""

    def record(self, cluster: str | None, routes: Sequence[HostRoute], now: int) -> None:
        """These are all routes of a cluster at `now` (ns): others that it had are gone."""

    def leading(self, host: str, path: str, cluster: str | None) -> RoutedWorkload | None:
        """The workload that gets requests for a path and all below it, by the route with the longest path.
        None if there is no route, or several workloads share it. `cluster` None means any.
        """

    def expire(self, now: int) -> None:
        """Removes the routes of clusters that were not reported for hours."""


class Retention(Protocol):
    """Deletes old data, in pieces of work small enough for ingest to continue in between."""

    def used_bytes(self) -> int:
        """Bytes in use."""

    def drop_some(self, bounds: RetentionBounds, now: int, target: int) -> int:
        """Deletes some of the exchanges that arrived too long ago (to the hour), or of the oldest ones while
        more than `target` bytes are in use. Returns how many.
        """

    def fold_hours(self, bounds: RetentionBounds, now: int) -> None:
        """Sums old hourly counters by day, except in hours that still have exchanges."""

    def release_space(self) -> int:
        """Returns some free space to the file system. Returns 0 once there is none left."""


class Positions(Protocol):
    """The batches received, so that none counts twice, and both ledgers."""

    def is_duplicate(self, batch: Batch) -> bool:
        """Whether this batch is stored already; if not, marks it as stored."""

    def record(self, batch: Batch, now: int) -> str | None:
        """Stores the agent's ledger, what it captures and its lag. The ledger has totals; of all three the
        newest replaces the previous one. Returns the cluster that a batch of this start has named, if any.
        """

    def delivered(self, since: int) -> Sequence[DeliveredStart]:
        """The starts that delivered at or after a time (ns); the latest last."""

    def count(self, buckets: Mapping[str, int], cluster: str | None = None) -> None:
        """Adds to the server's own ledger of a cluster, or of none."""

    def forget_starts(self, now: int) -> None:
        """Removes what no longer matters of starts that are over: batches after a day, and after 30 days all
        but the sum of their counts.
        """


class Specs(Protocol):
    """Specifications and their uploaded documents."""

    def stored(self) -> Sequence[StoredSpec]:
        """All specifications without their documents, oldest first."""

    def document(self, number: int) -> bytes: ...

    def find(self, id: str) -> StoredSpec | None: ...

    def add(
        self, api: int, upload: Upload, title: str, version: str, warnings: Sequence[str], now: int
    ) -> StoredSpec: ...

    def remove(self, specs: Iterable[StoredSpec]) -> None:
        """Removes specifications and the accepted deviations for them."""


class Decisions(Protocol):
    """Decisions on deviations."""

    def decide(self, api: int, identity: DeviationIdentity, decision: DeviationDecision) -> None:
        """Replaces an earlier decision."""

    def undo(self, api: int, identity: DeviationIdentity) -> None:
        """Removes the decision: the deviation is open again."""

    def ignored(self) -> Mapping[int, frozenset[DeviationIdentity]]:
        """Ignored deviations by API."""


class Lessons(Protocol):
    """Learned documents: states, published versions and decisions."""

    def save(self, learned: Mapping[int, Learned], last: int) -> Mapping[int, int | Exception] | None:
        """Writes states and the watermark together. Returns each API's new row, or why it could not be
        written; None, having written nothing, if an API was merged meanwhile.
        """

    def publish(self, api: int, publication: Publication) -> None: ...

    def decide(self, api: int, decision: JsonObject, now: int) -> int:
        """Returns the decision's number."""

    def withdraw(self, api: int, number: int) -> bool:
        """Returns whether there was such a decision."""


class Room(Protocol):
    """Tests by writing whether the store accepts writes."""

    def probe(self) -> None:
        """The smallest possible write."""

    def fill(self) -> None:
        """Writes as much as a batch does: on a full disk a small write may still succeed."""

    def free(self) -> None:
        """Undoes `fill` after its commit; in one transaction the two would write nothing."""


class Unit(Protocol):
    """All of the above."""

    def merge(self, merge: Merge) -> None:
        """Merges one API into another: its id leads there, and no count is lost. Its exchanges must be
        re-validated. Flush the tallies before. Raises KeyCollision, and then merges nothing.
        """

    @property
    def apis(self) -> Apis: ...
    @property
    def operations(self) -> Operations: ...
    @property
    def consumers(self) -> Consumers: ...
    @property
    def calls(self) -> CallTally: ...
    @property
    def coverage(self) -> CoverageTally: ...
    @property
    def deviations(self) -> DeviationTally: ...
    @property
    def samples(self) -> Samples: ...
    @property
    def held(self) -> HeldViews: ...
    @property
    def lone_views(self) -> LoneViews: ...
    @property
    def watched(self) -> WatchedAddresses: ...
    @property
    def pods(self) -> KnownPods: ...
    @property
    def routes(self) -> HostRoutes: ...
    @property
    def retention(self) -> Retention: ...
    @property
    def positions(self) -> Positions: ...
    @property
    def specs(self) -> Specs: ...
    @property
    def decisions(self) -> Decisions: ...
    @property
    def lessons(self) -> Lessons: ...
    @property
    def tokens(self) -> StoredTokens: ...
    @property
    def room(self) -> Room: ...
