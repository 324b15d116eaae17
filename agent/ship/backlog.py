"""What waits to be sent: for a moment in memory, then on disk, and again in memory where the disk fails.

`put` only appends. One thread writes what was put to the spool, in groups; another (the shipper's) takes
parcels, oldest first, and settles each. Every record that is given up is counted here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from agent.health import Beat
from agent.ledger import Exchanges, Ledger, merged
from agent.ship.limits import Limits
from agent.ship.parcel import Address, LedgerMap, Parcel, compressed, halves_of
from agent.ship.queue import MemoryBacklog
from agent.ship.spool import Place, Spool, SpoolBroken, SpoolError
from agent.wire import VERSION

log = logging.getLogger(__name__)

LedgerView = Callable[[], LedgerMap]


@dataclass(frozen=True, slots=True)
class _Holding:
    """The spool at one moment: records not settled, bytes in use, and the seconds until something of it is
    to be sent; None where nothing is."""

    records: int
    size: int
    within_s: float | None


class Backlog:
    """`place` is None where nothing is to be kept on disk. `others` answers what the rest of the agent
    counted. `change` guards counts and what is in memory; it is notified when there may be something to do.

    Two locks, in the order in which they are taken: the disk's, then `change`. Under the first nothing but
    the spool is called, under `change` nothing that waits or is not ours; `others` and the log are called
    while neither is held.
    """

    def __init__(
        self,
        agent: str,
        epoch: str,
        others: LedgerView,
        limits: Limits,
        place: Place | None,
        change: threading.Condition,
    ) -> None:
        self.ledger = Ledger()
        self.beat = Beat("spool")
        self._agent, self._epoch, self._others = agent, epoch, others
        self._limits, self._place, self._change = limits, place, change
        self._fresh = MemoryBacklog(limits.queue_bytes)
        self._oldest_at = 0.0  # when the first of them was put
        self._moving = 0  # records on their way from memory to disk
        self._sending = 0  # records taken from memory and not settled
        self._to_disk = place is not None  # False where it is off, and while it fails
        self._kept_at = time.monotonic()
        self._trouble: str | None = None
        self._news: deque[tuple[int, str, tuple[object, ...]]] = deque()  # to be logged once no lock is held
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
        with self._using_disk():
            self._watching_since = since
            if self._spool is not None:
                self._spool.watched(since)
                holding = self._holding(self._spool)
                with self._change:
                    self._now_holds(holding)

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

    @property
    def in_memory(self) -> int:
        """Those of them that are not on disk; waits for no lock, so that one on its way may count twice."""
        return self._fresh.records + self._moving + self._sending

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
        with self._using_disk():
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
        with self._using_disk():
            spool = self._source()
            if spool is not None and parcel.first is not None:
                try:
                    spool.note(parcel, address)
                except SpoolError as error:
                    self._failed(error)  # at worst a successor sends it under another address

    def split(self, parcel: Parcel) -> tuple[Parcel, Parcel]:
        """Two halves, each to be settled in turn. Raises Unreadable."""
        halves = halves_of(parcel)
        with self._using_disk():
            spool = self._source()
            if spool is not None:
                spool.split(parcel, halves)
        return halves

    def settle(self, parcel: Parcel, bucket: Exchanges) -> None:
        """Counts what was taken, for good."""
        if not parcel.records and parcel.epoch == self._epoch:
            return  # our own ledger
        with self._using_disk():
            spool, holding = self._source(), None
            if spool is not None:
                spool.settle(parcel, bucket)
                holding = self._holding(spool)
            with self._change:
                if self._abandoned:
                    return  # counted by close()
                if parcel.epoch == self._epoch:
                    self._count(bucket, parcel.records)
                if holding is not None:
                    self._now_holds(holding)
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
        others = self._others()
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
                ledger = merged(others, self.ledger.as_map())
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
            with self._using_disk():
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
            self.beat.turn()
            while not self._closing and (seconds := self._until_keeping()) > 0:
                self._change.wait(seconds)
                self.beat.turn()
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
            self.beat.turn()
            others = self._others()
            with self._using_disk():
                self._kept_at = time.monotonic()
                if self._spool is None:
                    self._open()
                more = self._spool is not None and self._keep_some(self._spool, others)

    def _keep_some(self, spool: Spool, others: LedgerMap) -> bool:
        """Writes up to a batch; whether there is more."""
        with self._change:
            if self._abandoned:
                return False
            records = self._fresh.take(self._limits.batch_records, self._limits.batch_bytes)
            self._moving = len(records)
            more = self._fresh.records > 0
            ledger = merged(others, self._checkpoint())
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
        holding = self._holding(spool)
        with self._change:
            self._moving = 0
            for bucket, count in dropped.items():
                self._count(bucket, count)
            self._to_disk = True
            self._now_holds(holding)
        self._works()
        return more

    def _checkpoint(self) -> LedgerMap:
        """Our counts as a successor should find them: what is in memory only would not have been."""
        ledger = self.ledger.as_map()
        counts = ledger["exchanges"]
        counts[Exchanges.PARSED] = counts.get(Exchanges.PARSED, 0) - self._fresh.records - self._sending
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
        holding = self._holding(spool)
        with self._change:
            self._now_holds(holding)
        return parcel

    def _source(self) -> Spool | None:
        """The spool that the parcel in hand is from, if it is still in use."""
        return self._taken_from if self._taken_from is self._spool else None

    def _holding(self, spool: Spool) -> _Holding:
        """What the spool holds; the disk's lock is held, `change` is not."""
        records = spool.records
        within_s = None
        if spool.has_more:
            at_once = spool.has_past or spool.waiting >= self._limits.batch_records
            within_s = 0.0 if at_once else self._limits.flush_s
        return _Holding(records, spool.size if records else 0, within_s)

    def _now_holds(self, holding: _Holding) -> None:
        """Notes what the spool holds; `change` is held."""
        self._on_disk, self._disk_bytes = holding.records, holding.size
        if not holding.within_s:
            self._due_at = holding.within_s
        elif self._due_at is None:
            self._due_at = time.monotonic() + holding.within_s
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
            self._say(
                logging.WARNING,
                "the spool %s was damaged and begins anew; what was there is lost and kept as %s",
                self._place.file,
                spool.set_aside.name,
            )
        if spool.records:
            text = "%d records of earlier starts wait in %s to be sent"
            self._say(logging.INFO, text, spool.records, self._place.file)
        holding = self._holding(spool)
        with self._change:
            self._now_holds(holding)

    def _failed(self, error: SpoolError) -> None:
        """Goes on in memory, and says so once. Of a spool that is broken nothing more can be sent."""
        assert self._place is not None
        unreadable = None
        if isinstance(error, SpoolBroken) and self._spool is not None:
            unreadable = self._spool.own_waiting
            self._spool.give_up()
            self._spool = None
        with self._change:
            self._to_disk = False
            if unreadable is not None:
                self._count(Exchanges.SPOOL_UNREADABLE, unreadable)
                self._due_at = None
                self._on_disk = self._disk_bytes = 0
            self._change.notify_all()
        if self._trouble != str(error):
            self._trouble = str(error)
            self._say(
                logging.WARNING,
                "the spool %s cannot be used (%s): up to %d MiB of records are kept in memory until it can",
                self._place.file,
                error,
                self._limits.queue_bytes >> 20,
            )

    def _works(self) -> None:
        if self._trouble is not None:
            self._trouble = None
            self._say(logging.INFO, "the spool works again")

    def _say(self, level: int, text: str, *values: object) -> None:
        """For the log, which may wait for whoever reads it."""
        self._news.append((level, text, values))

    @contextmanager
    def _using_disk(self) -> Iterator[None]:
        """With the disk's lock; what there is to say is logged behind it."""
        try:
            with self._disk:
                yield
        finally:
            while self._news:
                level, text, values = self._news.popleft()
                log.log(level, text, *values)

    def _fills_a_batch(self) -> bool:
        most = self._limits
        return self._fresh.records >= most.batch_records or self._fresh.size >= most.batch_bytes

    def _count(self, bucket: str, records: int) -> None:
        if records:
            self.ledger.exchanges[bucket] += records
