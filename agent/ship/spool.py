"""The spool: records on disk, until the server has them. One SQLite file, bounded by bytes and age.

Records lie in places, in the order in which they came. Where a record is says what it is: before
`_settled` it is settled, before `_in_hand_until` in hand, behind that it waits.

state       event                         next
----------  ----------------------------  --------------------------------------------------------------
(new)       put                           waiting
waiting     take                          in hand
waiting     too old, or no room           dropped, counted in its epoch's ledger
in hand     record_address                in hand and out: the disk knows under which address
in hand     split                         in hand as two halves, neither out
in hand     settle                        settled, counted in its epoch's ledger
settled     the next transaction          gone from the disk
waiting     the process ends              waiting, for the next start
in hand     the process ends              waiting
out         the process ends              taken first by the next start, under the same address
settled     the process ends before that  as before it was settled: sent again, and known to the server
any of them the file loses it             counted as unreadable by the next start, which has the receipt

What becomes of an agent's start, whose records these are, stands in agent/ship/epochs.py. Each transaction
writes records and ledgers together. Whoever calls does the locking, the waiting and the logging.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from agent.ledger import Exchanges
from agent.ship import spool_tables as tables
from agent.ship.disk import Disk
from agent.ship.epochs import MS, Epoch, Epochs
from agent.ship.parcel import BatchAddress, LedgerMap, Parcel, compressed
from agent.ship.spool_config import SpoolConfig
from agent.ship.spool_file import DAMAGED, SpoolBroken, SpoolError, set_aside, translated
from agent.ship.spool_start import bind, epochs_in, trim
from agent.wire import VERSION, pack_head

FAREWELL_GAP = 1000  # a power failure may have taken an epoch's last sequence numbers from us


class Spool:
    """The spool as one start of an agent uses it. Raises SpoolError here and where it reads or writes.

    `set_aside` is where damaged data went: a copy of the journal, or the file, if the spool has `begun_anew`.
    `lost` records are counted as unreadable for it.
    """

    def __init__(self, config: SpoolConfig, agent: str, epoch: str, now: int) -> None:
        self._config, self._epoch = config, epoch
        self._settled = 0
        self._in_hand: Counter[str] = Counter()  # records, by epoch
        self._stopped: int | None = None  # when the last start that captured ended in order, as the file says
        self._captures = self._cleared = False  # this start; and whether the file forgot the end before it
        self._whole_until = 0  # records before this place could not be split on disk
        self.set_aside: Path | None = None
        try:
            self._disk, self._epochs, self.lost = self._open(agent, now)
        except SpoolBroken:
            self.set_aside = set_aside(config.file)
            self._disk, self._epochs, self.lost = self._open(agent, now)
        self.begun_anew = self.set_aside is not None
        self.set_aside = self.set_aside or self._disk.kept
        self._resend = self._disk.sent  # what was out at the last end
        self._in_hand_until = 0 if self._resend is None else self._resend[2]

    @property
    def records(self) -> int:
        """Records not settled yet."""
        return self._epochs.records

    @property
    def waiting(self) -> int:
        """Records that were not taken yet."""
        return self.records - sum(self._in_hand.values())

    @property
    def own_waiting(self) -> int:
        """Those of this start of the agent."""
        return self._epochs.own.records - self._in_hand[self._epoch]

    @property
    def has_past(self) -> bool:
        """Whether something of earlier starts is still to be sent."""
        return self._epochs.has_past

    @property
    def has_more(self) -> bool:
        """Whether there is something to take."""
        return self.waiting > 0 or next(self._epochs.last_words(), None) is not None

    @property
    def size(self) -> int:
        """Bytes in use in the file."""
        return self._disk.size

    def put(self, records: Sequence[bytes], ledger: LedgerMap, now: int) -> Counter[str]:
        """Keeps records; answers how many of this start's were dropped for them, by bucket.

        `ledger` is the agent's; all that it counts as parsed is in here, these included, or counted.
        """
        mine = self._epochs.own
        mine = replace(mine, ledger=ledger, at=now, records=mine.records + len(records))
        frame, size = compressed(records) if records else b"", sum(map(len, records))
        row = (self._next, self._epoch, VERSION, len(records), size, now, frame)
        try:
            dropped = self._insert(row, mine)
        except SpoolError:
            if self.records:
                raise
            self._disk.begin_anew(self._epochs)  # a full disk: the file could not even be emptied
            dropped = self._insert(row, mine)
        if not self.records:
            self._disk.give_back()
        return dropped

    def take(self, most_records: int, most_bytes: int) -> Parcel | None:
        """The oldest parcel, which stays here until it is settled; before others the batch that was out
        when an earlier start ended, and the ledger of one of which nothing is left."""
        with translated():
            parcel = self._resent() or self._farewell() or self._oldest(most_records, most_bytes)
        if parcel is None and self.waiting:
            raise SpoolBroken(DAMAGED)
        if parcel is not None and parcel.first is not None:
            self._in_hand_until = parcel.first + parcel.records
            self._in_hand[parcel.epoch] += parcel.records
        return parcel

    def record_address(self, parcel: Parcel, address: BatchAddress) -> None:
        """Writes down under which address a parcel is about to be sent."""
        assert parcel.first is not None
        sent = (address, parcel.first, parcel.first + parcel.records)
        self._epochs.change(self._epoch, replace(self._epochs.own, next_seq=address.seq + 1))
        with self._disk.transaction(self._epochs, self._settled) as writing:
            writing.sent = sent

    def split(self, parcel: Parcel, halves: Sequence[Parcel]) -> None:
        """Replaces what is in hand by its halves, so that a successor does not try the whole again; where
        that cannot be written, it does."""
        assert parcel.first is not None
        until = parcel.first + parcel.records
        if parcel.first < self._whole_until:
            return
        try:
            with self._disk.transaction(self._epochs, self._settled) as writing:
                tables.replace_rows(writing.execute, parcel.first, until, halves)
                writing.sent = None
        except SpoolError:
            self._whole_until = until

    def settle(self, parcel: Parcel, bucket: Exchanges) -> None:
        """Counts a parcel for good: it is never taken again. It goes from the disk with the next
        transaction, so that a batch costs one to be sent."""
        if parcel.first is None:
            self._epochs.forget(parcel.epoch)
            return
        self._settled = parcel.first + parcel.records
        self._in_hand[parcel.epoch] -= parcel.records
        self._epochs.change(parcel.epoch, self._epochs[parcel.epoch].counted({bucket: parcel.records}))

    def watched(self, now: int) -> int:
        """Since `now` someone captures again: of starts that were killed the blind time is known, and their
        last words can be said. Answers how many ms passed since the last clean end before this start, 0
        where that is not known.
        """
        self._epochs.watched(now)
        self._captures = True
        stopped, self._stopped = self._stopped, None
        return 0 if stopped is None else max(0, now - stopped) // MS

    def end(self, ledger: LedgerMap, now: int, told: bool) -> None:
        """The last entry of this start of the agent; `told` if the server has that ledger already."""
        mine = replace(self._epochs.own, ledger=ledger, at=now, ended=True)
        self._epochs.change(self._epoch, mine)
        if told and not mine.records:
            self._epochs.forget(self._epoch)
        with self._disk.transaction(self._epochs, self._settled) as writing:
            tables.set_stopped(writing.execute, now if self._captures else self._stopped)

    def close(self) -> None:
        self._disk.close()

    def give_up(self) -> None:
        """Moves the file aside: of what it holds nothing more is to be sent."""
        self._disk.give_up()

    def _open(self, agent: str, now: int) -> tuple[Disk, Epochs, int]:
        disk = Disk(self._config.file, self._config.server)
        try:
            epochs, lost = epochs_in(disk, self._epoch, Epoch(agent, 1, {}, now, False))
            if self._config.server is not None:
                bind(disk, self._config, epochs, now)
            with translated():
                self._next = tables.beyond(disk.execute)  # the next record's place
                self._stopped = epochs.latest_end(tables.stopped(disk.execute))
        except SpoolError:
            disk.close()
            raise
        except (ValueError, TypeError):
            disk.close()
            raise SpoolBroken(DAMAGED) from None
        return disk, epochs, lost

    def _insert(self, row: tables.Row, mine: Epoch) -> Counter[str]:
        _, _, _, records, _, now, _ = row
        with self._disk.transaction(self._epochs, self._settled) as writing:
            writing.epochs[self._epoch] = mine
            if records:
                tables.add(writing.execute, row)
            if self._captures and not self._cleared:
                tables.set_stopped(writing.execute, None)
            trim(writing, self._config, self._epochs, max(self._settled, self._in_hand_until), now)
        self._cleared = self._captures
        self._next += records
        return _exchanges(self._epochs.own.ledger) - _exchanges(mine.ledger)

    def _resent(self) -> Parcel | None:
        """The batch that was out when an earlier start ended, unless its answer had come."""
        if self._resend is None:
            return None
        address, first, until = self._resend
        self._resend = None
        rows = tables.between(self._disk.execute, first, until)
        if not rows or sum(row[3] for row in rows) != until - first:
            self._in_hand_until = 0
            return None
        return replace(self._parcel(rows), address=address)

    def _farewell(self) -> Parcel | None:
        """The last word of an earlier start: its ledger, now that all its records are accounted for."""
        name = next(self._epochs.last_words(), None)
        if name is None:
            return None
        epoch = self._epochs[name]
        seq = epoch.next_seq + FAREWELL_GAP
        head = pack_head(epoch.agent, name, seq, epoch.ledger, 0, VERSION)
        return Parcel(
            epoch.agent, name, VERSION, 0, 0, b"", address=BatchAddress(epoch.agent, name, seq, head)
        )

    def _oldest(self, most_records: int, most_bytes: int) -> Parcel | None:
        rows = tables.batch(self._disk.execute, self._settled, most_records, most_bytes)
        return self._parcel(rows) if rows else None

    def _parcel(self, rows: Sequence[tables.Row]) -> Parcel:
        name = rows[0][1]
        if name not in self._epochs:
            raise SpoolBroken(DAMAGED)  # all of it is settled, by the file
        return tables.parcel_of(rows, self._epochs[name].agent)


def _exchanges(ledger: LedgerMap) -> Counter[str]:
    return Counter(ledger.get("exchanges", {}))
