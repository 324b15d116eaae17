"""A WebSocket server on the websockets library: sends each message back. Prints its port.

A message "close CODE" makes it close with that code; it prints nothing else and sends no Ping of its own.
"""

from __future__ import annotations

import argparse
import ssl
from pathlib import Path

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve


def echo(connection: ServerConnection) -> None:
    try:
        for message in connection:
            if isinstance(message, str) and message.startswith("close "):
                connection.close(int(message.partition(" ")[2]))
                return
            connection.send(message)
    except ConnectionClosed:
        return


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tls", nargs=2, type=Path, metavar=("CERT", "KEY"))
    options = parser.parse_args()
    context = None
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.tls)
    with serve(echo, "127.0.0.1", 0, ssl=context, ping_interval=None, max_size=None) as server:
        print(server.socket.getsockname()[1], flush=True)  # noqa: T201
        server.serve_forever()


if __name__ == "__main__":
    main()
