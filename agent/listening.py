"""A small HTTP server in threads of its own, with a bound on connections: further ones are closed.

An answer is one write: in two, the body would wait until the peer has acknowledged the head (Nagle's
algorithm), which peers delay by 40 ms.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6, AddressFamily, socket
from typing import Any

log = logging.getLogger(__name__)

POLL_S = 0.1  # seconds between checks whether to stop


def shown(address: tuple[str, int]) -> str:
    """The address as HOST:PORT."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Answers(BaseHTTPRequestHandler):
    """Answering requests, for both of the agent's listeners."""

    wbufsize = -1  # buffered, and written as a whole

    def answer(self, status: int, content_type: str, body: bytes) -> None:
        """Sends an answer; with `Connection: close` if the connection is closed after it."""
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.send_header("cache-control", "no-store")
        self.send_header("x-content-type-options", "nosniff")
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        return "spectap-agent"

    def log_message(self, *_: object) -> None:
        """Silent: requests are not logged."""


class ListenError(Exception):
    """The address cannot be listened on; the message is a sentence with the cure."""


@dataclass(frozen=True, slots=True)
class Listening:
    """A listener's thread `name`; `purpose` and `option` are for the message if it cannot listen."""

    name: str
    purpose: str
    option: str
    connections: int  # at most; each has a thread of its own


class Listener(ThreadingHTTPServer):
    """Serves `pages` at `address` (host and port; port 0 picks a free one). Raises ListenError."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    address_family: AddressFamily

    def __init__(self, address: tuple[str, int], pages: type[Answers], what: Listening) -> None:
        self.address_family = AF_INET6 if ":" in address[0] else AF_INET
        self._slots = threading.BoundedSemaphore(what.connections)
        self._thread = threading.Thread(
            target=self.serve_forever, args=(POLL_S,), name=what.name, daemon=True
        )
        try:
            super().__init__(address, pages)
        except OSError as error:
            raise ListenError(
                f"cannot {what.purpose} at {shown(address)} ({error.strerror}): "
                f"stop what uses that port or choose another with {what.option}"
            ) from None

    @property
    def address(self) -> str:
        """The listening address as HOST:PORT."""
        return shown((str(self.server_address[0]), self.server_address[1]))

    def start(self) -> None:
        """Starts answering."""
        self._thread.start()

    def close(self) -> None:
        """Stops answering."""
        if self._thread.ident is not None:
            self.shutdown()
            self._thread.join()
        self.server_close()

    def process_request(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._slots.release()
            raise

    def process_request_thread(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: object, client_address: Any) -> None:
        log.debug("a connection broke", exc_info=True)
