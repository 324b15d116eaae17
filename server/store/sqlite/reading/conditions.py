"""Query conditions and filters that several lists share."""

from __future__ import annotations

from server.store.filters import Filters

Value = int | str | bytes


class Conditions:
    """Conditions with their values, joined by AND. A condition is left out if one of its values is None."""

    def __init__(self) -> None:
        self._conditions = ["1"]
        self.values: list[Value] = []

    def add(self, condition: str, *values: Value | bool | None) -> None:
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            self._conditions.append(condition)
            self.values.extend(known)

    def __str__(self) -> str:
        return " AND ".join(self._conditions)


JUDGED = "SELECT 1 FROM verdicts WHERE operation = operations.number"
CALLED = """SELECT 1 FROM calls JOIN consumers ON consumers.number = calls.consumer
    WHERE operation = operations.number"""


SEEN = "SELECT 1 FROM exchanges WHERE exchanges.api = apis.number"


def add_called(where: Conditions, filters: Filters) -> None:
    """Limits operations to those called with a status or by a consumer."""
    where.add(f"EXISTS ({CALLED} AND consumers.name = ?)", filters.consumer)
    where.add(f"EXISTS ({CALLED} AND status = ?)", filters.status)
    where.add(f"EXISTS ({CALLED} AND status / 100 = ?)", filters.status_class)


def add_places(where: Conditions, filters: Filters) -> None:
    """Limits to APIs that are there, or have stored exchanges of a pod or an image."""
    where.add("apis.namespace = ?", filters.namespace)
    where.add("apis.workload = ?", filters.workload)
    where.add("apis.cluster = ?", filters.cluster)
    where.add(f"EXISTS ({SEEN} AND instr(pods, char(10) || ? || char(10)))", filters.pod)
    where.add(f"EXISTS ({SEEN} AND instr(images, char(10) || ? || char(10)))", filters.image)


def twice(value: str | bytes | None) -> tuple[str | bytes | None, str | bytes | None]:
    return value, value


def status_of(stored: int) -> int | None:
    """The stored form of a status: 0 for calls without a response."""
    return stored or None
