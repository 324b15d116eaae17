"""The echo server: HTTP/1.1 with keep-alive, plain or TLS, in threads, forked workers or asyncio.

Prints its port once it listens; logs every exchange (tests/e2e/observations.py). asyncio's TLS works on
memory buffers, so no socket is used inside SSL_read and SSL_write.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.observations import Observation, Pairs, Payload, Peer, peer, to_line
from tests.e2e.programs import contexts
from tests.e2e.programs.contexts import Context
from tests.e2e.programs.http_bytes import Message, Reply, call_id, reply, take


class Log:
    """Lines appended by threads and forked workers: one write each, to a file in append mode."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, seen: Observation) -> None:
        os.write(self._fd, to_line(seen))


@dataclass
class Conversation:
    """One connection: bytes in, replies out; each reply is logged after it was sent."""

    log: Log
    extra: Pairs
    local: Peer | None
    remote: Peer | None
    buffer: bytes = b""
    start_ns: int | None = None

    def feed(self, data: bytes) -> Iterator[tuple[Message, Reply]]:
        self.start_ns = self.start_ns or time.time_ns()
        self.buffer += data
        while self.buffer and (found := take(self.buffer)) is not None:
            message, self.buffer = found
            yield message, reply(message, self.extra)

    def sent(self, message: Message, answer: Reply) -> None:
        method, target, _ = message.first
        self.log.write(
            Observation(
                end="server",
                id=call_id(message),
                method=method.decode(),
                target=target,
                status=answer.status,
                request_headers=message.headers,
                request=Payload.of(message.payload),
                response_headers=answer.headers,
                response=Payload.of(answer.payload),
                local=self.local,
                peer=self.remote,
                start_ns=self.start_ns,
                end_ns=time.time_ns(),
                pid=os.getpid(),
            )
        )
        self.start_ns = None


def _peer(address: Any) -> Peer | None:
    return peer(address[0], address[1]) if isinstance(address, tuple) else None


def converse(connection: socket.socket, context: Context | None, log: Log, extra: Pairs) -> None:
    try:
        stream = context.wrap_socket(connection, server_side=True) if context else connection
        talk = Conversation(log, extra, _peer(stream.getsockname()), _peer(stream.getpeername()))
        with stream:
            while data := stream.recv(65536):
                for message, answer in talk.feed(data):
                    stream.sendall(answer.wire)
                    talk.sent(message, answer)
                    if answer.close:
                        return
    except OSError as error:
        sys.stderr.write(f"connection ended: {error}\n")


def serve_threads(listener: socket.socket, context: Context | None, log: Log, extra: Pairs) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=converse, args=(connection, context, log, extra), daemon=True).start()


async def serve_asyncio(
    listener: socket.socket, context: ssl.SSLContext | None, log: Log, extra: Pairs
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        remote, local = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
        talk = Conversation(log, extra, _peer(local), _peer(remote))
        try:
            while data := await reader.read(65536):
                for message, answer in talk.feed(data):
                    writer.write(answer.wire)
                    await writer.drain()
                    talk.sent(message, answer)
                    if answer.close:
                        return
        except OSError as error:
            sys.stderr.write(f"connection ended: {error}\n")
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, sock=listener, ssl=context)
    async with listening:
        await listening.serve_forever()


def forked_worker(count: int) -> bool:
    """Forks `count` children. Returns True in each of them, False in the parent."""
    return any(os.fork() == 0 for _ in range(count))


def _listener(options: argparse.Namespace) -> socket.socket:
    if options.unix:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(options.unix))
    else:
        six = ":" in options.host
        listener = socket.socket(socket.AF_INET6 if six else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if options.host == "::":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((options.host, options.port))
    listener.listen(128)
    return listener


def _extra(headers: list[str]) -> Pairs:
    split = [line.split(":", 1) for line in headers]
    return tuple((name.encode(), value.strip().encode()) for name, value in split)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--unix", type=Path)
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    parser.add_argument("--workers", type=int, default=0, help="fork this many; each accepts for itself")
    parser.add_argument("--asyncio", action="store_true")
    parser.add_argument("--reply-header", action="append", default=[], metavar="NAME: VALUE")
    contexts.add_option(parser)
    options = parser.parse_args()
    log, extra, listener = Log(options.log), _extra(options.reply_header), _listener(options)
    context = contexts.server(options)
    sys.stdout.write("unix\n" if options.unix else f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    if options.workers and not forked_worker(options.workers):
        os.wait()
        sys.exit("a worker ended")
    if options.asyncio:
        own = context if isinstance(context, ssl.SSLContext) else None
        asyncio.run(serve_asyncio(listener, own, log, extra))
    else:
        serve_threads(listener, context, log, extra)


if __name__ == "__main__":
    main()
