"""TLS of the listening socket. Renewed files are taken with the next handshake; open connections stay."""

from __future__ import annotations

import asyncio
import logging
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

HANDSHAKE_S = 15.0  # as long as a client has for a request's head
BUFFER_BYTES = 32 * 1024  # of each connection, instead of 256 KiB; a TLS record has up to 16 KiB
FAREWELL_S = 1.0  # for the client to end TLS too; more would delay the server's stop


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The server's certificate with its chain, its key, and the authorities that vouch for agents, if agents
    need a certificate.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def stamp(self) -> tuple[tuple[int, int, int], ...]:
        """Changes with each of the files. Raises OSError."""
        files = (path.stat() for path in (self.certificate, self.key, self.client_ca) if path is not None)
        return tuple((file.st_mtime_ns, file.st_ino, file.st_size) for file in files)

    def context(self) -> ssl.SSLContext:
        """What the files say now. Raises OSError and ValueError.

        A client without a certificate is let in, since people, kubelet and Prometheus have none; routes of
        agents refuse it. No session is resumed then: a resumed one would not be checked again.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key, password=lambda: "")
        context.set_alpn_protocols(["http/1.1"])
        if self.client_ca is not None:
            context.load_verify_locations(self.client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # an older authority has no key identifiers
            context.num_tickets = 0
            context.options |= ssl.OP_NO_TICKET
        return context


class RenewedTls:
    """The TLS context of a server, `context`; each handshake uses the files as they are then. While they
    cannot be used, it keeps what it has. Raises OSError and ValueError if they cannot be used at the start.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._seen: object = files.stamp()
        self._current = files.context()
        self.context = _EachHandshake(ssl.PROTOCOL_TLS_SERVER)
        self.context.current = self._renewed

    def _renewed(self) -> ssl.SSLContext:
        try:
            seen: object = self._files.stamp()
        except OSError as error:
            seen = str(error)
        if seen != self._seen:  # so that each change is logged once
            self._seen = seen
            self._renew()
        return self._current

    def _renew(self) -> None:
        try:
            self._files.stamp()  # names the file that is missing, unlike `context`
            self._current = self._files.context()
        except (OSError, ValueError) as error:
            log.error("renewed TLS files cannot be used, the earlier ones stay in use: %s", error)
        else:
            log.info("renewed TLS files are in use")


class _EachHandshake(ssl.SSLContext):
    """Begins each handshake with the context that `current` returns then. An SNI callback would do the same,
    but Python writes a traceback with the client's bytes for each name that is not ASCII.
    """

    current: Callable[[], ssl.SSLContext]

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        return self.current().wrap_bio(incoming, outgoing, server_side, server_hostname, session)


class TlsLoop(asyncio.SelectorEventLoop):
    """Bounds the time of handshakes and farewells, for which uvicorn has no options, and the memory of each
    connection, for which asyncio has none.
    """

    async def create_server(self, *args: Any, **options: Any) -> asyncio.Server:
        SSLProtocol.max_size = BUFFER_BYTES
        options |= {"ssl_handshake_timeout": HANDSHAKE_S, "ssl_shutdown_timeout": FAREWELL_S}
        made: asyncio.Server = await super().create_server(*args, **options)
        return made

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """Clears the frame of a task that is done: where a handshake fails, asyncio's frame and the exception
        refer to each other, and would keep the buffer until Python collects cycles.
        """
        task: asyncio.Task[Any] = super().create_task(coro, **options)
        if (frame := getattr(coro, "cr_frame", None)) is not None:
            task.add_done_callback(lambda _: frame.clear())
        return task
