"""The keep-alive client on httpx and asyncio: reads calls as JSON lines (tests/e2e/calls.py) from standard
input and makes them, all connections at once; logs every exchange. Its TLS works on memory buffers.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import sys
import time
from pathlib import Path

import httpx

from tests.e2e.calls import Call, from_line
from tests.e2e.observations import Observation, Payload, peer
from tests.e2e.programs.echo import Log

PATIENCE = 60  # seconds until a silent server is an error


async def make(call: Call, client: httpx.AsyncClient, log: Log) -> None:
    start_ns = time.time_ns()
    headers = [(name.decode(), value.decode()) for name, value in call.headers]
    async with client.stream(call.method, call.target.decode(), headers=headers, content=call.body) as answer:
        stream = answer.extensions["network_stream"]
        local, remote = (stream.get_extra_info(name) for name in ("client_addr", "server_addr"))
        body = await answer.aread()
    log.write(
        Observation(
            end="client",
            id=call.id,
            method=call.method,
            target=call.target,
            status=answer.status_code,
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


async def serve(calls: asyncio.Queue[Call | None], client: httpx.AsyncClient, log: Log) -> None:
    """Makes one connection's calls, one after the other."""
    async with client:
        while (call := await calls.get()) is not None:
            await make(call, client, log)


async def run(options: argparse.Namespace) -> None:
    context = ssl.create_default_context(cafile=options.ca)
    log, loop = Log(options.log), asyncio.get_running_loop()
    queues: dict[int, asyncio.Queue[Call | None]] = {}
    async with asyncio.TaskGroup() as tasks:
        while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
            call = from_line(line)
            if call.connection not in queues:
                client = httpx.AsyncClient(
                    base_url=f"https://127.0.0.1:{options.port}",
                    verify=context,
                    timeout=PATIENCE,
                    trust_env=False,
                    limits=httpx.Limits(max_connections=1, keepalive_expiry=None),
                )
                queues[call.connection] = asyncio.Queue()
                tasks.create_task(serve(queues[call.connection], client, log))
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
