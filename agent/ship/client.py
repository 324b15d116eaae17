"""The agent's only way out: batches of packed records, posted until the server has acknowledged them.

The pipeline offers records and never waits. One thread posts; a batch keeps its sequence number and its
bytes over every retry, so the server can drop what it has stored already. Whatever is given up is counted.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import urlsplit

import httpx

from agent.ledger import Exchanges, Ledger
from agent.ship.queue import Backlog, MemoryBacklog
from agent.wire import pack_batch

log = logging.getLogger(__name__)

LedgerView = Callable[[], Mapping[str, Mapping[str, int]]]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of shipping, in bytes, counts and seconds."""

    queue_bytes: int = 32 * 1024 * 1024
    batch_records: int = 500
    batch_bytes: int = 1024 * 1024
    flush_s: float = 0.3  # the first record of a batch waits no longer for others
    heartbeat_s: float = 10.0  # an empty batch this often, so that the ledger arrives on an idle machine
    retry_first_s: float = 0.2
    retry_most_s: float = 15.0
    retry_slow_s: float = 30.0  # where a person has to change something first
    connect_s: float = 3.0
    answer_s: float = 10.0
    answer_bytes: int = 64 * 1024
    say_after_s: float = 3.0  # what passes by itself sooner is not worth a line
    say_again_s: float = 60.0  # the same trouble is logged no more often


class Answer(Enum):
    """What the server's answer means for the batch."""

    STORED = auto()
    REFUSED = auto()  # never, as it is
    LATER = auto()
    NOT_ALLOWED = auto()  # not before the token changes
    NOT_OURS = auto()  # not before the address changes


REFUSALS = frozenset({400, 413, 422})
SLOW = frozenset({Answer.NOT_ALLOWED, Answer.NOT_OURS})


