"""A gRPC server on grpcio. Messages are any bytes; a call's path is /spectap.test.KIND/ID.

Prints its port once it listens. `--tls` speaks TLS, by the BoringSSL that grpcio contains. Kinds: Unary
returns its message, Collect takes many and returns one, Expand returns one several times, Chat answers each;
Refuse fails before any message (NOT_FOUND), Break fails after two (DATA_LOSS).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc


def unary(message: bytes, context: Any) -> bytes:
    return message


def collect(messages: Iterator[bytes], context: Any) -> bytes:
    return list(messages)[-1]


def expand(message: bytes, context: Any) -> Iterator[bytes]:
    yield from [message] * int(message.split(b"|")[1])


def chat(messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
    yield from messages


def refuse(message: bytes, context: Any) -> bytes:
    context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
    raise AssertionError("abort raises")


def broken(message: bytes, context: Any) -> Iterator[bytes]:
    yield message
    yield message
    context.abort(grpc.StatusCode.DATA_LOSS, "no more of it")


KINDS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Collect": grpc.stream_unary_rpc_method_handler(collect),
    "Expand": grpc.unary_stream_rpc_method_handler(expand),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
    "Refuse": grpc.unary_unary_rpc_method_handler(refuse),
    "Break": grpc.unary_stream_rpc_method_handler(broken),
}


class ByService(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """The last word of the service is the kind; the method, which may be any, is the call's id."""

    def service(self, details: Any) -> Any:
        return KINDS.get(details.method.split("/")[1].rsplit(".", 1)[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tls", nargs=2, type=Path, metavar=("CERTIFICATE", "KEY"))
    options = parser.parse_args()
    server = grpc.server(ThreadPoolExecutor(8), handlers=(ByService(),))
    if options.tls:
        certificate, key = (path.read_bytes() for path in options.tls)
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
