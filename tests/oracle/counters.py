"""A server's counters, read from its database in the model's terms."""

from __future__ import annotations

import sqlite3

from tests.oracle.model import Counts

AT = "apis.kind, apis.name, operations.key"
OF_OPERATION = "JOIN operations ON operations.number = operation JOIN apis ON apis.number = operations.api"
OF_CONSUMER = "LEFT JOIN consumers ON consumers.number = consumer"
DEVIATION = 'apis.kind, apis.name, deviations.operation, deviations.kind, "where", pointer'
OF_API = "JOIN apis ON apis.number = deviations.api"

QUERIES = {
    "operations": f"""SELECT {AT}, count FROM operations
        JOIN apis ON apis.number = operations.api WHERE count <> 0""",
    "uncertain": f"""SELECT {AT}, uncertain FROM operations
        JOIN apis ON apis.number = operations.api WHERE uncertain <> 0""",
    "calls": f"SELECT {AT}, hour, consumers.kind, consumers.name, status, sum(calls.count) FROM calls"
    f" {OF_OPERATION} {OF_CONSUMER} GROUP BY operation, hour, consumer, status",
    "latency": f"SELECT {AT}, day, bucket, latency.count FROM latency {OF_OPERATION}",
    "verdicts": f"SELECT {AT}, verdict, verdicts.count FROM verdicts {OF_OPERATION}",
    "deviations": f"""SELECT {DEVIATION}, consumers.kind, consumers.name, count FROM deviation_calls
        JOIN deviations ON deviations.number = deviation {OF_API} {OF_CONSUMER}""",
    "coverage": f"""SELECT {AT}, coalesce(consumers.kind, 'everyone'), coalesce(consumers.name, ''), part,
        part_counts.count FROM part_counts {OF_OPERATION} {OF_CONSUMER}""",
}
SEEN = f"""SELECT {AT}, {{}} FROM operations JOIN apis ON apis.number = operations.api WHERE count > 0"""
SEEN_DEVIATIONS = f"""SELECT {DEVIATION}, {{}} FROM deviations {OF_API}
    WHERE deviations.number IN (SELECT deviation FROM deviation_calls)"""


def counters(db: sqlite3.Connection) -> Counts:
    """All counters. Two rows with one key are an error."""
    found = {name: _table(db, query) for name, query in QUERIES.items()}
    for column in ("first_seen", "last_seen"):
        seen = _table(db, SEEN.format(column)) | _table(db, SEEN_DEVIATIONS.format(column))
        found[column.replace("_", " ")] = seen
    return found


def _table(db: sqlite3.Connection, query: str) -> dict[tuple[str | int, ...], int]:
    rows = [*db.execute(query)]
    found = {tuple(key): int(count) for *key, count in rows}
    assert len(found) == len(rows), "a key is counted in two places"
    return found
