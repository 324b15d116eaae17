"""The spool: parcels on disk, until the server has them. One SQLite file, bounded by bytes and age.

In it are also, in the same transactions, the address of the batch that is out and the ledger of each
epoch: the successor of a killed agent sends that batch as it was, the rest under an epoch of its own, and
at last the ledger of the one that ended. Whoever calls does the locking, the waiting and the logging.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from agent.ledger import Exchanges, Stops
from agent.ship.parcel import Address, LedgerMap, Parcel, compressed
from agent.ship.spool_file import (
    DAMAGED,
    SpoolBroken,
    SpoolError,
    SpoolHeld,
    opened,
    removed,
    set_aside,
    transaction,
    translated,
)
from agent.wire import VERSION, pack_head

FREE_PAGES = 1024  # given back to the file system when the spool is empty
MOST_EPOCHS = 1000  # whose last words wait; a crash every minute for more than half a day goes beyond
FAREWELL_GAP = 1000  # a power failure may have taken an epoch's last sequence numbers from us
MS = 1_000_000
SECOND = 1_000_000_000

Execute = Callable[..., sqlite3.Cursor]

__all__ = ["Place", "Spool", "SpoolBroken", "SpoolError"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the spool is and how much it may hold, in bytes on disk and seconds.

    `server` is where it is sent; what waits for another goes there only with `forward`, and with None all.
    """

    file: Path
    most_bytes: int
    most_age_s: int
    server: str | None = None
    forward: bool = False


@dataclass(frozen=True, slots=True)
class Epoch:
    """One start of an agent. `records` of it wait here; `at` is its ledger's wall time in ns."""

    agent: str
    next_seq: int
    ledger: LedgerMap
    at: int
    ended: bool
    records: int = 0

    def counted(self, counts: Mapping[str, int]) -> Epoch:
        """With these exchanges gone from here into its ledger."""
        exchanges = Counter(self.ledger.get("exchanges", {}))
        exchanges.update(counts)
        gone = sum(counts.values())
        return replace(self, ledger={**self.ledger, "exchanges": exchanges}, records=self.records - gone)

    def cut_off(self, now: int) -> Epoch:
        """As its successor has it once that watches: killed, and nothing is known since its last entry."""
        if self.ended:
            return self
        blind = max(0, now - self.at) // MS
        return replace(
            self, ended=True, ledger={**self.ledger, "stops": {Stops.KILLED: 1, Stops.BLIND_MS: blind}}
        )

    def moved(self) -> Epoch:
        """As another server is to hear of it: only what it gets."""
        stops = {part: counts for part, counts in self.ledger.items() if part == "stops"}
        return replace(self, ledger={**stops, "exchanges": {Exchanges.PARSED: self.records}})


