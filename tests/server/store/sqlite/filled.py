"""A database with many exchanges, filled by SQL: quick, and of the shape that ingest gives it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from agent.wire import pack_record
from server.store.sqlite.connection import FILE
from server.store.sqlite.store import SqliteStore
from tests.server.records import NOON, record

APIS, OPERATIONS, CONSUMERS = 20, 400, 50
SECOND_NS = 1_000_000_000
ROWS = "WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {} - 1)"
API, OPERATION, CONSUMER = 4294967296, 8589934592, 12884901888  # the first number of each


def fill(folder: Path, exchanges: int) -> Path:
    """Of 100 exchanges one is a 5xx, two deviate, one is shadow; one a second, 20 APIs, 400 operations."""
    SqliteStore(folder).close()
    path = folder / FILE
    with sqlite3.connect(path) as db:
        db.execute(
            f"""{ROWS.format(APIS)} INSERT INTO apis (number, kind, name, internal, namespace, workload)
            SELECT {API} + n, 'workload', 'shop/api-' || n, 1, 'shop', 'api-' || n
            FROM n"""
        )
        db.execute(f"INSERT INTO hosts SELECT number, 'api-' || (number - {API}) || '.local:80', 0 FROM apis")
        db.execute(
            f"""{ROWS.format(CONSUMERS)} INSERT INTO consumers SELECT {CONSUMER} + n, 'user-agent',
            'agent-' || n || '/1.0' FROM n"""
        )
        db.execute(
            f"""{ROWS.format(OPERATIONS)} INSERT INTO operations
            (number, api, key, kind, method, template, count, first_seen, last_seen)
            SELECT {OPERATION} + n, {API} + n % {APIS}, 'GET /things/' || n || '/{{id}}', 'specified', 'GET',
            '/things/' || n || '/{{id}}', {exchanges // OPERATIONS}, {NOON}, {NOON} + n FROM n"""
        )
        db.execute(
            f"""{ROWS.format(exchanges)} INSERT INTO exchanges
            (number, time, api, operation, consumer, method, path, status, duration, verdict, deprecated,
            deviations, revision, namespaces, workloads)
            SELECT n + 1, {NOON} + n * {SECOND_NS}, {API} + n % {APIS}, {OPERATION} + n % {OPERATIONS},
            {CONSUMER} + n % 7 * (n % 2), 'GET', CAST('/things/' || n % {OPERATIONS} || '/' || n AS BLOB),
            iif(n % 100 = 7, 503, 200), n % 1000 * 1000000, CASE n % 100 WHEN 7 THEN 'deviating'
            WHEN 8 THEN 'deviating' WHEN 9 THEN 'shadow' ELSE 'conforming' END, 0,
            iif(n % 100 IN (7, 8), '[["GET /things", "unknown-status", "status", "503", "m"]]', '[]'), 1,
            char(10) || 'shop' || char(10), char(10) || 'api-' || n % {APIS} || char(10) FROM n"""
        )
        db.execute(
            f"""{ROWS.format(exchanges)} INSERT INTO witnesses SELECT n + 1, 'r' || n, n + 1, ? FROM n""",
            (pack_record(record(0)),),
        )
        db.execute(
            """INSERT INTO calls SELECT operation, time / 3600000000000, consumer, status, verdict,
            coalesce(fault, ''), count(*) FROM exchanges GROUP BY 1, 2, 3, 4, 5, 6"""
        )
        db.execute("INSERT INTO verdicts SELECT operation, verdict, count(*) FROM exchanges GROUP BY 1, 2")
    return path
