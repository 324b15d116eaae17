"""The agent's only output: posts batches of packed records until the server has acknowledged them.

The pipeline offers records and never waits. One thread posts; a batch keeps its address and bytes over
retries and restarts, so the server can drop duplicates. Every dropped record is counted.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable

from agent.health import Beat
from agent.ledger import Exchanges, merged
from agent.ship.backlog import Backlog
from agent.ship.disk_keeper import DiskKeeper, LedgerView
from agent.ship.limits import ShipLimits
from agent.ship.parcel import BatchAddress, Parcel, UnreadableParcel
from agent.ship.post import Answer, Post, destination
from agent.ship.spool_config import SpoolConfig
from agent.ship.tls import ServerTrust
from agent.wire import VERSION, Capture, CaptureScope, Residents, pack_head

log = logging.getLogger(__name__)

TURN_S = 5.0  # the longest wait without a beat
SLOW = frozenset({Answer.NOT_ALLOWED, Answer.NOT_OURS, Answer.NOT_CODED})

__all__ = ["ShipLimits", "Shipper", "SpoolConfig", "destination"]

CaptureView = Callable[[], Capture]


ResidentsView = Callable[[], Residents | None]


def no_residents() -> None:
    """Pods are not known."""


def no_capture() -> Capture:
    """The state of capture where there is none."""
    return Capture(CaptureScope.NOTHING)


class Shipper:
    """Sends records to `url`, the server's root, such as http://127.0.0.1:8080.

    `others` returns the counts of the rest of the agent; every batch carries them with the shipper's
    `totals`, the state of `capture`, and `residents` if there are news of pods. All are called in the
    shipper's threads, without a lock held. `cluster` is the agent's.
    `epoch` must differ at each start of the agent. With a `spool`, unacknowledged records survive the
    process, however it ends.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        agent: str,
        epoch: str,
        others: LedgerView,
        limits: ShipLimits | None = None,
        spool: SpoolConfig | None = None,
        capture: CaptureView = no_capture,
        residents: ResidentsView = no_residents,
        trust: ServerTrust | None = None,
        cluster: str | None = None,
    ) -> None:
        self.limits = limits or ShipLimits()
        self._agent, self._epoch, self._others, self._config = agent, epoch, others, spool
        self._capture, self._residents, self._cluster = capture, residents, cluster
        self._beat = Beat("shipper")
        self._post = Post(url, token, self.limits, self._beat, trust)
        self._backlog = Backlog(agent, epoch, self.limits, spool is not None)
        self._disk: DiskKeeper | None = None
        if spool is not None:
            self._disk = DiskKeeper(spool, agent, epoch, others, self.limits, self._backlog)
        self._source: DiskKeeper | Backlog = self._backlog  # the owner of the parcel in hand
        self._change = self._backlog.change  # also guards everything below
        self._halves: list[Parcel] = []  # halves of a refused parcel, the next one last
        self._deadline: float | None = None  # set by close()
        self._abandoned = False
        self._ledger_sent = False  # the server has the final ledger
        self._has_news = False  # to be sent at once, whether or not there are records
        self._seq = 0
        self._trouble_since: float | None = None
        self._said: tuple[str, float] | None = None
        self._thread = threading.Thread(target=self._run, name="ship", daemon=True)

    def start(self) -> None:
        """Starts the shipping threads."""
        if self._disk is not None:
            self._disk.start()
        self._thread.start()

    def capture_started(self, since: int) -> None:
        """Records that capture works since `since` (wall clock in ns), which ends the blind time of killed
        starts, and reports it to the server.
        """
        if self._disk is not None:
            self._disk.capture_started(since)
        self.report()

    def report(self) -> None:
        """Sends the state of capture and the ledger without waiting for records or the next heartbeat."""
        with self._change:
            self._has_news = True
            self._change.notify_all()

    def queued_s(self) -> float:
        """How long the oldest record has waited though the server takes them, in seconds; 0 if it does
        not.
        """
        with self._change:
            return self._backlog.waited_s() if self._trouble_since is None else 0.0

    def waited_s(self) -> float:
        """How long the oldest unacknowledged record has waited, in seconds; 0 if none waits."""
        with self._change:
            return self._backlog.waited_s()

    def offer(self, packed: bytes) -> None:
        """Adds one packed record. Never waits for disk or network; the oldest is dropped when full."""
        self._backlog.put(packed)

    def totals(self) -> dict[str, dict[str, int]]:
        """The shipper's counts, to be merged into the agent's."""
        with self._change:
            return self._backlog.totals()

    def waiting(self) -> tuple[int, int]:
        """Number of unsettled records, and the bytes that wait in memory and on disk."""
        with self._change:
            return self._backlog.records, self._backlog.size

    @property
    def in_memory(self) -> int:
        """Records only in memory; approximate, since no lock is taken."""
        return self._backlog.in_memory

    @property
    def beats(self) -> tuple[Beat, ...]:
        """The beats of the loops that ship and write to disk."""
        return (self._beat,) if self._disk is None else (self._beat, self._disk.beat)

    @property
    def alive(self) -> bool:
        """Whether the shipping thread runs."""
        return self._thread.is_alive()

    def close(self, deadline_s: float) -> int:
        """Ships what it can within `deadline_s`; returns how many records are lost, and counts them.

        Records in the spool are not lost: the next start sends them. A record from memory without an
        acknowledgement counts as unsent, though the server may have it.
        """
        until = time.monotonic() + deadline_s
        with self._change:
            self._deadline = until
            self._change.notify_all()
        self._backlog.finish()
        if self._thread.ident is None:
            self._post.close()
        else:
            self._thread.join(deadline_s)
        lost = self._close_sources(until)
        with self._change:
            self._abandoned = True
            self._change.notify_all()
        return lost

    def _close_sources(self, until: float) -> int:
        """Returns how many records are lost."""
        if self._disk is None or self._config is None:
            return self._backlog.abandon()[0]
        lost, kept = self._disk.close(until, self._ledger_sent)
        if kept:
            log.info("%d records wait in %s for the next start", kept, self._config.file)
        return lost

    def _run(self) -> None:
        try:
            while (parcel := self._next()) is not None:
                self._deliver(parcel)
            if not self._is_time_up():
                self._ledger_sent = self._deliver(self._ledger_only())
        finally:
            self._post.close()

    def _next(self) -> Parcel | None:
        """The next due parcel, an empty one as heartbeat; None when closing and everything is sent."""
        heartbeat_at = time.monotonic() + self.limits.heartbeat_s
        while self._wait_until_due(heartbeat_at):
            if self._halves:
                return self._halves.pop()
            if self._has_news:  # it must not wait for the disk
                return self._ledger_only()
            parcel = self._take()
            if parcel is not None:
                return parcel
            if time.monotonic() >= heartbeat_at:
                return self._ledger_only()
        return None

    def _take(self) -> Parcel | None:
        """The oldest parcel on disk, or else in memory."""
        parcel = None if self._disk is None else self._disk.take()
        if self._disk is not None and parcel is not None:
            self._source = self._disk
            return parcel
        self._source = self._backlog
        return self._backlog.take()

    def _wait_until_due(self, heartbeat_at: float) -> bool:
        """Waits for something to do; False when closing and nothing is left."""
        with self._change:
            while not self._is_time_up():
                self._beat.turn()
                if self._halves or self._has_news:
                    return True
                if self._backlog.is_empty() and self._deadline is not None:
                    return False
                due_at = self._backlog.due_at()
                wait_s = (heartbeat_at if due_at is None else min(due_at, heartbeat_at)) - time.monotonic()
                if wait_s <= 0:
                    return True
                if self._deadline is not None:
                    wait_s = min(wait_s, max(0.0, self._deadline - time.monotonic()))
                self._change.wait(wait_s)
        return False

    def _ledger_only(self) -> Parcel:
        return Parcel(self._agent, self._epoch, VERSION, 0, 0, b"")

    def _is_ledger_only(self, parcel: Parcel) -> bool:
        return not parcel.records and parcel.epoch == self._epoch

    def _deliver(self, parcel: Parcel) -> bool:
        """Posts until a parcel is stored, or refused and possibly halved. Returns whether it was stored."""
        answer = self._post_until_answered(parcel)
        if self._is_ledger_only(parcel):
            pass
        elif answer is Answer.STORED:
            self._source.settle(parcel, Exchanges.SHIPPED)
        elif answer is Answer.REFUSED and parcel.records > 1:
            try:
                self._halves += reversed(self._source.split(parcel))
            except UnreadableParcel:
                self._source.settle(parcel, Exchanges.SPOOL_UNREADABLE)
        elif answer is Answer.REFUSED:
            self._source.settle(parcel, Exchanges.REFUSED)
        return answer is Answer.STORED

    def _post_until_answered(self, parcel: Parcel) -> Answer | None:
        """STORED or REFUSED; None when closing has run out of time.

        If the server refuses even an empty batch, no record is the cause: the versions are incompatible, and
        the parcel is retried until one side is upgraded.
        """
        address = self._address(parcel)
        attempt = 0
        while not self._is_time_up():
            self._beat.turn()
            answer, trouble = self._post.send(parcel, address)
            if answer is Answer.REFUSED:
                answer, trouble = self._find_cause(parcel, trouble)
            if answer is Answer.STORED:
                self._log_recovery()
                return answer
            self._log_failure(trouble, at_once=answer is not Answer.LATER)
            if answer is Answer.REFUSED:
                return answer
            if self._is_ledger_only(parcel) and self._deadline is not None:
                return None  # only the ledger is left
            self._pause(self.limits.retry_slow_s if answer in SLOW else self._backoff(attempt))
            attempt += 1
        return None

    def _address(self, parcel: Parcel) -> BatchAddress:
        """Assigns the next address of this epoch if it has none, recorded before it is used."""
        if parcel.address is not None:
            return parcel.address
        self._seq += 1
        self._has_news = False
        ledger, capture = merged(self._others(), self.totals()), self._capture()
        start = (self._agent, self._epoch, self._seq, ledger, parcel.records, parcel.version)
        head = pack_head(*start, capture, self._residents(), self._cluster)
        address = BatchAddress(self._agent, self._epoch, self._seq, head)
        if parcel.records:
            self._source.record_address(parcel, address)
        return address

    def _find_cause(self, parcel: Parcel, trouble: str) -> tuple[Answer, str]:
        """Whether the parcel is the cause of a refusal: an empty batch is sent to find out."""
        answer = Answer.REFUSED
        if not self._is_ledger_only(parcel):
            empty = self._ledger_only()
            answer, other = self._post.send(empty, self._address(empty))
            if answer is not Answer.REFUSED:
                return (Answer.REFUSED, trouble) if answer is Answer.STORED else (answer, other)
        return Answer.NOT_OURS, "refuses whatever this agent sends: upgrade the older of the two"

    def _backoff(self, attempt: int) -> float:
        longest = min(self.limits.retry_most_s, self.limits.retry_first_s * 2 ** min(attempt, 16))
        return random.uniform(longest / 2, longest)

    def _pause(self, seconds: float) -> None:
        """Waits; closing ends one wait early and bounds later ones by the remaining time."""
        with self._change:
            if self._deadline is None:
                self._wait_for_close(time.monotonic() + seconds)
                return
            seconds = min(seconds, self.limits.retry_first_s, self._deadline - time.monotonic())
            self._change.wait_for(lambda: self._abandoned, max(0.0, seconds))

    def _wait_for_close(self, until: float) -> None:
        while self._deadline is None and (left := until - time.monotonic()) > 0:
            self._beat.turn()
            self._change.wait(min(left, TURN_S))

    def _is_time_up(self) -> bool:
        return self._abandoned or (self._deadline is not None and time.monotonic() >= self._deadline)

    def _log_failure(self, trouble: str, at_once: bool) -> None:
        """Logs a failure when it is new, and repeatedly while it lasts."""
        now = time.monotonic()
        if self._trouble_since is None:
            self._trouble_since = now
        if not at_once and now - self._trouble_since < self.limits.say_after_s:
            return
        if self._said is None or self._said[0] != trouble or now - self._said[1] >= self.limits.say_again_s:
            self._said = (trouble, now)
            log.warning("the server at %s %s", self._post.shown, trouble)

    def _log_recovery(self) -> None:
        self._trouble_since = None
        if self._said is not None:
            self._said = None
            log.info("the server at %s accepts records again", self._post.shown)
