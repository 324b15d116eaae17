"""What a piece of work writes through, on the writer's thread: Protocols by use, which an engine fulfils.

What the engine keeps in memory of these, it owns: it is read again whenever work was undone, before anything
else is written, so that nothing in memory ever knows more than what is stored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from agent.wire import Batch, Record
from server.analysis.inventory import ConsumerKind
from server.analysis.json import JsonObject
from server.analysis.specs.deviation import DeviationIdentity
from server.analysis.witnesses import View
from server.store.draft import ExchangeDraft
from server.store.rows import Publication
from server.store.values import (
    Contribution,
    Covered,
    DeviationDecision,
    Learned,
    Merge,
    Occurrence,
    RetentionBounds,
    StoredSpec,
    StoredView,
    Unsampled,
    Upload,
)


class Apis(Protocol):
    """APIs and what they are recognised by; two that turn out to be one are merged and lose no counts."""

    def resolve(self, record: Record) -> tuple[int, Merge | None]:
        """The record's API, created if new, and a declared API that it turned out to be."""

    def learn(self, record: Record, target: int) -> Merge | None:
        """The server of this client's view is `target`: from now on its address leads there.

        An address that leads to two servers (a virtual one) is not trusted again: it gets an API of its
        own for calls that only the client saw.
        """

    def declare(self, names: Sequence[str], title: str) -> int:
        """The API that goes by one of these names, created if traffic has not.

        A name is a host, with or without port, or a workload after WORKLOAD_PREFIX. Among several APIs
        that answered to the name, one whose server was seen wins, then the busiest.
        """

    def add_host(self, api: int, record: Record) -> None:
        """Keeps the name that the client used as an alias."""

    def number_of(self, id: str) -> int | None:
        """An API's number by its id, by one it had earlier, or by that of one that was merged into it."""

    def id_of(self, api: int) -> str: ...

    def revise(self, api: int) -> None:
        """Counts a change of the API's specifications."""

    def revisions(self) -> Mapping[int, int]:
        """Of each API, how often its specifications have changed."""

    def to_judge(self) -> Sequence[int]:
        """APIs with stored exchanges that were not judged as the API stands (after a restart)."""


class Operations(Protocol):
    """An operation's number by API and key, created at first sight."""

    def key_of(self, number: int) -> str:
        """Such as "GET /users/{id}"."""

    def provisional(self, api: int, method: str, template: str, found: bool = True) -> int:
        """The operation a template stands for; beyond the bound, the API's overflow.

        Half of the room is for what the server says it has (`found`): who guesses at paths must not
        displace what is really there.
        """

    def specified(self, api: int, key: str, deprecated: bool, operation_id: str | None) -> int:
        """The operation that a specification names; a provisional one of the same key becomes it. Where
        several specifications name it, in whatever order, it is deprecated if one of them says so.
        """

    def unseen(self, api: int) -> int:
        """For exchanges whose request went by before anyone watched."""

    def demote(self, api: int) -> None:
        """All operations of an API are provisional again: its specifications are about to change."""

    def unsampled(self, api: int) -> Sequence[Unsampled]:
        """Provisional operations with counts but no stored exchange."""

    def move_counts(self, source: int, target: int) -> None:
        """All that was counted under one operation counts under another; the first is removed."""


class Consumers(Protocol):
    """Who calls, by kind and name."""

    def number(self, kind: ConsumerKind, name: str) -> int:
        """Created at first sight; beyond a bound those of a kind are one."""

    def drop_unused(self, numbers: Sequence[int]) -> int:
        """Removes those of these consumers that nothing refers to, still; how many."""


class CallTally(Protocol):
    """Counts of calls, latency and verdicts."""

    def add(self, one: Contribution, sign: int = 1) -> None:
        """Adds an exchange's part; `sign` -1 takes it back."""

    def flush(self) -> None:
        """Writes what was added since; a counter that came down to zero is removed."""


class CoverageTally(Protocol):
    """Counts of exercised parts of operations."""

    def add(self, one: Covered, sign: int = 1) -> None:
        """Adds an exchange's parts; `sign` -1 takes them back."""

    def flush(self) -> None:
        """Writes what was added since; a counter that came down to zero is removed."""

    def reset(self, api: int) -> None:
        """An API's specifications are about to change: what is stored of it will be counted anew."""


class DeviationTally(Protocol):
    """Deviations, stored once for each API and identity, with count, consumers and a sample: the newest
    exchange that shows it under the present specifications, by time and id.
    """

    def add(self, at: Occurrence, identity: DeviationIdentity, message: str) -> bool:
        """Counts it; False where it was left out: the API's bound is reached, or its number is another's."""

    def take_back(self, at: Occurrence, identity: DeviationIdentity) -> None: ...

    def flush(self) -> None:
        """Writes what was added since."""

    def purge(self, api: int, revision: int) -> None:
        """Removes what no exchange has shown since the API's specifications changed."""


class Samples(Protocol):
    """Whole exchanges and their views."""

    def numbers(self, count: int, now: int) -> Sequence[int]:
        """Numbers for so many records that arrive at `now` (ns): above all that were ever given."""

    def known(self, ids: Sequence[str]) -> Collection[str]:
        """Which of these record ids are stored already."""

    def load(self, number: int) -> ExchangeDraft | None:
        """A stored exchange; None where retention took it, or it cannot be read."""

    def keep(self, views: Iterable[StoredView]) -> None:
        """Inserts views, whether their exchanges are known yet or not."""

    def write(self, exchanges: Iterable[ExchangeDraft]) -> None:
        """Inserts new exchanges and rewrites changed ones."""

    def unjudged(self, api: int, revision: int, limit: int) -> Sequence[int]:
        """Numbers of an API's exchanges that were not judged under its present specifications."""

    def give_up(self, number: int, revision: int) -> None:
        """An exchange that cannot be read counts as judged."""


