"""The spool: records on disk until the server has acknowledged them. One SQLite file, bounded by bytes and
age.

Records have places, in order of arrival. A record's place is its state: before `_settled` it is settled,
before `_in_hand_until` in hand, after that waiting.

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

agent/ship/epochs.py has the states of an agent's start. Each transaction writes records and ledgers together.
Callers do the locking, waiting and logging.
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
from agent.ship.spool_file import DAMAGED, SpoolBroken, SpoolError, move_aside, translated
from agent.ship.spool_start import bind, epochs_in, trim
from agent.wire import VERSION, Capture, CaptureScope, pack_head

FINAL_LEDGER_GAP = 1000  # added to sequence numbers: a power failure may have lost the last ones


class Spool:
    """The spool for one start of an agent. Creating it, reading and writing raise SpoolError.

    `damaged_copy` is the path of damaged data: a copy of the journal or, if the spool has `started_over`, the
    file. `lost` records were counted as unreadable; if `uncounted`, damaged data held records whose number is
    not known.
    """

    def __init__(self, config: SpoolConfig, agent: str, epoch: str, now: int) -> None:
        self._config, self._epoch = config, epoch
        self._settled = 0
        self._in_hand: Counter[str] = Counter()  # records, by epoch
        self._stopped: int | None = None  # when the last start that captured ended in order, as the file says
        self._captures = self._cleared = False  # this start; and whether the file forgot the end before it
        self._whole_until = 0  # parcels before this place could not be split on disk
        self.damaged_copy: Path | None = None
        try:
            self._disk, self._epochs, self.lost = self._open(agent, now)
        except SpoolBroken:
            self.damaged_copy = move_aside(config.file)
            self._disk, self._epochs, self.lost = self._open(agent, now)
        self.started_over = self.damaged_copy is not None
        self.damaged_copy = self.damaged_copy or self._disk.journal_copy
        self.uncounted = self._disk.uncounted or (self.started_over and not self._disk.has_receipt)
        self._interrupted = self._disk.sent  # the batch being sent when the last start ended
        self._in_hand_until = 0 if self._interrupted is None else self._interrupted[2]

    @property
    def records(self) -> int:
        """Number of unsettled records."""
        return self._epochs.records

    @property
    def waiting(self) -> int:
        """Number of waiting records."""
        return self.records - sum(self._in_hand.values())

    @property
    def own_waiting(self) -> int:
        """Number of waiting records of this start."""
        return self._epochs.own.records - self._in_hand[self._epoch]

    @property
    def has_earlier_starts(self) -> bool:
        """Whether records or final ledgers of earlier starts are unsent."""
        return self._epochs.has_earlier_starts

    @property
    def has_more(self) -> bool:
        """Whether there is a parcel to take."""
        return self.waiting > 0 or next(self._epochs.final_ledgers(), None) is not None

    @property
    def oldest_at(self) -> int | None:
        """When the oldest unsettled record was written (wall clock in ns); None if there is none, or if the
        file cannot be read, which is found when the record is taken.
        """
        if not self.records:
            return None
        try:
            with translated():
                found = tables.oldest(self._disk.execute, self._settled)
        except SpoolError:
            return None
        return None if found is None else found[3]

    @property
    def size(self) -> int:
        """Bytes in use in the file."""
        return self._disk.size

    def put(self, records: Sequence[bytes], ledger: LedgerMap, now: int) -> Counter[str]:
        """Writes records; returns how many of this start's were dropped for room or age, by bucket.

        `ledger` is the agent's: it counts these records as parsed.
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
            self._disk.start_over(self._epochs)  # the disk is full: not even deleting succeeded
            dropped = self._insert(row, mine)
        if not self.records:
            self._disk.release_free_pages()
        return dropped

    def take(self, most_records: int, most_bytes: int) -> Parcel | None:
        """The oldest parcel, which stays in the spool until it is settled. First come the batch being sent
        when an earlier start ended, and ledgers of starts without remaining records.
        """
        with translated():
            parcel = (
                self._interrupted_parcel() or self._final_ledger() or self._oldest(most_records, most_bytes)
            )
        if parcel is None and self.waiting:
            raise SpoolBroken(DAMAGED)
        if parcel is not None and parcel.first is not None:
            self._in_hand_until = parcel.first + parcel.records
            self._in_hand[parcel.epoch] += parcel.records
        return parcel

    def record_address(self, parcel: Parcel, address: BatchAddress) -> None:
        """Records the address under which a parcel is about to be sent."""
        assert parcel.first is not None
        sent = (address, parcel.first, parcel.first + parcel.records)
        self._epochs.change(self._epoch, replace(self._epochs.own, next_seq=address.seq + 1))
        with self._disk.transaction(self._epochs, self._settled) as writing:
            writing.sent = sent

    def split(self, parcel: Parcel, halves: Sequence[Parcel]) -> None:
        """Replaces the parcel in hand by its halves, so that the next start does not send the whole again; if
        that cannot be written, it does.
        """
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
        """Counts a parcel's final outcome: it is not taken again. The next transaction deletes it, so that a
        batch costs only one.
        """
        if parcel.first is None:
            self._epochs.remove(parcel.epoch)
            return
        self._settled = parcel.first + parcel.records
        self._in_hand[parcel.epoch] -= parcel.records
        self._epochs.change(parcel.epoch, self._epochs[parcel.epoch].with_counts({bucket: parcel.records}))

    def end_blind_time(self, now: int) -> int:
        """Ends the blind time of killed starts at `now`, when capture works again; their final ledgers can
        then be sent. Returns the ms since the last clean end before this start; 0 if that is not known.
        """
        self._epochs.end_blind_time(now)
        self._captures = True
        stopped, self._stopped = self._stopped, None
        return 0 if stopped is None else max(0, now - stopped) // MS

    def end(self, ledger: LedgerMap, now: int, ledger_sent: bool) -> None:
        """Writes this start's last entry; `ledger_sent` if the server already has that ledger."""
        mine = replace(self._epochs.own, ledger=ledger, at=now, ended=True)
        self._epochs.change(self._epoch, mine)
        if ledger_sent and not mine.records:
            self._epochs.remove(self._epoch)
        with self._disk.transaction(self._epochs, self._settled) as writing:
            tables.set_stopped(writing.execute, now if self._captures else self._stopped)

    def close(self) -> None:
        self._disk.close()

    def abandon_file(self) -> None:
        """Moves the file aside; its records will not be sent."""
        self._disk.abandon_file()

    def _open(self, agent: str, now: int) -> tuple[Disk, Epochs, int]:
        disk = Disk(self._config.file, self._config.server)
        try:
            epochs, lost = epochs_in(disk, self._epoch, Epoch(agent, 1, {}, now, False))
            if self._config.server is not None:
                bind(disk, self._config, epochs, now)
            with translated():
                self._next = tables.next_place(disk.execute)  # the next record's place
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
            since = max(self._settled, self._in_hand_until)
            room, most = tables.bytes_of(row), self._config.most_bytes
            has_room = trim(writing, self._config, self._epochs, since, now, room if room <= most else 0)
            if records and has_room and room <= most:
                tables.add(writing.execute, row)
            elif records:
                mine = writing.epochs[self._epoch]
                writing.epochs[self._epoch] = mine.with_counts({Exchanges.SPOOL_FULL: records})
            if self._captures and not self._cleared:
                tables.set_stopped(writing.execute, None)
        self._cleared = self._captures
        self._next += records
        return _exchanges(self._epochs.own.ledger) - _exchanges(mine.ledger)

    def _interrupted_parcel(self) -> Parcel | None:
        """The batch being sent when an earlier start ended, unless it was answered."""
        if self._interrupted is None:
            return None
        address, first, until = self._interrupted
        self._interrupted = None
        rows = tables.between(self._disk.execute, first, until)
        if not rows or sum(row[3] for row in rows) != until - first:
            self._in_hand_until = 0
            return None
        return replace(self._parcel(rows), address=address)

    def _final_ledger(self) -> Parcel | None:
        """A parcel with the final ledger of an earlier start whose records are all settled."""
        name = next(self._epochs.final_ledgers(), None)
        if name is None:
            return None
        epoch = self._epochs[name]
        seq = epoch.next_seq + FINAL_LEDGER_GAP
        nothing = Capture(CaptureScope.NOTHING)  # that start is over
        head = pack_head(epoch.agent, name, seq, epoch.ledger, 0, VERSION, nothing)
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
