"""What waits to be sent: for a moment in memory, then on disk, and again in memory where the disk fails.

`put` only appends. One thread writes what was put to the spool, in groups; another (the shipper's) takes
parcels, oldest first, and settles each. Every record that is given up is counted here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from agent.ledger import Exchanges, Ledger
from agent.ship.limits import Limits
from agent.ship.parcel import Address, LedgerMap, Parcel, compressed, halves_of
from agent.ship.queue import MemoryBacklog
from agent.ship.spool import Place, Spool, SpoolBroken, SpoolError
from agent.wire import VERSION

log = logging.getLogger(__name__)

LedgerView = Callable[[], LedgerMap]


class Backlog:
    """`place` is None where nothing is to be kept on disk. `change` guards counts and what is in memory;
    it is notified when there may be something to do. Where both locks are held, the disk's came first.
    """

    def __init__(
        self,
        agent: str,
        epoch: str,
        ledger_view: LedgerView,
        limits: Limits,
        place: Place | None,
        change: threading.Condition,
    ) -> None:
        self.ledger = Ledger()
        self._agent, self._epoch, self._ledger_view = agent, epoch, ledger_view
        self._limits, self._place, self._change = limits, place, change
        self._fresh = MemoryBacklog(limits.queue_bytes)
        self._oldest_at = 0.0  # when the first of them was put
        self._moving = 0  # records on their way from memory to disk
        self._sending = 0  # records taken from memory and not settled
        self._to_disk = place is not None  # False where it is off, and while it fails
        self._kept_at = time.monotonic()
        self._trouble: str | None = None
        self._closing = self._abandoned = False
        self._kept = place is None  # nothing will be written any more
        self._disk = threading.Lock()  # guards the spool; held while it reads or writes
        self._spool: Spool | None = None
        self._taken_from: Spool | None = None  # whence the parcel in hand is; None for memory
        self._on_disk = self._disk_bytes = 0
        self._watching_since: int | None = None  # wall time in ns
        self._due_at: float | None = None  # when there is enough on disk to be sent
        self._keeper = threading.Thread(target=self._keep_on, name="spool", daemon=True)

    def start(self) -> None:
        if self._place is not None:
            self._keeper.start()

    def watching(self, since: int) -> None:
        """This start watches from then on (wall time in ns): the blind time of those killed ends."""
        with self._disk:
            self._watching_since = since
            if self._spool is not None:
                self._spool.watched(since)
                with self._change:
                    self._survey()

    def put(self, packed: bytes) -> None:
        """Takes a packed record, without waiting for disk or network. The oldest goes when it is full."""
        with self._change:
            self._count(Exchanges.PARSED, 1)
            if self._abandoned:
                self._count(Exchanges.UNSENT_AT_EXIT, 1)
                return
            if not self._fresh.records:
                self._oldest_at = time.monotonic()
            self._count(Exchanges.QUEUE_FULL, self._fresh.put(packed))
            if self._fresh.records == 1 or self._fills_a_batch():
                self._change.notify_all()

    @property
    def records(self) -> int:
        """Records not settled, wherever they are."""
        return self._fresh.records + self._moving + self._sending + self._on_disk

    def totals(self) -> dict[str, dict[str, int]]:
        """What became of what was put; call it with `change` held."""
        ledger = self.ledger.as_map()
        if self.records:
            ledger["exchanges"][Exchanges.IN_FLIGHT] = self.records
        return ledger

    @property
    def size(self) -> int:
        """Bytes that wait: in memory those of the records, on disk those in use in the file."""
        return self._fresh.size + self._disk_bytes

    def due_at(self) -> float | None:
        """When there will be something to take, if nothing else happens; call it with `change` held."""
        due = self._due_at
        if self._fresh.records and not self._to_disk:
            memory_due = 0.0 if self._fills_a_batch() else self._oldest_at + self._limits.flush_s
            due = memory_due if due is None else min(due, memory_due)
        return 0.0 if due is not None and self._closing else due

    def is_empty(self) -> bool:
        """Whether, closing, nothing is left or will come to be taken; call it with `change` held."""
        return self._kept and not self._fresh.records and self._due_at is None

    def take(self) -> Parcel | None:
        """The oldest parcel. It is to be settled before another is taken."""
        with self._disk:
            parcel = self._take_from_disk()
        if parcel is not None:
            return parcel
        with self._change:
            if self._to_disk:
                return None
            records = self._fresh.take(self._limits.batch_records, self._limits.batch_bytes)
            self._oldest_at = time.monotonic()
            self._sending += len(records)
            self._taken_from = None
        if not records:
            return None
        size, frame = sum(map(len, records)), compressed(records)
        return Parcel(self._agent, self._epoch, VERSION, len(records), size, frame)

    def note(self, parcel: Parcel, address: Address) -> None:
        """A parcel is about to be sent under this address, for the first time."""
        with self._disk:
            spool = self._source()
            if spool is not None and parcel.first is not None:
                try:
                    spool.note(parcel, address)
                except SpoolError as error:
                    self._failed(error)  # at worst a successor sends it under another address

    def split(self, parcel: Parcel) -> tuple[Parcel, Parcel]:
        """Two halves, each to be settled in turn. Raises Unreadable."""
        halves = halves_of(parcel)
        with self._disk:
            spool = self._source()
            if spool is not None:
                spool.split(parcel, halves)
        return halves

    def settle(self, parcel: Parcel, bucket: Exchanges) -> None:
        """Counts what was taken, for good."""
        with self._disk, self._change:
            if self._abandoned or not (parcel.records or parcel.epoch != self._epoch):
                return  # counted by close(), or our own ledger
            if parcel.epoch == self._epoch:
                self._count(bucket, parcel.records)
            spool = self._source()
            if spool is not None:
                spool.settle(parcel, bucket)
                self._survey()
            elif self._taken_from is None:
                self._sending -= parcel.records

    def finish(self) -> None:
        """No more will be put: what is in memory is written to disk at once."""
        with self._change:
            self._closing = True
            self._change.notify_all()

    def close(self, until: float, told: bool) -> tuple[int, int]:
        """Gives up: how many records are lost by that, and how many wait on disk for the next start.

        `until` is a time.monotonic(), `told` whether the server has the ledger as it is now.
        """
        if self._keeper.ident is not None:
            self._keeper.join(max(0.0, until - time.monotonic()))
        reached = self._disk.acquire(timeout=max(1.0, until - time.monotonic()))
        try:
            with self._change:
                if self._abandoned:
                    return 0, 0
                self._abandoned = True
                lost = self._fresh.records + self._moving + self._sending
                self._fresh = MemoryBacklog(0)
                self._moving = self._sending = 0
                self._count(Exchanges.UNSENT_AT_EXIT, lost)
                ledger = self._last_word()
                self._change.notify_all()
            if reached and self._spool is not None:
                with suppress(SpoolError):
                    self._spool.end(ledger, time.time_ns(), told and not lost)
                self._spool.close()
                self._spool = None
            return lost, self._on_disk
        finally:
            if reached:
                self._disk.release()

    def _keep_on(self) -> None:
        try:
            with self._disk:
                self._open()
            while self._keep_once_due():
                pass
        finally:  # whatever comes now, or is left by a defect, goes from memory
            with self._change:
                self._kept, self._to_disk = True, False
                self._change.notify_all()

    def _keep_once_due(self) -> bool:
        """Waits, then writes; whether there will be more to write."""
        with self._change:
            while not self._closing and (seconds := self._until_keeping()) > 0:
                self._change.wait(seconds)
            last = self._closing
        self._keep()
        return not last

    def _until_keeping(self) -> float:
        """Seconds until something is to be written: records, the ledger, or one more attempt."""
        now = time.monotonic()
        if not self._to_disk:
            return self._kept_at + self._limits.keep_again_s - now
        due = self._kept_at + self._limits.heartbeat_s
        if self._fresh.records:
            due = 0.0 if self._fills_a_batch() else min(due, self._oldest_at + self._limits.keep_s)
        return due - now

    def _keep(self) -> None:
        """Writes what is in memory, and the ledger."""
        more = True
        while more:
            with self._disk:
                self._kept_at = time.monotonic()
                if self._spool is None:
                    self._open()
                more = self._spool is not None and self._keep_some(self._spool)

    def _keep_some(self, spool: Spool) -> bool:
        """Writes up to a batch; whether there is more."""
        with self._change:
            if self._abandoned:
                return False
            records = self._fresh.take(self._limits.batch_records, self._limits.batch_bytes)
            self._moving = len(records)
            more = self._fresh.records > 0
            ledger = self._checkpoint()
        try:
            dropped = spool.put(records, ledger, time.time_ns())
        except Exception as error:
            with self._change:
                self._moving = 0
                self._count(Exchanges.QUEUE_FULL, self._fresh.put_back(records))
            if not isinstance(error, SpoolError):
                raise
            self._failed(error)
            return False
        with self._change:
            self._moving = 0
            for bucket, count in dropped.items():
                self._count(bucket, count)
            self._works()
            self._survey()
        return more

    def _checkpoint(self) -> LedgerMap:
        """The ledger as a successor should find it: what is in memory only would not have been."""
        ledger = self._last_word()
        counts = ledger["exchanges"]
        counts[Exchanges.PARSED] = counts.get(Exchanges.PARSED, 0) - self._fresh.records - self._sending
        return ledger

    def _last_word(self) -> dict[str, dict[str, int]]:
        """The ledger for the spool, which knows itself what it holds."""
        ledger = {part: dict(counts) for part, counts in self._ledger_view().items()}
        ledger.setdefault("exchanges", {}).pop(Exchanges.IN_FLIGHT, None)
        return ledger

    def _take_from_disk(self) -> Parcel | None:
        spool = self._spool
        if spool is None:
            return None
        with self._change:
            self._due_at = None
        try:
            parcel = spool.take(self._limits.batch_records, self._limits.batch_bytes)
        except SpoolError as error:
            self._failed(error)
            return None
        if parcel is not None:
            self._taken_from = spool
        with self._change:
            self._survey()
        return parcel

    def _source(self) -> Spool | None:
        """The spool that the parcel in hand is from, if it is still in use."""
        return self._taken_from if self._taken_from is self._spool else None

    def _survey(self) -> None:
        """Notes what the spool holds; both locks are held."""
        assert self._spool is not None
        self._on_disk = self._spool.records
        self._disk_bytes = self._spool.size if self._on_disk else 0
        if not self._spool.has_more:
            self._due_at = None
        elif self._spool.has_past or self._spool.waiting >= self._limits.batch_records:
            self._due_at = 0.0
        elif self._due_at is None:
            self._due_at = time.monotonic() + self._limits.flush_s
        self._change.notify_all()

    def _open(self) -> None:
        """Opens the spool if that is possible now; the disk's lock is held."""
        assert self._place is not None
        if self._abandoned:
            return
        try:
            spool = Spool(self._place, self._agent, self._epoch, time.time_ns())
        except SpoolError as error:
            self._failed(error)
            return
        self._spool = spool
        if self._watching_since is not None:
            spool.watched(self._watching_since)
        if spool.set_aside is not None:
            log.warning(
                "the spool %s was damaged and begins anew; what was there is lost and kept as %s",
                self._place.file,
                spool.set_aside.name,
            )
        if spool.records:
            log.info("%d records of earlier starts wait in %s to be sent", spool.records, self._place.file)
        with self._change:
            self._survey()

    def _failed(self, error: SpoolError) -> None:
        """Goes on in memory, and says so once. Of a spool that is broken nothing more can be sent."""
        assert self._place is not None
        with self._change:
            self._to_disk = False
            if isinstance(error, SpoolBroken) and self._spool is not None:
                self._count(Exchanges.SPOOL_UNREADABLE, self._spool.own_waiting)
                self._spool.give_up()
                self._spool, self._due_at = None, None
                self._on_disk = self._disk_bytes = 0
            self._change.notify_all()
        if self._trouble != str(error):
            self._trouble = str(error)
            log.warning(
                "the spool %s cannot be used (%s): up to %d MiB of records are kept in memory until it can",
                self._place.file,
                error,
                self._limits.queue_bytes >> 20,
            )

    def _works(self) -> None:
        self._to_disk = True
        if self._trouble is not None:
            self._trouble = None
            log.info("the spool works again")

    def _fills_a_batch(self) -> bool:
        most = self._limits
        return self._fresh.records >= most.batch_records or self._fresh.size >= most.batch_bytes

    def _count(self, bucket: str, records: int) -> None:
        if records:
            self.ledger.exchanges[bucket] += records
