"""Receives APIClarity telemetry from gateways at POST /api/telemetry and redacts it like all traffic.

Plugins that sample ask first which hosts to report, and send nothing without an answer: it is "all".

The token is checked before a body is read. Bodies are bounded in size and time. At most MOST_BODIES large
bodies are read and MOST_REDACTED of any size redacted at the same time; further ones wait. While one waits, a
large body that falls behind gives up its place. A small body is read at once, so slow large ones do not delay
it.
"""

from __future__ import annotations

import hmac
import io
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from agent.ledger import Exchanges, Ledger
from agent.listening import Answers, Listener, Listening
from agent.redact.policy import Policy
from agent.redact.redactor import Redactor
from agent.sources import telemetry
from agent.sources.reported import EntryError
from agent.timed import TimedReader
from agent.views import Origin, Redaction, packed

log = logging.getLogger(__name__)

PATH = "/api/telemetry"
HOSTS_PATH = "/api/hostsToTrace"
ALL_HOSTS = {"hosts": ["*"]}
NEW_APIS_PATH = "/api/control/newDiscoveredAPIs"  # a gateway's list of APIs, which is read and not kept
MAX_BODY = 8 * 1024 * 1024
LISTENING = Listening("gateways", "listen for telemetry", "--telemetry-listen", 128)
SMALL_BODY = 64 * 1024  # bytes, by its Content-Length
MOST_BODIES = 4  # read at the same time, of those that are not small or have no Content-Length
MOST_REDACTED = 4  # at the same time
MAX_LENGTH_DIGITS = 20  # int() refuses numbers of thousands of digits
CLOSE_S = 1.0  # to answer reports that are being read
HEAD_S = 30.0  # for a request's head, from the previous answer on
BODY_S = 30.0  # for a body, and
BODY_RATE = 64 * 1024  # bytes received that extend the time by a second
BEHIND_S = 3.0  # that a large body may fall behind this rate while another one waits for its place
LOOK_S = 0.2  # between checks, while one waits
ANSWER_S = 30.0
SAY_EVERY_S = 60.0
PIECE = 64 * 1024
MAX_CHUNK_LINE = 1024
SOURCE_TOKEN = "x-trace-source-token"  # the header in which the plugins send the token


class Reports:
    """Turns reports into records, in any thread. It has a ledger of its own.

    Its lock guards counters and the idle redactors: while it is held nothing is called and no other
    lock taken.
    """

    def __init__(self, origin: Origin, policy: Policy, key: bytes, offer: Callable[[bytes], None]) -> None:
        self._origin, self._policy, self._key, self._offer = origin, policy, key, offer
        self._idle: list[Redactor] = []  # at most as many as were ever in use at the same time
        self._lock = threading.Lock()
        self._ledger = Ledger()
        self._number = time.time_ns()  # never repeats a number of an earlier start

    def accept(self, raw: bytes) -> None:
        """Redacts one report and hands over its packed record. Raises EntryError, which is counted."""
        try:
            reported = telemetry.reported(raw, self._next(), time.time_ns())
        except EntryError:
            self.refuse()
            raise
        ledger = Ledger()
        redactor = self._redactor()
        record = Redaction(self._origin, redactor, ledger).record(reported)
        with self._lock:
            self._idle.append(redactor)
        made = None if record is None else packed(record, ledger)
        if made is not None:
            self._offer(made)
        self._count(ledger.exchanges)

    def refuse(self) -> None:
        """Counts a report that was too large, cut off or unreadable."""
        self._count({Exchanges.PARSED: 1, Exchanges.UNREADABLE: 1})

    def totals(self) -> dict[str, dict[str, int]]:
        """The ledger of reports that became no record."""
        with self._lock:
            return self._ledger.as_map()

    def _redactor(self) -> Redactor:
        """A redactor that no other thread uses."""
        with self._lock:
            idle = self._idle.pop() if self._idle else None
        return Redactor(self._policy, self._key) if idle is None else idle

    def _next(self) -> int:
        with self._lock:
            self._number += 1
            return self._number

    def _count(self, exchanges: Mapping[str, int]) -> None:
        with self._lock:
            self._ledger.exchanges.update(exchanges)


