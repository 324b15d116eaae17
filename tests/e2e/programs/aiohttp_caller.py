"""The keep-alive client (async_caller.py) on aiohttp, the distribution's."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from yarl import URL

from tests.e2e.calls import Call
from tests.e2e.programs.async_caller import Answer, Ask, main


class Connector(aiohttp.TCPConnector):  # type: ignore[misc]
    """Keeps both ends of its connection: an answer that is complete has none any more."""

    async def connect(self, *arguments: Any, **options: Any) -> Any:
        connection = await super().connect(*arguments, **options)
        transport = connection.transport
        self.ends = [transport.get_extra_info(name) for name in ("sockname", "peername")]
        return connection


@asynccontextmanager
async def connect(port: int, context: ssl.SSLContext) -> AsyncIterator[Ask]:
    connector = Connector(limit=1, ssl=context, keepalive_timeout=600)
    async with aiohttp.ClientSession(connector=connector) as client:

        async def ask(call: Call) -> Answer:
            headers = [(name.decode(), value.decode()) for name, value in call.headers]
            url = URL(f"https://127.0.0.1:{port}{call.target.decode()}", encoded=True)
            async with client.request(call.method, url, headers=headers, data=call.body) as answer:
                body = await answer.read()
            local, remote = connector.ends
            return answer.status, body, local, remote

        yield ask


if __name__ == "__main__":
    main(connect, __doc__)
