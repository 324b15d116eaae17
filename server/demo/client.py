"""The sample client: calls both services at a slow pace, mostly as documented.

`python -m server.demo.client ORDERS_PORT PAYMENTS_PORT CERTIFICATE`. Ends when killed.
"""

from __future__ import annotations

import http.client
import itertools
import json
import ssl
import sys
import time
from collections.abc import Callable, Iterator

from server.analysis.json import Json

PACE_S = 0.2
PATIENCE_S = 10.0
TOKEN = "Bearer demo-7c1f0e5a9b3d"
CARD = "4111111111111111"  # the card industry's own test number

Call = Callable[[str, str, Json], Json]
"""(method, path, JSON body or None) → the answer's JSON, or None."""


class SampleClient:
    """One keep-alive connection, opened anew when it breaks."""

    def __init__(self, connection: http.client.HTTPConnection, headers: dict[str, str]) -> None:
        self._connection = connection
        self._headers = {"user-agent": "demo-shop/1.0", **headers}

    def call(self, method: str, path: str, body: Json = None) -> Json:
        raw = None if body is None else json.dumps(body)
        headers = self._headers if raw is None else {**self._headers, "content-type": "application/json"}
        try:
            self._connection.request(method, path, raw, headers)
            answer = self._connection.getresponse().read()
            found: Json = json.loads(answer) if answer else None
        except (OSError, http.client.HTTPException, ValueError):
            self._connection.close()
            return None
        return found


def round_of_calls(orders: Call, payments: Call) -> Iterator[str]:
    """Makes one call per step, and yields its kind."""
    order = orders("POST", "/v1/orders", {"customer": "ada", "items": [{"sku": "tea", "quantity": 2}]})
    number = order["id"] if isinstance(order, dict) and "id" in order else 0
    yield "documented"
    orders("GET", f"/v1/orders/{number}", None)
    yield "documented"
    payment = payments("POST", "/payments", {"amount": 9.0, "currency": "EUR", "card": {"number": CARD}})
    yield "without a specification"
    orders("GET", f"/v1/orders/{number}/status", None)
    yield "deprecated"
    orders("GET", "/internal/debug/cache", None)
    yield "undocumented path"
    orders("GET", "/v1/orders?status=open&colour=red", None)
    yield "undocumented query parameter"
    orders("POST", "/v1/orders", {"items": [{"sku": "cup", "quantity": "two"}]})
    yield "a field missing, another of the wrong type"
    if isinstance(payment, dict) and "id" in payment:
        payments("GET", f"/payments/{payment['id']}", None)
        yield "without a specification"
    orders("GET", "/v1/orders?status=open", None)
    yield "documented"
    orders("POST", f"/v1/orders/{number}/refunds", {"reason": "late"})
    yield "undocumented path"
    orders("DELETE", f"/v1/orders/{number}", None)
    yield "documented"
    orders("GET", f"/v1/orders/{number}", None)
    yield "documented: not found"


def main(arguments: list[str]) -> None:
    orders_port, payments_port, certificate = int(arguments[0]), int(arguments[1]), arguments[2]
    context = ssl.create_default_context(cafile=certificate)
    plain = http.client.HTTPConnection("127.0.0.1", orders_port, timeout=PATIENCE_S)
    secure = http.client.HTTPSConnection("127.0.0.1", payments_port, timeout=PATIENCE_S, context=context)
    orders, payments = SampleClient(plain, {}), SampleClient(secure, {"authorization": TOKEN})
    for _ in itertools.count():
        for _kind in round_of_calls(orders.call, payments.call):
            time.sleep(PACE_S)


if __name__ == "__main__":
    main(sys.argv[1:])
