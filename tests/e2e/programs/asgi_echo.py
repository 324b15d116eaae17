"""The echo server on uvicorn: answers a request with its body. Prints its port once it listens; logs every
exchange (tests/e2e/observations.py). uvicorn's TLS is asyncio's, which works on memory buffers.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn

from tests.e2e.observations import Observation, Payload, peer
from tests.e2e.programs.echo import Log

Event = MutableMapping[str, Any]


async def _body(receive: Callable[[], Awaitable[Event]]) -> bytes:
    body, more = b"", True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    return body


def application(log: Log) -> Callable[..., Awaitable[None]]:
    """The ASGI application that logs to `log`."""

    async def answer(scope: Event, receive: Callable[[], Awaitable[Event]], send: Any) -> None:
        body = await _body(receive)
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))],
            }
        )
        await send({"type": "http.response.body", "body": body})
        target: bytes = scope["raw_path"]
        log.write(
            Observation(
                end="server",
                id=target.rsplit(b"/", 1)[-1].decode(),
                method=scope["method"],
                target=target,
                status=200,
                request_headers=None,
                request=Payload.of(body),
                response_headers=None,
                response=Payload.of(body),
                local=peer(*scope["server"]),
                peer=peer(*scope["client"]),
                start_ns=None,
                end_ns=None,
                pid=os.getpid(),
            )
        )

    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"), required=True)
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    certificate, key = options.tls
    app = application(Log(options.log))
    config = uvicorn.Config(
        app,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        lifespan="off",
        log_level="error",
        timeout_keep_alive=600,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