class Spool:
    """The spool as one start of an agent uses it. Raises SpoolError here and where it reads or writes.

    What is settled goes from the disk with the next write, so that a batch costs one write to be sent.
    A crash before that means sending the batch again, under the address it had.
    """

    def __init__(self, place: Place, agent: str, epoch: str, now: int) -> None:
        self._place, self._epoch = place, epoch
        self._settled = 0  # all records before this place are
        self._in_hand_until = 0  # and those before this one are being sent
        self._in_hand: Counter[str] = Counter()  # how many, by epoch
        self._bound = place.server is None  # whether the disk knows whom this is for
        self._changed: set[str] = set()  # epochs that the disk does not know as they are
        self._gone: set[str] = set()
        self._epochs: dict[str, Epoch] = {}
        self._next = 1  # the next record's place
        self._out: tuple[Address, int, int] | None = None  # what was being sent at the last end, and where
        self._whole_until = 0  # records before this place could not be split on disk
        self.set_aside: Path | None = None  # where a file went that was no spool
        try:
            self._open(agent, now)
        except SpoolBroken:
            self.set_aside = set_aside(place.file)
            self._open(agent, now)

    @property
    def records(self) -> int:
        """Records not settled yet."""
        return sum(epoch.records for epoch in self._epochs.values())

    @property
    def waiting(self) -> int:
        """Records that were not taken yet."""
        return self.records - sum(self._in_hand.values())

    @property
    def own_waiting(self) -> int:
        """Those of this start of the agent."""
        return self._epochs[self._epoch].records - self._in_hand[self._epoch]

    @property
    def has_past(self) -> bool:
        """Whether something of earlier starts is still to be sent."""
        return len(self._epochs) > 1

    @property
    def has_more(self) -> bool:
        """Whether there is something to take."""
        return self.waiting > 0 or next(self._last_words(), None) is not None

    @property
    def size(self) -> int:
        """Bytes in use in the file."""
        with translated():
            used = self._used()
        return used

    def put(self, records: Sequence[bytes], ledger: LedgerMap, now: int) -> Counter[str]:
        """Keeps records; answers how many of this start's were dropped for them, by bucket.

        `ledger` is the agent's; all that it counts as parsed is in here, these included, or counted.
        """
        mine = self._epochs[self._epoch]
        mine = replace(mine, ledger=ledger, at=now, records=mine.records + len(records))
        frame, size = compressed(records) if records else b"", sum(map(len, records))
        row = (self._next, self._epoch, VERSION, len(records), size, now, frame)
        try:
            dropped = self._insert(row, mine)
        except SpoolError:
            if self.records:
                raise
            self._begin_anew()
            dropped = self._insert(row, mine)
        if not self.records:
            self._give_back()
        return dropped

    def _insert(self, row: tuple[int, str, int, int, int, int, bytes], mine: Epoch) -> Counter[str]:
        epochs = {**self._epochs, self._epoch: mine}
        _, _, _, records, _, now, _ = row
        with self._transaction() as execute:
            if records:
                execute("INSERT INTO parcels VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            dropped = self._trim(execute, now)
            for name, counts in dropped.items():
                epochs[name] = epochs[name].counted(counts)
            for name in {self._epoch, *dropped}:
                _write(execute, name, epochs[name])
        self._next += records
        self._epochs = epochs
        return dropped.get(self._epoch, Counter())

    def _begin_anew(self) -> None:
        """With an empty file: on a full disk one of which nothing is needed could not even be emptied."""
        self.close()
        removed(self._place.file)
        self._db = opened(self._place.file)
        self._changed, self._bound = set(self._epochs), self._place.server is None

    def take(self, most_records: int, most_bytes: int) -> Parcel | None:
        """The oldest parcel, which stays here until it is settled; before others the batch that was out
        when an earlier start ended, and the ledger of one of which nothing is left."""
        with translated():
            parcel = self._resent() or self._farewell() or self._merged(most_records, most_bytes)
        if parcel is None and self.waiting:
            raise SpoolBroken(DAMAGED)
        if parcel is not None and parcel.first is not None:
            self._in_hand_until = parcel.first + parcel.records
            self._in_hand[parcel.epoch] += parcel.records
        return parcel

    def note(self, parcel: Parcel, address: Address) -> None:
        """Writes down under which address a parcel is about to be sent."""
        assert parcel.first is not None
        until = parcel.first + parcel.records
        mine = replace(self._epochs[self._epoch], next_seq=address.seq + 1)
        row = (address.agent, address.epoch, address.seq, address.head, parcel.first, until)
        self._epochs[self._epoch] = mine
        with self._transaction() as execute:
            execute("DELETE FROM sent")
            execute("INSERT INTO sent VALUES (?, ?, ?, ?, ?, ?)", row)
            _write(execute, self._epoch, mine)

    def split(self, parcel: Parcel, halves: Sequence[Parcel]) -> None:
        """Replaces what is in hand by its halves, so that a successor does not try the whole again; where
        that cannot be written, it does."""
        assert parcel.first is not None
        until = parcel.first + parcel.records
        if parcel.first < self._whole_until:
            return
        try:
            with self._transaction() as execute:
                execute("DELETE FROM sent")
                execute("DELETE FROM parcels WHERE number >= ? AND number < ?", (parcel.first, until))
                for one in halves:
                    row = (one.first, one.epoch, one.version, one.records, one.size, one.at, one.frames)
                    execute("INSERT INTO parcels VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        except SpoolError:
            self._whole_until = until

    def settle(self, parcel: Parcel, bucket: Exchanges) -> None:
        """Counts a parcel for good: it is never taken again."""
        if parcel.first is None:
            self._forget(parcel.epoch)
            return
        self._settled = parcel.first + parcel.records
        self._in_hand[parcel.epoch] -= parcel.records
        self._epochs[parcel.epoch] = self._epochs[parcel.epoch].counted({bucket: parcel.records})
        self._changed.add(parcel.epoch)

    def watched(self, now: int) -> None:
        """Since `now` there is an eye on things again: of starts that were killed the blind time is known,
        and their last words can be said."""
        for name in self._unended_past():
            self._epochs[name] = self._epochs[name].cut_off(now)
            self._changed.add(name)

    def end(self, ledger: LedgerMap, now: int, told: bool) -> None:
        """The last entry of this start of the agent; `told` if the server has that ledger already."""
        mine = replace(self._epochs[self._epoch], ledger=ledger, at=now, ended=True)
        self._epochs[self._epoch] = mine
        self._changed.add(self._epoch)
        if told and not mine.records:
            self._forget(self._epoch)
        with self._transaction():
            pass

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._db.close()

    def give_up(self) -> None:
        """Moves the file aside: of what it holds nothing more is to be sent."""
        self.close()
        with suppress(SpoolError):
            set_aside(self._place.file)

    def _open(self, agent: str, now: int) -> None:
        self._db = opened(self._place.file)
        try:
            self._load(agent, now)
            if self._place.server is not None:
                self._bind(self._place.server, now)
        except SpoolError:
            self.close()
            raise
        except (ValueError, TypeError):
            self.close()
            raise SpoolBroken(DAMAGED) from None

    def _load(self, agent: str, now: int) -> None:
        with translated():
            execute = self._db.execute
            waiting = dict(execute("SELECT epoch, sum(records) FROM parcels GROUP BY epoch"))
            rows = execute("SELECT epoch, agent, next_seq, ledger, at, ended FROM epochs ORDER BY at")
            found = {
                name: Epoch(of, seq, json.loads(ledger), at, bool(ended), waiting.pop(name, 0))
                for name, of, seq, ledger, at, ended in rows
            }
            if waiting or self._epoch in found:  # parcels of no start, or of this one: we gave it up before
                raise SpoolBroken(DAMAGED)
            (beyond,) = execute("SELECT coalesce(max(number + records), 1) FROM parcels").fetchone()
            out = execute("SELECT agent, epoch, seq, head, first, beyond FROM sent").fetchone()
        said_all = [name for name, epoch in found.items() if not epoch.records]
        self._gone = set(said_all[:-MOST_EPOCHS])
        self._epochs = {name: epoch for name, epoch in found.items() if name not in self._gone}
        self._changed = set(self._epochs)
        self._epochs[self._epoch] = Epoch(agent, 1, {}, now, False)
        self._next = beyond
        self._out = None if out is None else (Address(*out[:4]), out[4], out[5])
        self._in_hand_until = 0 if out is None else out[5]

    def _bind(self, server: str, now: int) -> None:
        """From now on this is that server's spool. Raises SpoolHeld where it holds what another was to get
        and is neither to be forwarded nor too old."""
        with translated():
            before = self._db.execute("SELECT server FROM destination").fetchone()
            records, newest = self._db.execute("SELECT sum(records), max(at) FROM parcels").fetchone()
        if before == (server,):
            return
        if before is not None:
            of_age = records and newest >= now - self._place.most_age_s * SECOND
            if of_age and not self._place.forward:
                raise SpoolHeld(
                    f"it holds {records:,} records for {before[0]}: start the agent with that --server, or "
                    "with --forward-spool to send them to this one"
                )
            self._move()
        with self._transaction() as execute:
            for name, counts in self._trim(execute, now).items():
                self._epochs[name] = self._epochs[name].counted(counts)
                _write(execute, name, self._epochs[name])

    def _move(self) -> None:
        """What was out, and the last words of those of whom nothing is left, were for another server."""
        self._out, self._in_hand_until = None, 0
        self._gone.update(self._empty_past())
        left = {name: epoch for name, epoch in self._epochs.items() if name not in self._gone}
        self._epochs = {name: one if name == self._epoch else one.moved() for name, one in left.items()}
        self._changed &= self._epochs.keys()

    def _resent(self) -> Parcel | None:
        """The batch that was out when an earlier start ended, unless its answer had come."""
        if self._out is None:
            return None
        address, first, beyond = self._out
        self._out = None
        rows = self._db.execute(f"{ROWS} AND number < ? ORDER BY number", (first, beyond)).fetchall()
        if sum(row[3] for row in rows) != beyond - first:
            self._in_hand_until = 0
            return None
        return replace(_parcel(rows, self._epochs), address=address)

    def _farewell(self) -> Parcel | None:
        """The last word of an earlier start: its ledger, now that all its records are accounted for."""
        name = next(self._last_words(), None)
        if name is None:
            return None
        epoch = self._epochs[name]
        seq = epoch.next_seq + FAREWELL_GAP
        head = pack_head(epoch.agent, name, seq, epoch.ledger, 0, VERSION)
        return Parcel(epoch.agent, name, VERSION, 0, 0, b"", address=Address(epoch.agent, name, seq, head))

    def _empty_past(self) -> Iterator[str]:
        return (name for name, epoch in self._epochs.items() if name != self._epoch and not epoch.records)

    def _last_words(self) -> Iterator[str]:
        """Of which earlier starts the ledger can be sent: nothing more comes to be known of them."""
        return (name for name in self._empty_past() if self._epochs[name].ended)

    def _unended_past(self) -> list[str]:
        return [name for name, epoch in self._epochs.items() if name != self._epoch and not epoch.ended]

    def _merged(self, most_records: int, most_bytes: int) -> Parcel | None:
        """As many of the oldest rows as make a batch: of one epoch and version, at least one row. Places
        between them must not be missing (dropped for their age): a parcel covers all from its first on."""
        rows: list[Row] = []
        records = size = 0
        found = self._db.execute(f"{ROWS} ORDER BY number", (self._settled,))
        for row in found:
            records, size = records + row[3], size + row[4]
            if rows and (
                row[:3] != (rows[-1][0] + rows[-1][3], *rows[0][1:3])
                or records > most_records
                or size > most_bytes
            ):
                break
            rows.append(row)
        found.close()
        return _parcel(rows, self._epochs) if rows else None

    def _trim(self, execute: Execute, now: int) -> dict[str, Counter[str]]:
        """Drops the oldest that are too old or too many, but not what is being sent; what, by epoch."""
        oldest = now - self._place.most_age_s * SECOND
        dropped: dict[str, Counter[str]] = {}
        since = max(self._settled, self._in_hand_until)
        while row := execute(
            "SELECT number, epoch, records, at FROM parcels WHERE number >= ? ORDER BY number LIMIT 1",
            (since,),
        ).fetchone():
            number, epoch, records, at = row
            if at < oldest:
                bucket = Exchanges.SPOOL_EXPIRED
            elif self._used() > self._place.most_bytes:
                bucket = Exchanges.SPOOL_FULL
            else:
                break
            execute("DELETE FROM parcels WHERE number = ?", (number,))
            dropped.setdefault(epoch, Counter())[bucket] += records
        return dropped

    def _used(self) -> int:
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _give_back(self) -> None:
        with suppress(sqlite3.Error):
            (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
            if free > FREE_PAGES:
                self._db.executescript("PRAGMA incremental_vacuum")  # `execute` would free one page

    def _forget(self, epoch: str) -> None:
        self._epochs.pop(epoch, None)
        self._changed.discard(epoch)
        self._gone.add(epoch)

    @contextmanager
    def _transaction(self) -> Iterator[Execute]:
        """One transaction, with all that was settled since the last."""
        with transaction(self._db) as execute:
            execute("DELETE FROM parcels WHERE number < ?1 AND number + records <= ?1", (self._settled,))
            execute("DELETE FROM sent WHERE beyond <= ?", (self._settled,))
            if not self._bound:
                execute("DELETE FROM destination")
                execute("INSERT INTO destination VALUES (?)", (self._place.server,))
            for name in self._changed:
                _write(execute, name, self._epochs[name])
            for name in self._gone:
                execute("DELETE FROM epochs WHERE epoch = ?", (name,))
            yield execute
        self._bound = True
        self._changed.clear()
        self._gone.clear()


ROWS = "SELECT number, epoch, version, records, size, at, frame FROM parcels WHERE number >= ?"
Row = tuple[int, str, int, int, int, int, bytes]


def _parcel(rows: Sequence[Row], epochs: Mapping[str, Epoch]) -> Parcel:
    first, epoch, version = rows[0][:3]
    return Parcel(
        agent=epochs[epoch].agent,
        epoch=epoch,
        version=version,
        records=sum(row[3] for row in rows),
        size=sum(row[4] for row in rows),
        frames=b"".join(row[6] for row in rows),
        first=first,
        at=rows[0][5],
    )


def _write(execute: Execute, name: str, epoch: Epoch) -> None:
    ledger = json.dumps(epoch.ledger)
    row = (name, epoch.agent, epoch.next_seq, ledger, epoch.at, epoch.ended)
    execute("REPLACE INTO epochs VALUES (?, ?, ?, ?, ?, ?)", row)
