"""The sample HTTP service: orders. It deviates from its specification.

Every fifth order has its total as text, `refunds` and the debug page are undocumented, and an order without
the required customer is accepted.
"""

from __future__ import annotations

from server.analysis.json import Json, JsonObject
from server.demo.service import Answer, serve

MOST_ORDERS = 100
PRICES = {"tea": 4.5, "cup": 12.0, "kettle": 39.9}
NOT_FOUND: Answer = (404, {"error": "no such order"})


class Orders:
    """The orders of one run, the oldest forgotten."""

    def __init__(self) -> None:
        self._orders: dict[int, JsonObject] = {}
        self._next = 1001

    def call(self, method: str, path: list[str], query: dict[str, list[str]], body: Json) -> Answer:
        match method, path:
            case "GET", ["v1", "orders"]:
                return 200, self._list(query.get("status", [None])[0])
            case "POST", ["v1", "orders"]:
                return self._create(body)
            case "GET", ["v1", "orders", number]:
                return self._found(number)
            case "DELETE", ["v1", "orders", number]:
                return (204, None) if self._orders.pop(_number(number), None) else NOT_FOUND
            case "GET", ["v1", "orders", number, "status"]:
                order = self._orders.get(_number(number))
                return (200, {"status": order["status"]}) if order else NOT_FOUND
            case "POST", ["v1", "orders", number, "refunds"]:
                return (202, {"refund": "accepted"}) if _number(number) in self._orders else NOT_FOUND
            case "GET", ["internal", "debug", "cache"]:
                return 200, {"entries": len(self._orders)}
        return 404, {"error": "no such page"}

    def _list(self, status: str | None) -> JsonObject:
        orders: list[Json] = [
            order for order in list(self._orders.values()) if status in (None, order["status"])
        ]
        return {"orders": orders[-10:]}

    def _create(self, body: Json) -> Answer:
        asked = body if isinstance(body, dict) else {}
        items = asked.get("items")
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            return 400, {"error": "items are missing"}
        number = self._next
        self._next += 1
        total = round(sum(map(_price, items)), 2)
        order: JsonObject = {
            "id": number,
            "customer": asked.get("customer"),
            "status": "open",
            "items": items,
            "total": str(total) if number % 5 == 0 else total,
        }
        if order["customer"] is None:
            del order["customer"]
        self._orders[number] = order
        while len(self._orders) > MOST_ORDERS:
            del self._orders[next(iter(self._orders))]
        return 201, order

    def _found(self, number: str) -> Answer:
        order = self._orders.get(_number(number))
        return (200, order) if order else NOT_FOUND


def _price(item: Json) -> float:
    return PRICES.get(str(item.get("sku")), 1.0) if isinstance(item, dict) else 0.0


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


if __name__ == "__main__":
    serve(Orders().call)
