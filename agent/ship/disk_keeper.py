"""Keeps the backlog on disk: one thread writes records to the spool in groups, the shipper's thread takes
them.

state    event                                next
-------  -----------------------------------  ----------------------------------------------------------
closed   the first attempt, or a later one    open, or failing
open     a write or a read fails              failing; the spool stays open, and what it holds can be sent
open     the file is broken                   failing and closed: what it holds is given up
failing  an attempt succeeds                  open
any      close                                ended

While it fails, the backlog's records are sent from memory.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from agent.health import Beat
from agent.ledger import Exchanges, merged
from agent.ship.backlog import Backlog, DiskState
from agent.ship.limits import ShipLimits
from agent.ship.parcel import BatchAddress, LedgerMap, Parcel, halves_of
from agent.ship.spool import Spool
from agent.ship.spool_config import SpoolConfig
from agent.ship.spool_file import SpoolBroken, SpoolError

log = logging.getLogger(__name__)

LedgerView = Callable[[], LedgerMap]


class DiskKeeper:
    """`others` returns the counts of the rest of the agent.

    Two locks, taken in this order: this object's, which guards the spool and is held while that reads or
    writes; then the backlog's `change`. While it is held, only the spool and the backlog are called: `others`
    and the log are called while neither is held.
    """

    def __init__(
        self,
        config: SpoolConfig,
        agent: str,
        epoch: str,
        others: LedgerView,
        limits: ShipLimits,
        backlog: Backlog,
    ) -> None:
        self.beat = Beat("spool")
        self._config, self._agent, self._epoch = config, agent, epoch
        self._others, self._limits, self._backlog = others, limits, backlog
        self._lock = threading.Lock()
        self._spool: Spool | None = None
        self._taken_from: Spool | None = None  # the spool of the parcel in hand
        self._capturing_since: int | None = None  # wall time in ns
        self._knows_capture: Spool | None = None  # the spool that has ended the blind time
        self._written_at = time.monotonic()
        self._trouble: str | None = None
        # Lines to be logged once no lock is held.
        self._log_lines: deque[tuple[int, str, tuple[object, ...]]] = deque()
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def capture_started(self, since: int) -> None:
        """Capture works since then (wall clock in ns): the next write, due at once, ends the blind time of
        killed starts. It does not wait: a disk that hangs keeps no agent from capturing.
        """
        with self._backlog.change:
            self._capturing_since, self._written_at = since, float("-inf")
            self._backlog.change.notify_all()

    def take(self) -> Parcel | None:
        """The oldest parcel on disk. It must be settled before another is taken."""
        with self._locked():
            spool = self._spool
            if spool is None:
                return None
            self._backlog.mark_taken()
            try:
                parcel = spool.take(self._limits.batch_records, self._limits.batch_bytes)
            except SpoolError as error:
                self._failed(error)
                return None
            if parcel is not None:
                self._taken_from = spool
            self._backlog.update_disk_state(self._disk_state(spool))
            return parcel

    def record_address(self, parcel: Parcel, address: BatchAddress) -> None:
        """Records on disk that a parcel is about to be sent under this address, for the first time."""
        with self._locked():
            spool = self._source()
            if spool is not None and parcel.first is not None:
                try:
                    spool.record_address(parcel, address)
                except SpoolError as error:
                    self._failed(error)  # at worst the next start sends it under another address

    def split(self, parcel: Parcel) -> tuple[Parcel, Parcel]:
        """Splits into two halves, each to be settled in turn. Raises UnreadableParcel."""
        halves = halves_of(parcel)
        with self._locked():
            spool = self._source()
            if spool is not None:
                spool.split(parcel, halves)
        return halves

    def settle(self, parcel: Parcel, bucket: Exchanges) -> None:
        """Counts the final outcome of a parcel: in the backlog, or in the ledger of an earlier
        start on disk.
        """
        with self._locked():
            spool, state = self._source(), None
            if spool is not None:
                spool.settle(parcel, bucket)
                state = self._disk_state(spool)
            ours = parcel.records if parcel.epoch == self._epoch else 0
            self._backlog.count_settled(ours, bucket, state)

    def close(self, until: float, ledger_sent: bool) -> tuple[int, int]:
        """Stops: returns how many records are lost by that, and how many wait on disk for the next start.

        `until` is a time.monotonic(), `ledger_sent` whether the server has the current ledger.
        """
        if self._thread.ident is not None:
            self._thread.join(max(0.0, until - time.monotonic()))
        others = self._others()
        reached = self._lock.acquire(timeout=max(1.0, until - time.monotonic()))
        try:
            lost, ours = self._backlog.abandon()
            if reached and self._spool is not None:
                with suppress(SpoolError):
                    self._spool.end(merged(others, ours), time.time_ns(), ledger_sent and not lost)
                self._spool.close()
                self._spool = None
            return lost, self._backlog.on_disk
        finally:
            if reached:
                self._lock.release()

    def _run(self) -> None:
        try:
            with self._locked():
                self._open()
            while self._write_once_due():
                pass
        finally:
            self._backlog.end_disk()

    def _write_once_due(self) -> bool:
        """Waits, then writes. Returns whether there will be more to write."""
        with self._backlog.change:
            self.beat.turn()
            while (seconds := self._backlog.until_write_due(self._written_at)) > 0:
                self._backlog.change.wait(seconds)
                self.beat.turn()
            last = self._backlog.closing
        self._write()
        return not last

    def _write(self) -> None:
        """Writes the records in memory, and the ledger."""
        more = True
        while more:
            self.beat.turn()
            others = self._others()
            with self._locked():
                self._written_at = time.monotonic()
                if self._spool is None:
                    self._open()
                if self._spool is not None:
                    self._end_blind_time(self._spool)
                more = self._spool is not None and self._write_batch(self._spool, others)

    def _write_batch(self, spool: Spool, others: LedgerMap) -> bool:
        """Writes up to a batch. Returns whether there is more."""
        if self._backlog.abandoned:
            return False
        records, more, ours = self._backlog.take_for_disk()
        try:
            dropped = spool.put(records, merged(others, ours), time.time_ns())
        except Exception as error:
            self._backlog.put_back(records)
            if not isinstance(error, SpoolError):
                raise
            self._failed(error)
            return False
        self._backlog.mark_written(dropped, self._disk_state(spool))
        if self._trouble is not None:
            self._trouble = None
            self._queue_log(logging.INFO, "the spool works again")
        return more

    def _source(self) -> Spool | None:
        """The spool of the parcel in hand, if it is still in use."""
        return self._taken_from if self._taken_from is self._spool else None

    def _disk_state(self, spool: Spool) -> DiskState:
        within_s = None
        if spool.has_more:
            at_once = spool.has_earlier_starts or spool.waiting >= self._limits.batch_records
            within_s = 0.0 if at_once else self._limits.flush_s
        return DiskState(
            spool.records, spool.size if spool.records else 0, within_s, _monotonic(spool.oldest_at)
        )

    def _open(self) -> None:
        """Tries to open the spool."""
        if self._backlog.abandoned:
            return
        try:
            spool = Spool(self._config, self._agent, self._epoch, time.time_ns())
        except SpoolError as error:
            self._failed(error)
            return
        self._spool = spool
        self._end_blind_time(spool)
        self._log_findings(spool)
        self._backlog.update_disk_state(self._disk_state(spool))

    def _end_blind_time(self, spool: Spool) -> None:
        if self._capturing_since is None or self._knows_capture is spool:
            return
        self._knows_capture = spool
        blind_ms = spool.end_blind_time(self._capturing_since)
        if blind_ms:
            self._backlog.add_blind_time(blind_ms)
            text = "nothing was captured for %.1f s, since the agent was stopped"
            self._queue_log(logging.INFO, text, blind_ms / 1000)

    def _log_findings(self, spool: Spool) -> None:
        file = self._config.file
        if spool.lost:
            text = "the spool %s has lost %d records, counted as spool_unreadable"
            self._queue_log(logging.WARNING, text, file, spool.lost)
        if spool.uncounted:
            self._backlog.count_damage()
            text = "the spool %s was damaged and has no receipt: the number of lost records is unknown"
            if not spool.started_over:  # which says it, too
                self._queue_log(logging.WARNING, text, file)
        if spool.damaged_copy is not None:
            text = "the journal of the spool %s was damaged; a copy is kept as %s"
            if spool.started_over:
                text = "the spool %s was damaged: its records are lost, and the file is kept as %s"
            self._queue_log(logging.WARNING, text, file, spool.damaged_copy.name)
        if spool.records:
            text = "%d records of earlier starts wait in %s to be sent"
            self._queue_log(logging.INFO, text, spool.records, file)

    def _failed(self, error: SpoolError) -> None:
        """Continues in memory, and logs that once. Nothing more can be sent from a broken spool."""
        unreadable = None
        if isinstance(error, SpoolBroken) and self._spool is not None:
            unreadable = self._spool.own_waiting
            self._spool.abandon_file()
            self._spool = None
        self._backlog.switch_to_memory(unreadable)
        if self._trouble != str(error):
            self._trouble = str(error)
            text = "the spool %s cannot be used (%s): up to %d MiB of records are kept in memory until it can"
            self._queue_log(logging.WARNING, text, self._config.file, error, self._limits.queue_bytes >> 20)

    def _queue_log(self, level: int, text: str, *values: object) -> None:
        """Queues a log line; writing the log may block."""
        self._log_lines.append((level, text, values))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Holds the lock; queued lines are logged after its release."""
        try:
            with self._lock:
                yield
        finally:
            while self._log_lines:
                level, text, values = self._log_lines.popleft()
                log.log(level, text, *values)


def _monotonic(wall_ns: int | None) -> float | None:
    """A time of the wall clock as one of time.monotonic(), but not in the future."""
    if wall_ns is None:
        return None
    return time.monotonic() - max(0, time.time_ns() - wall_ns) / 1e9