class Slow:
    """Logs from time to time how many reports were cut off. Its lock guards counters only; nothing is called
    while it is held.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._said_at: float | None = None
        self._unsaid = 0

    def cut_off(self) -> None:
        """Counts one more."""
        now = self._clock()
        with self._lock:
            self._unsaid += 1
            if self._said_at is not None and now - self._said_at < SAY_EVERY_S:
                return
            count, self._unsaid, self._said_at = self._unsaid, 0, now
        log.warning("%d reports of gateways were cut off: their bodies came too slowly", count)


class BodyPlaces:
    """The places in which large bodies are read. A body that has fallen behind is cut off for one that waits.

    Its lock guards the set of bodies; nothing that waits is called while it is held.
    """

    def __init__(self, most: int) -> None:
        self.free = threading.BoundedSemaphore(most)  # acquired before a redaction slot
        self._lock = threading.Lock()
        self._read: set[TimedReader] = set()
        self._cut: TimedReader | None = None  # still in its place

    @contextmanager
    def one(self, body: TimedReader) -> Iterator[None]:
        """A place for a body, from whose start on it has its time."""
        while not self.free.acquire(timeout=LOOK_S):
            self._cut_off_slowest()
        try:
            body.allow(BODY_S)
            with self._lock:
                self._read.add(body)
            yield
        finally:
            self.free.release()
            self.complete(body)

    def complete(self, body: TimedReader) -> None:
        """A body that is complete, or given up, is not cut off any more."""
        with self._lock:
            self._read.discard(body)
            self._cut = None if self._cut is body else self._cut

    def _cut_off_slowest(self) -> None:
        with self._lock:
            behind = [body for body in self._read if body.left < BODY_S - BEHIND_S]
            slowest = min(behind, key=lambda body: body.left, default=None)
            if slowest is None or self._cut is not None:
                return
            self._read.discard(slowest)
            self._cut = slowest
        slowest.cut()


class GatewayServer(Listener):
    """Listens for reports from clients with the token; from any client if it is None. Raises ListenError."""

    def __init__(
        self,
        address: tuple[str, int],
        token: str | None,
        reports: Reports,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.token = None if token is None else token.encode()
        self.reports = reports
        self.clock = clock
        self.slow = Slow(clock)
        self.bodies = BodyPlaces(MOST_BODIES)
        self.turns = threading.BoundedSemaphore(MOST_REDACTED)
        super().__init__(address, _Reports, LISTENING)

    def close(self) -> None:
        """Accepts no more; reports that are being read are still answered."""
        super().close()
        until = time.monotonic() + CLOSE_S
        for places, most in ((self.bodies.free, MOST_BODIES), (self.turns, MOST_REDACTED)):
            for _ in range(most):
                places.acquire(timeout=max(0.0, until - time.monotonic()))


class _Refused(Exception):
    """The request is answered with this status and sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class _Reports(Answers):
    server: GatewayServer
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._timed = TimedReader(self.connection, self.server.clock)
        self.rfile = io.BufferedReader(self._timed)

    def handle_one_request(self) -> None:
        self._timed.allow(HEAD_S)
        super().handle_one_request()

    def do_GET(self) -> None:
        try:
            self._check(HOSTS_PATH)
            self._respond(200, ALL_HOSTS)
        except _Refused as refused:
            self._refuse(refused)

    def do_POST(self) -> None:
        try:
            self._check(PATH, NEW_APIS_PATH)
            if self._is_small():
                self._accept()
            else:
                with self.server.bodies.one(self._timed):
                    self._accept()
            self._respond(200, {"message": "Success"})
        except _Refused as refused:
            self._refuse(refused)

    def _check(self, *paths: str) -> None:
        if _path(self.path) not in paths:
            raise _Refused(404, f"send telemetry to {PATH}")
        token = self.server.token
        if token is None:
            if self.headers.get("origin") is not None:
                raise _Refused(
                    403, "requests from web pages are rejected"
                )  # any web page can make a browser send requests here
            return
        bearer = self.headers.get("authorization", "")
        said = bearer[7:] if bearer[:7].lower() == "bearer " else self.headers.get(SOURCE_TOKEN, "")
        if not hmac.compare_digest(said.encode("latin-1", "replace"), token):
            raise _Refused(401, "the telemetry token is missing or wrong")

    def _accept(self) -> None:
        self._timed.allow(BODY_S)
        try:
            raw = self._body()
            self.server.bodies.complete(self._timed)
        except TimeoutError:
            self.server.reports.refuse()
            self.server.slow.cut_off()
            raise _Refused(408, "the body came too slowly") from None
        except _Refused:
            self.server.reports.refuse()
            raise
        if _path(self.path) == NEW_APIS_PATH:
            return
        try:
            with self.server.turns:
                self.server.reports.accept(raw)
        except EntryError as error:
            raise _Refused(400, str(error)) from None

    def _is_small(self) -> bool:
        length = self._length()
        return not self._is_chunked() and length is not None and length <= SMALL_BODY

    def _is_chunked(self) -> bool:
        return bool(self.headers.get("transfer-encoding", "").strip().lower() == "chunked")

    def _length(self) -> int | None:
        """Content-Length; None if there is none. One with too many digits counts as too large."""
        length = self.headers.get("content-length", "")
        if not (length.isascii() and length.isdecimal()):
            return None
        return int(length) if len(length) <= MAX_LENGTH_DIGITS else MAX_BODY + 1

    def _body(self) -> bytes:
        if self._is_chunked():
            return self._chunked()
        length = self._length()
        if length is None:
            raise _Refused(411, "no length")
        return self._exactly(length, MAX_BODY)

    def _chunked(self) -> bytes:
        """RFC 9112 section 7.1."""
        body = bytearray()
        while True:
            line = self.rfile.readline(MAX_CHUNK_LINE).split(b";")[0].strip()
            try:
                size = int(line, 16)
            except ValueError:
                raise _Refused(400, "invalid chunk") from None
            if not 0 <= size <= MAX_BODY:
                raise _Refused(413, "the body is too large")
            if not size:
                break
            body += self._exactly(size, MAX_BODY - len(body))
            self.rfile.readline(MAX_CHUNK_LINE)
        while self.rfile.readline(MAX_CHUNK_LINE).strip():
            pass
        return bytes(body)

    def _exactly(self, size: int, room: int) -> bytes:
        if size > room:
            raise _Refused(413, "the body is too large")
        body = bytearray()
        while len(body) < size:
            piece = self.rfile.read(min(PIECE, size - len(body)))
            if not piece:
                raise _Refused(408, "the body ended early")
            body += piece
            self._timed.extend(len(piece) / BODY_RATE)
        return bytes(body)

    def _refuse(self, refused: _Refused) -> None:
        self.close_connection = True  # the body was not read to its end
        self._respond(refused.status, {"message": str(refused)})

    def _respond(self, status: int, content: Mapping[str, object]) -> None:
        self.connection.settimeout(ANSWER_S)
        self.answer(status, "application/json", json.dumps(content).encode())


def _path(target: str) -> str | None:
    """The path of a request's target; None if the target is no URL."""
    try:
        return urlsplit(target).path
    except ValueError:
        return None