def answer_of(status: int, body: bytes, seq: int) -> Answer:
    """The meaning of an HTTP answer to batch `seq`; only `{"acked": seq}` means stored."""
    if status in REFUSALS:
        return Answer.REFUSED
    if status in (401, 403):
        return Answer.NOT_ALLOWED
    if status in (404, 405) or 300 <= status < 400:
        return Answer.NOT_OURS
    if not 200 <= status < 300:
        return Answer.LATER
    try:
        acked = json.loads(body)["acked"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return Answer.LATER
    return Answer.STORED if type(acked) is int and acked == seq else Answer.LATER


class Shipper:
    """Sends records to `url`, where `url` is the server's root, such as http://127.0.0.1:8080.

    `ledger_view` answers the agent's totals and goes with every batch; it is called in the shipping
    thread and should include `totals()`. `epoch` must differ at each start of the agent.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        agent: str,
        epoch: str,
        ledger_view: LedgerView,
        limits: Limits | None = None,
        backlog: Backlog | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._url = url.rstrip("/") + "/api/v1/records"
        self._shown = _shown(url)
        self._agent, self._epoch, self._ledger_view = agent, epoch, ledger_view
        self._client = _client(token, self.limits)
        self._backlog: Backlog = backlog or MemoryBacklog(self.limits.queue_bytes)
        self._ledger = Ledger()
        self._change = threading.Condition()  # guards everything below, the backlog and the ledger
        self._in_hand = 0  # records taken and neither stored, refused nor given up
        self._oldest_at = 0.0
        self._deadline: float | None = None  # set once by close()
        self._abandoned = False
        self._seq = 0
        self._trouble_since: float | None = None
        self._said: tuple[str, float] | None = None
        self._thread = threading.Thread(target=self._run, name="ship", daemon=True)

    def start(self) -> None:
        """Starts the shipping thread."""
        self._thread.start()

    def offer(self, packed: bytes) -> None:
        """Takes one packed record. Never waits for the network; the oldest is dropped when full."""
        with self._change:
            if self._abandoned:
                self._ledger.exchanges[Exchanges.UNSENT_AT_EXIT] += 1
                return
            if not self._backlog.records:
                self._oldest_at = time.monotonic()
            self._count(Exchanges.QUEUE_FULL, self._backlog.put(packed))
            if self._backlog.records == 1 or self._is_full():
                self._change.notify_all()

    def totals(self) -> dict[str, dict[str, int]]:
        """The shipper's own counts, to be merged into the agent's."""
        with self._change:
            return self._ledger.as_map()

    def waiting(self) -> tuple[int, int]:
        """Records not yet settled and the bytes of those still queued."""
        with self._change:
            return self._backlog.records + self._in_hand, self._backlog.size

    @property
    def alive(self) -> bool:
        """Whether the shipping thread runs."""
        return self._thread.is_alive()

    def close(self, deadline_s: float) -> int:
        """Ships what it can within `deadline_s` and counts the rest; answers how many that were.

        A record whose acknowledgement is still out counts as unsent, though the server may have it.
        """
        with self._change:
            self._deadline = time.monotonic() + deadline_s
            self._change.notify_all()
        if self._thread.ident is None:
            self._client.close()
        else:
            self._thread.join(deadline_s)
        with self._change:
            if self._abandoned:
                return 0
            self._abandoned = True
            unsent = self._backlog.records + self._in_hand
            self._backlog.take(self._backlog.records, self._backlog.size)
            self._in_hand = 0
            self._count(Exchanges.UNSENT_AT_EXIT, unsent)
            self._change.notify_all()
        return unsent

    def _run(self) -> None:
        with self._client:
            while (records := self._next()) is not None:
                self._deliver(records)
            if not self._over():
                self._deliver([])  # the final ledger

    def _next(self) -> list[bytes] | None:
        """The next batch when it is due, empty for a heartbeat; None when closing and all is shipped."""
        heartbeat_at = time.monotonic() + self.limits.heartbeat_s
        with self._change:
            while True:
                now = time.monotonic()
                if self._over() or (self._deadline is not None and not self._backlog.records):
                    return None
                due_at = heartbeat_at
                if self._backlog.records:
                    due_at = min(due_at, self._oldest_at + self.limits.flush_s)
                if now >= due_at or self._is_full() or self._deadline is not None:
                    return self._take()
                self._change.wait(due_at - now)

    def _take(self) -> list[bytes]:
        records = self._backlog.take(self.limits.batch_records, self.limits.batch_bytes)
        self._in_hand = len(records)
        return records

    def _deliver(self, records: list[bytes]) -> None:
        """Posts until each record is stored or refused, or closing has run out of time."""
        parts = [records]
        while parts:
            part = parts.pop()
            answer = self._post_until_answered(part)
            if answer is None:
                return
            if answer is Answer.STORED:
                self._settle(Exchanges.SHIPPED, len(part))
            elif len(part) > 1:
                half = len(part) // 2
                parts += [part[half:], part[:half]]
            else:
                self._settle(Exchanges.REFUSED, len(part))

    def _post_until_answered(self, records: list[bytes]) -> Answer | None:
        """STORED or REFUSED, or None when closing has run out of time.

        Where even an empty batch is refused, no record is to blame: the two sides do not understand each
        other, and it is tried again until one of them is upgraded.
        """
        body, seq = self._pack(records)
        attempt = 0
        while not self._over():
            answer, trouble = self._post(body, seq)
            if answer is Answer.REFUSED:
                answer, trouble = self._blame(records, trouble)
            if answer is Answer.STORED:
                self._say_all_well()
                return answer
            self._say(trouble, at_once=answer is not Answer.LATER)
            if answer is Answer.REFUSED:
                return answer
            if not records and self._deadline is not None:
                return None  # nothing but the ledger is left
            self._pause(self.limits.retry_slow_s if answer in SLOW else self._backoff(attempt))
            attempt += 1
        return None

    def _blame(self, records: list[bytes], trouble: str) -> tuple[Answer, str]:
        """Whether the records are to blame for a refusal: an empty batch tells."""
        answer = Answer.REFUSED
        if records:
            body, seq = self._pack([])
            answer, other = self._post(body, seq)
            if answer is not Answer.REFUSED:
                return (Answer.REFUSED, trouble) if answer is Answer.STORED else (answer, other)
        return Answer.NOT_OURS, "refuses whatever this agent sends: upgrade the older of the two"

    def _pack(self, records: list[bytes]) -> tuple[bytes, int]:
        self._seq += 1
        return pack_batch(self._agent, self._epoch, self._seq, self._ledger_view(), records), self._seq

    def _post(self, body: bytes, seq: int) -> tuple[Answer, str]:
        """One attempt: what came of it, and what to tell a person if it was not stored."""
        try:
            with self._client.stream("POST", self._url, content=body) as response:
                found = answer_of(response.status_code, self._bounded(response), seq)
                return found, _TROUBLE[found].format(status=response.status_code)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Answer.LATER, f"cannot be reached ({type(error).__name__}); keeping records meanwhile"

    def _bounded(self, response: httpx.Response) -> bytes:
        """The answer's first bytes; an answer that is too long or too slow is cut, hence not understood."""
        until = time.monotonic() + self.limits.answer_s
        body = b""
        for piece in response.iter_raw(4096):
            body += piece
            if len(body) > self.limits.answer_bytes or time.monotonic() > until:
                return b""
        return body

    def _backoff(self, attempt: int) -> float:
        longest = min(self.limits.retry_most_s, self.limits.retry_first_s * 2 ** min(attempt, 16))
        return random.uniform(longest / 2, longest)

    def _pause(self, seconds: float) -> None:
        """Waits; closing cuts it short once, and then bounds it by what time is left."""
        with self._change:
            if self._deadline is None:
                self._change.wait_for(lambda: self._deadline is not None, seconds)
                return
            seconds = min(seconds, self.limits.retry_first_s, self._deadline - time.monotonic())
            self._change.wait_for(lambda: self._abandoned, max(0.0, seconds))

    def _over(self) -> bool:
        return self._abandoned or (self._deadline is not None and time.monotonic() >= self._deadline)

    def _is_full(self) -> bool:
        most = self.limits
        return self._backlog.records >= most.batch_records or self._backlog.size >= most.batch_bytes

    def _settle(self, bucket: Exchanges, records: int) -> None:
        with self._change:
            if not self._abandoned:  # else close() has counted them
                self._in_hand -= records
                self._count(bucket, records)

    def _count(self, bucket: Exchanges, records: int) -> None:
        if records:
            self._ledger.exchanges[bucket] += records

    def _say(self, trouble: str, at_once: bool) -> None:
        """One sentence when the trouble is new, and again now and then while it lasts."""
        now = time.monotonic()
        if self._trouble_since is None:
            self._trouble_since = now
        if not at_once and now - self._trouble_since < self.limits.say_after_s:
            return
        if self._said is None or self._said[0] != trouble or now - self._said[1] >= self.limits.say_again_s:
            self._said = (trouble, now)
            log.warning("the server at %s %s", self._shown, trouble)

    def _say_all_well(self) -> None:
        self._trouble_since = None
        if self._said is not None:
            self._said = None
            log.info("the server at %s takes records again", self._shown)


_TROUBLE = {
    Answer.STORED: "took the batch",
    Answer.REFUSED: "refuses a batch (HTTP {status}); sending its records one by one to find which",
    Answer.LATER: "did not acknowledge a batch (HTTP {status}); trying again",
    Answer.NOT_ALLOWED: "does not accept this agent's token (HTTP {status}): give it one with --token-file",
    Answer.NOT_OURS: "does not take records (HTTP {status}): check the address given to --server",
}


def _client(token: str | None, limits: Limits) -> httpx.Client:
    headers = {
        "content-type": "application/msgpack",
        "user-agent": "spectap-agent",
        "accept-encoding": "identity",
    }
    timeout = httpx.Timeout(limits.answer_s, connect=limits.connect_s)

    def bearer(request: httpx.Request) -> httpx.Request:
        request.headers["authorization"] = f"Bearer {token}"
        return request

    auth = bearer if token is not None else None  # as auth, it wins over user-info in the URL
    return httpx.Client(headers=headers, auth=auth, timeout=timeout, trust_env=False, follow_redirects=False)


def _shown(url: str) -> str:
    """The address without what a URL may hold of secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
