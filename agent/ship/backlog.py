"""The backlog: all unsent records, counted here wherever they are, held here while in memory.

`put` only appends. With a spool, the disk keeper (agent/ship/disk_keeper.py) writes records to disk in
groups, and they are sent from there; without one, and while it fails, they are sent from here. Every dropped
record is counted here.

state      event                          next
---------  -----------------------------  ------------------------------------------------------------
(new)      put                            in memory; the oldest is dropped where there is no room
in memory  take_for_disk (by the keeper)  moving
moving     written                        on disk
moving     put_back (the disk fails)   in memory
in memory  take (the disk fails, or off)  being sent
on disk    settled there                  counted: shipped, refused, unreadable; dropped for room or age
being sent settle                         counted: shipped, refused
any but on disk, abandon                  counted: unsent at exit
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from agent.ledger import Exchanges, Ledger, Stops
from agent.ship.limits import ShipLimits
from agent.ship.memory import MemoryBacklog
from agent.ship.parcel import BatchAddress, LedgerMap, Parcel, compressed, halves_of
from agent.wire import VERSION


@dataclass(frozen=True, slots=True)
class DiskState:
    """The spool at one moment: unsettled records, bytes in use, the seconds until some are due to be
    sent, and when the oldest was written (time.monotonic()); None if there are none.
    """

    records: int = 0
    size: int = 0
    within_s: float | None = None
    oldest_at: float | None = None


class Backlog:
    """`with_disk` says whether records go to disk first.

    `change` is the lock of this object; it is notified when there may be something to do. The disk keeper's
    lock is taken before it if both are needed. While `change` is held, nothing is called that waits, logs or
    is foreign.
    """

    def __init__(self, agent: str, epoch: str, limits: ShipLimits, with_disk: bool) -> None:
        self.change = threading.Condition(threading.Lock())
        self._agent, self._epoch, self._limits = agent, epoch, limits
        self._ledger = Ledger()
        self._fresh = MemoryBacklog(limits.queue_bytes)
        self._moving = 0  # records on their way from memory to disk
        self._moving_at: float | None = None  # when the oldest of them was put
        self._sending = 0  # records taken from memory, unsettled
        self._sending_at: float | None = None  # when the oldest of them was put
        self._disk_state = DiskState()
        self._disk_due_at: float | None = None  # when enough is on disk to be sent
        self._to_disk = self._keeper_runs = with_disk  # the first is False while the disk fails
        self.closing = self.abandoned = False

    def put(self, packed: bytes) -> None:
        """Adds a packed record, without waiting for disk or network. The oldest is dropped when it
        is full.
        """
        with self.change:
            self._count(Exchanges.PARSED, 1)
            if self.abandoned:
                self._count(Exchanges.UNSENT_AT_EXIT, 1)
                return
            self._count(Exchanges.QUEUE_FULL, self._fresh.put(packed, time.monotonic()))
            if self._fresh.records == 1 or self._fills_a_batch():
                self.change.notify_all()

    @property
    def records(self) -> int:
        """Number of unsettled records, in memory and on disk."""
        return self.in_memory + self._disk_state.records

    @property
    def in_memory(self) -> int:
        """Unsettled records that are only in memory. Takes no lock, so a moving record may count twice."""
        return self._fresh.records + self._moving + self._sending

    @property
    def on_disk(self) -> int:
        """Unsettled records that the next start finds on disk."""
        return self._disk_state.records

    @property
    def size(self) -> int:
        """Bytes that wait: of the records in memory, and in use in the spool's file."""
        return self._fresh.size + self._disk_state.size

    def waited_s(self) -> float:
        """How long the oldest unsettled record has waited, in seconds; 0 if there is none. Call it with
        `change` held.
        """
        times = (
            self._fresh.oldest_at,
            self._moving_at if self._moving else None,
            self._sending_at if self._sending else None,
            self._disk_state.oldest_at,
        )
        oldest = min((at for at in times if at is not None), default=None)
        return 0.0 if oldest is None else max(0.0, time.monotonic() - oldest)

    def totals(self) -> dict[str, dict[str, int]]:
        """The outcomes of all records put; call it with `change` held."""
        ledger = self._ledger.as_map()
        if self.records:
            ledger["exchanges"][Exchanges.IN_FLIGHT] = self.records
        return ledger

    def due_at(self) -> float | None:
        """When a parcel is due, if nothing else happens; call it with `change` held."""
        due = self._disk_due_at
        oldest_at = self._fresh.oldest_at
        if oldest_at is not None and not self._to_disk:
            memory_due = 0.0 if self._fills_a_batch() else oldest_at + self._limits.flush_s
            due = memory_due if due is None else min(due, memory_due)
        return 0.0 if due is not None and self.closing else due

    def is_empty(self) -> bool:
        """Whether, when closing, nothing is left to take and nothing will come; call it with
        `change` held.
        """
        return not self._keeper_runs and not self._fresh.records and self._disk_due_at is None

    def take(self) -> Parcel | None:
        """The oldest parcel in memory, if the disk does not take it."""
        with self.change:
            if self._to_disk:
                return None
            if not self._sending:
                self._sending_at = self._fresh.oldest_at
            records = self._fresh.take(self._limits.batch_records, self._limits.batch_bytes)
            self._sending += len(records)
        if not records:
            return None
        size, frame = sum(map(len, records)), compressed(records)
        return Parcel(self._agent, self._epoch, VERSION, len(records), size, frame)

    def record_address(self, parcel: Parcel, address: BatchAddress) -> None:
        """No-op: the address of a parcel in memory needs no record on disk."""

    def split(self, parcel: Parcel) -> tuple[Parcel, Parcel]:
        """Splits into two halves, each to be settled in turn. Raises UnreadableParcel."""
        return halves_of(parcel)

    def settle(self, parcel: Parcel, bucket: Exchanges) -> None:
        """Counts the outcome of a parcel taken from here; it is final."""
        with self.change:
            if self.abandoned:
                return  # counted by close()
            self._count(bucket, parcel.records)
            self._sending -= parcel.records

    def finish(self) -> None:
        """Ends the input: what is in memory is written to disk at once."""
        with self.change:
            self.closing = True
            self.change.notify_all()

    def abandon(self) -> tuple[int, LedgerMap]:
        """Drops what is in memory: returns how many records, and the ledger that counts them; 0 the second
        time.
        """
        with self.change:
            lost = 0 if self.abandoned else self.in_memory
            self.abandoned = True
            self._fresh = MemoryBacklog(0)
            self._moving = self._sending = 0
            self._count(Exchanges.UNSENT_AT_EXIT, lost)
            self.change.notify_all()
            return lost, self._ledger.as_map()

    # For the disk keeper. It calls these with or without its own lock; `change` is not held.

    def until_write_due(self, written_at: float) -> float:
        """Seconds until the next write is due: of records, the ledger, or another attempt; the last write was
        at `written_at`. 0 when closing. Call it with `change` held.
        """
        now = time.monotonic()
        if self.closing:
            return 0.0
        if not self._to_disk:
            return written_at + self._limits.keep_again_s - now
        due = written_at + self._limits.heartbeat_s
        oldest_at = self._fresh.oldest_at
        if oldest_at is not None:
            due = 0.0 if self._fills_a_batch() else min(due, oldest_at + self._limits.keep_s)
        return due - now

    def take_for_disk(self) -> tuple[list[bytes], bool, LedgerMap]:
        """Up to a batch of records to write, whether there are more, and the ledger for the next start, in
        which records only in memory are left out.
        """
        with self.change:
            self._moving_at = self._fresh.oldest_at
            records = self._fresh.take(self._limits.batch_records, self._limits.batch_bytes)
            self._moving = len(records)
            ledger = self._ledger.as_map()
            counts = ledger["exchanges"]
            counts[Exchanges.PARSED] = counts.get(Exchanges.PARSED, 0) - self._fresh.records - self._sending
            return records, self._fresh.records > 0, ledger

    def add_blind_time(self, milliseconds: int) -> None:
        """Records how long nothing was captured before this start."""
        with self.change:
            self._ledger.stops[Stops.BLIND_MS] += milliseconds

    def count_damage(self) -> None:
        """Records that the spool was damaged, and held an unknown number of records."""
        with self.change:
            self._ledger.stops[Stops.SPOOL_DAMAGED] += 1

    def mark_written(self, dropped: Mapping[str, int], state: DiskState) -> None:
        """The records are on disk; these were dropped to make room."""
        with self.change:
            if self.abandoned:
                return  # counted by close()
            self._moving = 0
            for bucket, count in dropped.items():
                self._count(bucket, count)
            self._to_disk = True
            self._set_disk_state(state)

    def put_back(self, records: list[bytes]) -> None:
        """The records could not be written."""
        with self.change:
            if self.abandoned:
                return  # counted by close()
            self._moving = 0
            at = time.monotonic() if self._moving_at is None else self._moving_at
            self._count(Exchanges.QUEUE_FULL, self._fresh.put_back(records, at))

    def update_disk_state(self, state: DiskState) -> None:
        """Updates what the disk holds."""
        with self.change:
            self._set_disk_state(state)

    def mark_taken(self) -> None:
        """Notes that the disk's due parcel is being read."""
        with self.change:
            self._disk_due_at = None

    def count_settled(self, records: int, bucket: Exchanges, state: DiskState | None) -> None:
        """Counts final outcomes of this start's records on disk, and updates what the disk holds."""
        with self.change:
            if self.abandoned:
                return  # counted by close()
            self._count(bucket, records)
            if state is not None:
                self._set_disk_state(state)

    def switch_to_memory(self, unreadable: int | None) -> None:
        """Sends from memory from now on. With a number: that many of this start's records on disk are lost,
        and the disk holds nothing.
        """
        with self.change:
            self._to_disk = False
            if unreadable is not None:
                self._count(Exchanges.SPOOL_UNREADABLE, unreadable)
                self._set_disk_state(DiskState())
            self.change.notify_all()

    def end_disk(self) -> None:
        """Nothing will be written any more: further records, or ones left by a defect, are sent
        from memory.
        """
        with self.change:
            self._keeper_runs = self._to_disk = False
            self.change.notify_all()

    def _set_disk_state(self, state: DiskState) -> None:
        self._disk_state = state
        if not state.within_s:
            self._disk_due_at = state.within_s
        elif self._disk_due_at is None:
            self._disk_due_at = time.monotonic() + state.within_s
        self.change.notify_all()

    def _fills_a_batch(self) -> bool:
        most = self._limits
        return self._fresh.records >= most.batch_records or self._fresh.size >= most.batch_bytes

    def _count(self, bucket: str, records: int) -> None:
        if records:
            self._ledger.exchanges[bucket] += records
