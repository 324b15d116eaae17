"""A gRPC client on grpcio: makes a call of each kind (programs/grpc_server.py), or `--each` calls.

Prints a JSON line per call: id, path, status, sizes of messages sent and received. With `--ca` it uses TLS by
the BoringSSL in grpcio.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc

EXPANDED = 5
COLLECTED = 4
CHATTED = 3
DEADLINE = 60
Outcome = tuple[list[int], list[int]]
"""The sizes of the messages sent and received."""


def _message(name: str, number: int) -> bytes:
    return f"{name}|{number}|{'words and words ' * 20}".encode()


def _many(name: str, count: int) -> list[bytes]:
    return [_message(name, number) for number in range(count)]


def _sizes(messages: Iterable[bytes]) -> list[int]:
    return [len(message) for message in messages]


def _unary(channel: Any, path: str, name: str) -> Outcome:
    asked = _message(name, 1)
    return [len(asked)], [len(channel.unary_unary(path)(asked, timeout=DEADLINE))]


def _collect(channel: Any, path: str, name: str) -> Outcome:
    asked = _many(name, COLLECTED)
    return _sizes(asked), [len(channel.stream_unary(path)(iter(asked), timeout=DEADLINE))]


def _expand(channel: Any, path: str, name: str) -> Outcome:
    asked = _message(name, EXPANDED)
    return [len(asked)], _sizes(channel.unary_stream(path)(asked, timeout=DEADLINE))


def _chat(channel: Any, path: str, name: str) -> Outcome:
    asked = _many(name, CHATTED)
    return _sizes(asked), _sizes(channel.stream_stream(path)(iter(asked), timeout=DEADLINE))


def _refuse(channel: Any, path: str, name: str) -> Outcome:
    asked = _message(name, 1)
    with suppress(grpc.RpcError):
        channel.unary_unary(path)(asked, timeout=DEADLINE)
    return [len(asked)], []


def _break(channel: Any, path: str, name: str) -> Outcome:
    asked = _message(name, 1)
    received: list[int] = []
    with suppress(grpc.RpcError):
        for message in channel.unary_stream(path)(asked, timeout=DEADLINE):
            received.append(len(message))
    return [len(asked)], received


STATUSES = {"Refuse": grpc.StatusCode.NOT_FOUND, "Break": grpc.StatusCode.DATA_LOSS}
KINDS: dict[str, Callable[[Any, str, str], Outcome]] = {
    "Unary": _unary,
    "Collect": _collect,
    "Expand": _expand,
    "Chat": _chat,
    "Refuse": _refuse,
    "Break": _break,
}


def _cancel(channel: Any, path: str, name: str) -> None:
    """A stream that is cancelled after its first response, so that no status arrives."""
    asked = threading.Event()

    def messages() -> Iterator[bytes]:
        yield _message(name, 1)
        asked.wait(DEADLINE)

    answers = channel.stream_stream(path)(messages(), timeout=DEADLINE)
    next(answers)
    answers.cancel()
    asked.set()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--prefix", required=True, help="of the ids")
    parser.add_argument("--each", type=int, default=1)
    parser.add_argument("--ca", type=Path)
    parser.add_argument("--cancel", action="store_true", help="make a call that is cancelled, too")
    options = parser.parse_args()
    target = f"127.0.0.1:{options.port}"
    if options.ca:
        channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(options.ca.read_bytes()))
    else:
        channel = grpc.insecure_channel(target)
    with channel:
        for number in range(options.each):
            for kind, make in KINDS.items():
                name = f"{options.prefix}-{kind.lower()}-{number:03d}"
                path = f"/spectap.test.{kind}/{name}"
                sent, received = make(channel, path, name)
                status = STATUSES.get(kind, grpc.StatusCode.OK).value[0]
                fact = {"id": name, "path": path, "status": status, "sent": sent, "received": received}
                sys.stdout.write(json.dumps(fact) + "\n")
        if options.cancel:
            name = f"{options.prefix}-cancel"
            _cancel(channel, f"/spectap.test.Chat/{name}", name)


if __name__ == "__main__":
    main()