class HeldViews(Protocol):
    """Stored views that wait for their other half: no exchange is made of them yet. By number."""

    def add(self, numbers: Iterable[int]) -> None: ...
    def remove(self, numbers: Iterable[int]) -> None: ...

    def ids(self) -> Mapping[int, str]:
        """All, with their records' ids."""

    def record(self, number: int) -> tuple[Record, int] | None:
        """A stored view's record and its size, packed; None where it cannot be read."""


class LoneViews(Protocol):
    """Views that were settled alone, and whose other half may still come; of one view each, by number."""

    def add(self, views: Iterable[tuple[int, int, int]]) -> None:
        """Numbers, marks and times (ns) of the records."""

    def remove(self, number: int) -> None: ...

    def marks(self, marks: Sequence[int]) -> Collection[int]:
        """Which of these marks any of them has."""

    def near(self, time: int, mark: int) -> Sequence[View]:
        """Those of a mark around a time."""

    def expire(self, now: int, most: int) -> int:
        """Removes some that came a day ago, and of the rest those beyond so many; how many of these."""

    @property
    def has_room(self) -> bool:
        """Whether there are so few that those may be added whose other half is hardly to be expected."""


class WatchedAddresses(Protocol):
    """Addresses where an agent was seen to watch."""

    def see(self, address: str, now: int) -> None:
        """It is watched at `now` (ns)."""

    def has(self, address: str) -> bool:
        """Whether it may be watched: true of all once too many are."""

    def expire(self, now: int) -> None:
        """Removes those that were not seen for days."""


class Retention(Protocol):
    """What may stay, in pieces of work small enough for ingest to go on in between."""

    def used_bytes(self) -> int:
        """Bytes that hold something."""

    def drop_some(self, bounds: RetentionBounds, now: int, target: int) -> int:
        """Deletes some of the exchanges that came too long ago (to the hour), or of the first that came while
        more than `target` bytes are used; how many.
        """

    def fold_hours(self, bounds: RetentionBounds, now: int) -> None:
        """Counters of hours that are long past are added up by day, but of hours that still have samples."""

    def give_back(self) -> int:
        """Returns some free space to the file system; 0 once there is none left to return."""


class Positions(Protocol):
    """Which batches are in, so that none counts twice, and both ledgers."""

    def seen(self, batch: Batch) -> bool:
        """Whether this batch is stored already; else it is from now on."""

    def record(self, batch: Batch, now: int) -> None:
        """Keeps the agent's ledger (totals, so the newest replaces the older)."""

    def delivered(self, since: int) -> Sequence[tuple[str, str, int]]:
        """Agents and their starts that delivered at a time or later (ns), and when last; the latest last."""

    def count(self, buckets: Mapping[str, int]) -> None:
        """Adds to the server's own ledger."""


class Specs(Protocol):
    """Specifications as they were uploaded."""

    def stored(self) -> Sequence[StoredSpec]:
        """All, without their documents, oldest first."""

    def document(self, number: int) -> bytes: ...

    def find(self, id: str) -> StoredSpec | None: ...

    def add(
        self, api: int, upload: Upload, title: str, version: str, warnings: Sequence[str], now: int
    ) -> StoredSpec: ...

    def remove(self, specs: Iterable[StoredSpec]) -> None:
        """With what was proposed for them."""


class Decisions(Protocol):
    """What people decided of deviations."""

    def decide(self, api: int, identity: DeviationIdentity, decision: DeviationDecision) -> None:
        """Replaces what was decided before."""

    def undo(self, api: int, identity: DeviationIdentity) -> None:
        """The deviation is open again."""

    def ignored(self) -> Mapping[int, frozenset[DeviationIdentity]]:
        """What is ignored, by API."""


class Lessons(Protocol):
    """What was learnt of APIs, published, and decided of that."""

    def save(self, learned: Mapping[int, Learned], last: int) -> Mapping[int, int | Exception] | None:
        """Writes states and the watermark together. By API its new row, or why it could not be written; None,
        and nothing, where an API was merged meanwhile.
        """

    def publish(self, api: int, publication: Publication) -> None: ...

    def decide(self, api: int, decision: JsonObject, now: int) -> int:
        """The decision's number."""

    def withdraw(self, api: int, number: int) -> bool:
        """Whether there was such a decision."""


class Room(Protocol):
    """Whether the store takes writes: shown by writing."""

    def probe(self) -> None:
        """The smallest real write."""

    def take(self) -> None:
        """A write of a batch's size: what is small may still fit on a full disk."""

    def give(self) -> None:
        """Undoes `take`, once that was committed: together they would write nothing."""


class Unit(Protocol):
    """All of it."""

    def merge(self, merge: Merge) -> None:
        """Everything of one API becomes another's: its id leads there, no count is lost. Its samples are to
        be judged again. Tallies must be flushed before. Raises KeyCollision, and nothing is merged then.
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
    def alone(self) -> LoneViews: ...
    @property
    def watched(self) -> WatchedAddresses: ...
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
    def room(self) -> Room: ...
