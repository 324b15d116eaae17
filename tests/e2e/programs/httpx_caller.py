"""The keep-alive client (async_caller.py) on httpx."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tests.e2e.calls import Call
from tests.e2e.programs.async_caller import Answer, Ask, main

PATIENCE = 60  # seconds until a silent server is an error


@asynccontextmanager
async def connect(port: int, context: ssl.SSLContext) -> AsyncIterator[Ask]:
    async with httpx.AsyncClient(
        base_url=f"https://127.0.0.1:{port}",
        verify=context,
        timeout=PATIENCE,
        trust_env=False,
        limits=httpx.Limits(max_connections=1, keepalive_expiry=None),
    ) as client:

        async def ask(call: Call) -> Answer:
            headers = [(name.decode(), value.decode()) for name, value in call.headers]
            target = call.target.decode()
            async with client.stream(call.method, target, headers=headers, content=call.body) as answer:
                stream = answer.extensions["network_stream"]
                local, remote = (stream.get_extra_info(name) for name in ("client_addr", "server_addr"))
                return answer.status_code, await answer.aread(), local, remote

        yield ask


if __name__ == "__main__":
    main(connect, __doc__)
