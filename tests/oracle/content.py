"""Everything that a server shows of its stored data, by name: it must not depend on the order of arrival."""

from __future__ import annotations

import sqlite3

from tests.oracle.counters import AT, DEVIATION, OF_API, counters

Rows = set[tuple[object, ...]]

OF = "JOIN apis ON apis.number = api"
CALLED = "apis.number IN (SELECT api FROM operations WHERE count > 0)"
QUERIES = {
    "apis": """SELECT kind, name, internal, node, process, executable, port, namespace, workload FROM apis
        WHERE merged_into IS NULL AND number IN (SELECT api FROM operations WHERE count > 0)""",
    "hosts": f"SELECT apis.kind, apis.name, host FROM hosts {OF} WHERE NOT declared AND {CALLED}",
    "addresses": f"SELECT apis.kind, apis.name, api_keys.key, state FROM api_keys {OF}",
    "operations": f"""SELECT {AT}, operations.kind, method, template, operation_id, deprecated FROM operations
        {OF} WHERE count > 0""",
    "deviations": f"""SELECT {DEVIATION}, message, sample FROM deviations {OF_API}
        WHERE deviations.number IN (SELECT deviation FROM deviation_calls)""",
    "exchanges": """SELECT (SELECT group_concat(id) FROM
        (SELECT id FROM witnesses WHERE exchange = exchanges.number ORDER BY id)),
        apis.kind, apis.name, operations.key, consumers.kind, consumers.name, time, exchanges.method, path,
        status, bucket, duration, verdict, why, exchanges.deprecated, deviations, namespaces, workloads
        FROM exchanges JOIN operations ON operations.number = operation JOIN consumers
        ON consumers.number = consumer JOIN apis ON apis.number = exchanges.api""",
}


def content(db: sqlite3.Connection) -> dict[str, Rows]:
    """By table, including counters."""
    found = {name: {tuple(row) for row in db.execute(query)} for name, query in QUERIES.items()}
    counted = {f"counted {name}": {*table.items()} for name, table in counters(db).items()}
    return {**found, **counted}
