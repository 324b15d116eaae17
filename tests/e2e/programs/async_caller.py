"""The keep-alive client on asyncio, by any library: reads calls as JSON lines (tests/e2e/calls.py) from
standard input and makes them, all connections at once; logs every exchange. Its TLS works on memory buffers.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from tests.e2e.calls import Call, from_line
from tests.e2e.observations import Observation, Payload, peer
from tests.e2e.programs.echo import Log

Answer = tuple[int, bytes, tuple[str, int], tuple[str, int]]
"""Status, body, and both ends of the connection, ours first."""

Ask = Callable[[Call], Awaitable[Answer]]
Connect = Callable[[int, ssl.SSLContext], AbstractAsyncContextManager[Ask]]
"""Opens a connection to a port of this host."""


async def make(call: Call, ask: Ask, log: Log) -> None:
    start_ns = time.time_ns()
    status, body, local, remote = await ask(call)
    log.write(
        Observation(
            end="client",
            id=call.id,
            method=call.method,
            target=call.target,
            status=status,
            request_headers=call.headers,
            request=Payload.of(call.body or b""),
            response_headers=None,
            response=Payload.of(body),
            local=peer(*local),
            peer=peer(*remote),
            start_ns=start_ns,
            end_ns=time.time_ns(),
            pid=os.getpid(),
        )
    )


async def serve(
    calls: asyncio.Queue[Call | None], connected: AbstractAsyncContextManager[Ask], log: Log
) -> None:
    """Makes one connection's calls, one after the other."""
    async with connected as ask:
        while (call := await calls.get()) is not None:
            await make(call, ask, log)


async def run(options: argparse.Namespace, connect: Connect) -> None:
    context = ssl.create_default_context(cafile=options.ca)
    log, loop = Log(options.log), asyncio.get_running_loop()
    queues: dict[int, asyncio.Queue[Call | None]] = {}
    async with asyncio.TaskGroup() as tasks:
        while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
            call = from_line(line)
            if call.connection not in queues:
                queues[call.connection] = asyncio.Queue()
                tasks.create_task(serve(queues[call.connection], connect(options.port, context), log))
            queues[call.connection].put_nowait(call)
        for queue in queues.values():
            queue.put_nowait(None)


def main(connect: Connect, about: str | None) -> None:
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ca", required=True)
    asyncio.run(run(parser.parse_args(), connect))
