"""One POST to the server and the meaning of its answer. Nothing here retries or counts."""

from __future__ import annotations

import json
import logging
import ssl
import time
from collections.abc import Iterator
from enum import Enum, auto
from urllib.parse import urlsplit

import httpx

from agent.health import Beat
from agent.ship.limits import ShipLimits
from agent.ship.parcel import BatchAddress, Parcel, UnreadableParcel, body
from agent.ship.tls import ServerTrust, tls_failure

log = logging.getLogger(__name__)


class Answer(Enum):
    """The meaning of the server's answer for the batch."""

    STORED = auto()
    REFUSED = auto()  # not accepted as it is
    LATER = auto()
    NOT_ALLOWED = auto()  # not accepted with this token
    NOT_OURS = auto()  # not accepted by this server
    NOT_CODED = auto()  # accepted only without compression


PIECE = 64 * 1024  # bytes
REFUSALS = frozenset({400, 413, 422})
TROUBLE = {
    Answer.STORED: "took the batch",
    Answer.REFUSED: "refuses a batch (HTTP {status}); sending its records one by one to find which",
    Answer.LATER: "did not acknowledge a batch (HTTP {status}); trying again",
    Answer.NOT_ALLOWED: "does not accept this agent (HTTP {status}): check --token-file, --cluster if"
    " the token is a cluster's, and --client-cert if the server wants a certificate",
    Answer.NOT_OURS: "does not take records (HTTP {status}): check the address given to --server",
    Answer.NOT_CODED: "does not take a batch, compressed or not (HTTP {status})",
}


def answer_of(status: int, body: bytes, seq: int) -> Answer:
    """The meaning of an HTTP answer to batch `seq`; only `{"acked": seq}` means stored."""
    if status in REFUSALS:
        return Answer.REFUSED
    if status in (401, 403):
        return Answer.NOT_ALLOWED
    if status in (404, 405) or 300 <= status < 400:
        return Answer.NOT_OURS
    if status == 415:
        return Answer.NOT_CODED
    if not 200 <= status < 300:
        return Answer.LATER
    try:
        acked = json.loads(body)["acked"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return Answer.LATER
    return Answer.STORED if type(acked) is int and acked == seq else Answer.LATER


class Post:
    """Posts to the server at `url` (its root), over one persistent connection. Each piece sent counts as
    progress. The next connection is made with the files of `trust` as they are then.
    """

    def __init__(
        self, url: str, token: str | None, limits: ShipLimits, beat: Beat, trust: ServerTrust | None = None
    ) -> None:
        self.shown = without_secrets(url)
        self._url = url.rstrip("/") + "/api/v1/records"
        self._limits = limits
        self._beat = beat
        self._token = token
        self._trust = trust or ServerTrust()
        self._seen: object = self._trust.stamp()
        self._client = self._connect()
        self._coded = True  # until this server refuses zstd

    def close(self) -> None:
        self._client.close()

    def send(self, parcel: Parcel, address: BatchAddress) -> tuple[Answer, str]:
        """Makes one attempt. Returns its outcome, and a sentence for the log if the batch was not stored."""
        found, trouble = self._attempt(parcel, address)
        if found is Answer.NOT_CODED and self._coded:
            self._coded = False
            found, trouble = self._attempt(parcel, address)
        return found, trouble

    def _attempt(self, parcel: Parcel, address: BatchAddress) -> tuple[Answer, str]:
        self._renew()
        try:
            content = body(parcel, address, self._coded)
            headers = {"content-length": str(len(content))}
            if self._coded:
                headers["content-encoding"] = "zstd"
            pieces = self._pieces(content)
            with self._client.stream("POST", self._url, content=pieces, headers=headers) as response:
                found = answer_of(response.status_code, self._bounded(response), address.seq)
                return found, TROUBLE[found].format(status=response.status_code)
        except UnreadableParcel:
            return Answer.REFUSED, "was to get a batch that the spool no longer holds as it was written"
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            self._coded = True  # another server may support it
            why = tls_failure(error) or type(error).__name__
            return Answer.LATER, f"cannot be reached ({why}); keeping records meanwhile"

    def _renew(self) -> None:
        """Takes renewed files. While they cannot be used, it keeps what it has, and logs each change once."""
        try:
            seen: object = self._trust.stamp()
        except OSError as error:
            seen = str(error)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._trust.stamp()  # names the file that is missing, unlike `context`
            renewed = self._connect()
        except (OSError, ValueError) as error:
            log.warning("renewed TLS files cannot be used, the earlier ones stay in use: %s", error)
            return
        self._client.close()
        self._client = renewed
        log.info("renewed TLS files are in use")

    def _connect(self) -> httpx.Client:
        return _client(self._token, self._limits, self._trust.context())

    def _pieces(self, content: bytes) -> Iterator[bytes]:
        for start in range(0, len(content), PIECE):
            self._beat.turn()
            yield content[start : start + PIECE]

    def _bounded(self, response: httpx.Response) -> bytes:
        """The answer's first bytes; an answer that is too long or too slow is cut off and not understood."""
        until = time.monotonic() + self._limits.answer_s
        answer = b""
        for piece in response.iter_raw(4096):
            answer += piece
            if len(answer) > self._limits.answer_bytes or time.monotonic() > until:
                return b""
        return answer


def without_secrets(url: str) -> str:
    """The URL without the parts that may be secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def destination(url: str) -> str:
    """Identifies the server at `url` without secrets, so that it may be stored."""
    return f"{without_secrets(url).lower()}{urlsplit(url).path.rstrip('/')}"


def _client(token: str | None, limits: ShipLimits, tls: ssl.SSLContext | None) -> httpx.Client:
    headers = {
        "content-type": "application/msgpack",
        "user-agent": "spectap-agent",
        "accept-encoding": "identity",
    }
    timeout = httpx.Timeout(limits.answer_s, connect=limits.connect_s)

    def bearer(request: httpx.Request) -> httpx.Request:
        request.headers["authorization"] = f"Bearer {token}"
        return request

    auth = bearer if token is not None else None  # as `auth` it takes precedence over user-info in the URL
    return httpx.Client(
        headers=headers,
        auth=auth,
        timeout=timeout,
        trust_env=False,
        follow_redirects=False,
        verify=True if tls is None else tls,
    )
