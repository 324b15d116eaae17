"""A WebSocket client on the websockets library: one connection for each line of its input.

A line is JSON: `path`, `compressed`, `parts` (each a text, a list of texts for a fragmented one, or a number
for so many bytes) and `close`: the code to close with, or one for the server to close with if negative.
Prints a JSON line when the connection is over: the path, and the sizes of the messages received.
"""

from __future__ import annotations

import argparse
import json
import ssl
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


def talk(base: str, context: ssl.SSLContext | None, asked: dict[str, Any]) -> list[int]:
    received = []
    compression = "deflate" if asked["compressed"] else None
    with connect(
        base + asked["path"], ssl=context, compression=compression, ping_interval=None, max_size=None
    ) as connection:
        connection.ping(b"are you there").wait()
        for part in asked["parts"]:
            connection.send(bytes(part) if isinstance(part, int) else part)
            received.append(len(connection.recv()))
        if asked["close"] > 0:
            connection.close(asked["close"], "enough")
        else:
            connection.send(f"close {-asked['close']}")
            with suppress(ConnectionClosed):
                connection.recv()
    return received


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ca", type=Path)
    options = parser.parse_args()
    context = ssl.create_default_context(cafile=options.ca) if options.ca else None
    base = f"{'wss' if context else 'ws'}://127.0.0.1:{options.port}"
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps({"path": asked["path"], "received": talk(base, context, asked)}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
