"""The sample HTTPS service: payments, without a specification.

Its calls have a bearer token and card numbers, to show their redaction.
"""

from __future__ import annotations

import ssl
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

from server.analysis.json import Json, JsonObject
from server.demo.service import Answer, serve

MOST_PAYMENTS = 100
NO_OPENSSL = "the demo needs the openssl command to make its certificate: apt-get install openssl"


class Payments:
    """The payments of one run, the oldest forgotten."""

    def __init__(self) -> None:
        self._payments: dict[str, JsonObject] = {}

    def call(self, method: str, path: list[str], query: dict[str, list[str]], body: Json) -> Answer:
        match method, path:
            case "POST", ["payments"] if isinstance(body, dict):
                return self._pay(body)
            case "GET", ["payments", number] if number in self._payments:
                return 200, self._payments[number]
        return 404, {"error": "no such payment"}

    def _pay(self, body: JsonObject) -> Answer:
        number = str(uuid.uuid4())
        self._payments[number] = {"id": number, "amount": body.get("amount"), "state": "settled"}
        while len(self._payments) > MOST_PAYMENTS:
            del self._payments[next(iter(self._payments))]
        return 201, self._payments[number]


def context(certificate: Path) -> ssl.SSLContext:
    """A server's context with a new self-signed certificate, stored at `certificate` for clients to trust.

    The key is deleted from disk before this returns. Raises OSError and CalledProcessError.
    """
    key = certificate.with_suffix(".key")
    command = "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 30 -batch"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    try:
        subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(certificate, key)
    finally:
        key.unlink(missing_ok=True)
    return made


def main(arguments: Sequence[str]) -> int:
    try:
        made = context(Path(arguments[0]))
    except FileNotFoundError:
        sys.stderr.write(f"{NO_OPENSSL}\n")
        return 1
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"openssl could not make the demo's certificate: {error.stderr.decode()}\n")
        return 1
    serve(Payments().call, made)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
