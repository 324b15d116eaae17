"""The keep-alive client on aiohttp (the distribution's) and asyncio: reads calls as JSON lines
(tests/e2e/calls.py) from standard input and makes them, all connections at once; logs every exchange. Its TLS
works on memory buffers.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from tests.e2e.calls import Call, from_line
from tests.e2e.observations import Observation, Payload, peer
from tests.e2e.programs.echo import Log


class Connector(aiohttp.TCPConnector):  # type: ignore[misc]
    """Keeps both ends of its connection: an answer that is complete has none any more."""

    async def connect(self, *arguments: Any, **options: Any) -> Any:
        connection = await super().connect(*arguments, **options)
        transport = connection.transport
        self.ends = [transport.get_extra_info(name) for name in ("sockname", "peername")]
        return connection


async def make(call: Call, base: str, client: aiohttp.ClientSession, log: Log) -> None:
    start_ns = time.time_ns()
    headers = [(name.decode(), value.decode()) for name, value in call.headers]
    url = URL(base + call.target.decode(), encoded=True)
    async with client.request(call.method, url, headers=headers, data=call.body) as answer:
        body = await answer.read()
    local, remote = client.connector.ends
    log.write(
        Observation(
            end="client",
            id=call.id,
            method=call.method,
            target=call.target,
            status=answer.status,
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


async def serve(calls: asyncio.Queue[Call | None], base: str, context: ssl.SSLContext, log: Log) -> None:
    """Makes one connection's calls, one after the other."""
    connector = Connector(limit=1, ssl=context, keepalive_timeout=600)
    async with aiohttp.ClientSession(connector=connector) as client:
        while (call := await calls.get()) is not None:
            await make(call, base, client, log)


async def run(options: argparse.Namespace) -> None:
    context = ssl.create_default_context(cafile=options.ca)
    log, loop = Log(options.log), asyncio.get_running_loop()
    base = f"https://127.0.0.1:{options.port}"
    queues: dict[int, asyncio.Queue[Call | None]] = {}
    async with asyncio.TaskGroup() as tasks:
        while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
            call = from_line(line)
            if call.connection not in queues:
                queues[call.connection] = asyncio.Queue()
                tasks.create_task(serve(queues[call.connection], base, context, log))
            queues[call.connection].put_nowait(call)
        for queue in queues.values():
            queue.put_nowait(None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ca", required=True)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
