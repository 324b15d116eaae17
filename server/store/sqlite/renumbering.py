"""Replaces the sequence numbers of older databases by the numbers of store/keys.py.

All tables that refer to a number are rewritten, and rows that become one are added up. An API's key is what
it was recognised by. For merged APIs that was not stored; the key is derived from what is known, if exactly
one key fits. The old public ids of APIs and deviations stay valid as aliases.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from server.store.keys import Numbered, Part, check_key, number_of

log = logging.getLogger(__name__)

AT_ONCE = 50_000  # exchanges
LOG_EVERY_S = 5.0
KEPT = "kept"  # prefix of an API's key if nothing stored says what it was recognised by
MAX_NAME = 200

Key = tuple[Part, ...]

COUNTS = {
    "calls": ("operation", "hour", "consumer", "status"),
    "latency": ("operation", "day", "bucket"),
    "verdicts": ("operation", "verdict"),
    "deviation_calls": ("deviation", "consumer"),
}
"""Tables of counts, with the columns of their keys."""
RENUMBERED = ("operation", "consumer", "deviation")
OF_APIS = ("api_keys", "specs", "learners", "decisions", "deviation_decisions", "hosts")
EXCHANGES_INDEX = "CREATE INDEX exchanges_api ON exchanges(api, time, number)"


@dataclass(frozen=True, slots=True)
class OldApi:
    """A row of `apis`, and how its key was stored."""

    number: int
    id: str
    kind: str
    name: str
    node: str | None
    process: str | None
    executable: str | None
    port: int | None
    merged_into: int | None


def renumber(db: sqlite3.Connection) -> None:
    """Runs in the caller's transaction. Raises ValueError if a key cannot be read.

    Working tables are temporary unless they are large: created in the file, they could make the schema
    outgrow the first page. It would stay on several pages, and losing any one of them would lose the
    database.
    """
    db.create_function("number_of", -1, number_of, deterministic=True)
    try:
        _rewrite(db)
    except sqlite3.OperationalError as error:
        if "user-defined function" in str(error):  # a key of an unknown type
            raise ValueError("a key cannot be read") from error
        raise
    finally:
        db.create_function("number_of", -1, None)


def _rewrite(db: sqlite3.Connection) -> None:
    merged = _apis(db)
    _rows(db)
    _counts(db)
    _exchanges(db)
    _mark_merged(db, merged)
    for name in ("api", *RENUMBERED):
        db.execute(f"DROP TABLE moved_{name}")


def _apis(db: sqlite3.Connection) -> Sequence[int]:
    """Rewrites the APIs. Returns the new numbers that several unmerged APIs share."""
    columns = "number, id, kind, name, node, process, executable, port, merged_into"
    olds = [OldApi(*row) for row in db.execute(f"SELECT {columns} FROM apis ORDER BY number")]
    keys = OldKeys(db).of(olds)
    own = {one.number: number_of(Numbered.API, *keys[one.number]) for one in olds}
    merged = {own[one.number]: one.merged_into for one in olds if one.merged_into is not None}
    of_number: dict[int, Key] = {}
    for old, number in own.items():
        check_key(Numbered.API, number, keys[old], of_number.setdefault(number, keys[old]))
    final: dict[int, int] = {}
    for one in olds:
        into = one.merged_into if one.merged_into is not None else merged.get(own[one.number])
        final[one.number] = own.get(into, own[one.number]) if into is not None else own[one.number]
    db.execute("CREATE TEMP TABLE moved_api (old INTEGER PRIMARY KEY, new INTEGER NOT NULL)")
    db.executemany("INSERT INTO moved_api VALUES (?, ?)", final.items())
    db.execute(
        "CREATE TEMP TABLE api_number (old INTEGER PRIMARY KEY, number INTEGER NOT NULL, key TEXT NOT NULL)"
    )
    db.executemany(
        "INSERT INTO api_number VALUES (?, ?, ?)",
        [(old, number, json.dumps(keys[old])) for old, number in own.items()],
    )
    for statement in REBUILD_APIS:
        db.execute(statement)
    live = Counter(final[one.number] for one in olds if one.merged_into is None)
    return [number for number, count in live.items() if count > 1]


REBUILD_APIS = (
    """CREATE TEMP TABLE old_apis AS SELECT apis.*, api_number.number AS own, new, key FROM apis
    JOIN api_number ON api_number.old = apis.number JOIN moved_api ON moved_api.old = apis.number""",
    "DROP TABLE apis",
    """CREATE TABLE apis (
    number INTEGER PRIMARY KEY, key TEXT, kind TEXT NOT NULL, name TEXT NOT NULL, internal INTEGER NOT NULL,
    node TEXT, process TEXT, executable TEXT, port INTEGER, namespace TEXT, workload TEXT,
    revision INTEGER NOT NULL DEFAULT 0, merged_into INTEGER REFERENCES apis(number))""",
    """INSERT OR IGNORE INTO apis SELECT own, key, kind, name, internal, node, process, executable, port,
    namespace, workload, revision, nullif(new, own) FROM old_apis ORDER BY new <> own, number""",
    """CREATE TABLE aliases (
    kind TEXT NOT NULL, old TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (kind, old)) WITHOUT ROWID""",
    "INSERT INTO aliases SELECT 'api', id, new FROM old_apis",
    "INSERT OR IGNORE INTO aliases SELECT 'api', number, new FROM old_apis",
    "DROP TABLE old_apis",
    "DROP TABLE api_number",
)


class OldKeys:
    """The keys that APIs were recognised by."""

    def __init__(self, db: sqlite3.Connection) -> None:
        rows = db.execute("SELECT key, api, state FROM api_keys ORDER BY key").fetchall()
        self._own: dict[int, Key] = {}
        self._free: list[tuple[Key, int | None]] = []  # to the API they lead to; None: to two servers
        for text, api, state in rows:
            key = tuple(json.loads(text))
            if state == "own":
                self._own[api] = key
                continue
            self._free.append((key, api if state == "learned" else None))
            if state == "ambiguous":
                self._own[api] = ("ambiguous", *key)
        self._hosts = {(api, host) for api, host in db.execute("SELECT api, host FROM hosts")}

    def of(self, apis: Sequence[OldApi]) -> dict[int, Key]:
        """The key of each API. Keys are unique, except among APIs declared by the same name."""
        guessed = {one.number: [*self._guesses(one)] for one in apis if one.number not in self._own}
        wanted = Counter(key for keys in guessed.values() for key in keys)
        found: dict[int, Key] = dict(self._own)
        for one in apis:
            if one.number in found:
                continue
            keys = guessed[one.number]
            if one.kind == "declared":
                found[one.number] = self._declared(one)
            elif len(keys) == 1 and wanted[keys[0]] == 1:
                found[one.number] = keys[0]
            else:
                found[one.number] = (KEPT, one.id)
        return found

    def _declared(self, one: OldApi) -> Key:
        workload = f"workload:{one.name}"
        api = one.number if one.merged_into is None else one.merged_into
        return (one.kind, workload if (api, workload) in self._hosts else one.name)

    def _guesses(self, one: OldApi) -> Iterator[Key]:
        for key, api in self._free:
            if api in (None, one.merged_into) and key[0] == one.kind and _fits(key, one):
                yield key


def _fits(key: Key, one: OldApi) -> bool:
    match one.kind:
        case "workload":
            return one.name == "/".join(str(part) for part in key[2:] if part)[:MAX_NAME]
        case "address":
            ip, port = key[-2:]
            return one.name == (f"[{ip}]:{port}" if ":" in str(ip) else f"{ip}:{port}")
        case "process":
            return (one.node, one.executable or one.process, one.port) == (key[2], key[4], key[5])
    return one.name == str(key[-1])[:MAX_NAME]


def _rows(db: sqlite3.Connection) -> None:
    """Rewrites rows with a number of their own, and rows that only refer to APIs."""
    for table in OF_APIS:
        db.execute(
            f"UPDATE OR IGNORE {table} SET api = (SELECT new FROM moved_api WHERE old = api)"
            " WHERE api IN (SELECT old FROM moved_api)"
        )
    for table in ("hosts", "deviation_decisions"):  # two rows that become one; keep either
        db.execute(f"DELETE FROM {table} WHERE api IN (SELECT old FROM moved_api)")
    db.execute(
        """UPDATE rebuilt SET api = (SELECT new FROM moved_api WHERE old = api) WHERE api IN
        (SELECT min(api) FROM rebuilt JOIN moved_api ON old = api GROUP BY new)"""
    )
    for statement in ROWS:
        db.execute(statement)


API = "coalesce((SELECT new FROM moved_api WHERE old = api), api)"
ROWS = (
    "CREATE TEMP TABLE moved_operation (old INTEGER PRIMARY KEY, new INTEGER NOT NULL)",
    f"""INSERT INTO moved_operation
    SELECT number, number_of('operation', {API}, CAST(key AS TEXT)) FROM operations""",
    f"""CREATE TABLE staged AS SELECT new AS number, {API} AS api, key,
    CASE WHEN max(kind = 'specified') THEN 'specified' ELSE kind END AS kind, method, template,
    max(operation_id) AS operation_id, max(deprecated) AS deprecated, sum(count) AS count,
    min(first_seen) AS first_seen, max(last_seen) AS last_seen
    FROM operations JOIN moved_operation ON old = number GROUP BY 1, 2, 3""",
    "DELETE FROM operations",
    "INSERT INTO operations SELECT * FROM staged ORDER BY number",
    "DROP TABLE staged",
    "CREATE TEMP TABLE moved_consumer (old INTEGER PRIMARY KEY, new INTEGER NOT NULL)",
    """INSERT INTO moved_consumer
    SELECT number, number_of('consumer', CAST(kind AS TEXT), CAST(name AS TEXT)) FROM consumers""",
    "CREATE TABLE staged AS SELECT new, kind, name FROM consumers JOIN moved_consumer ON old = number",
    "DELETE FROM consumers",
    "INSERT INTO consumers SELECT * FROM staged ORDER BY new",
    "DROP TABLE staged",
    "CREATE TEMP TABLE moved_deviation (old INTEGER PRIMARY KEY, new INTEGER NOT NULL)",
    f"""INSERT INTO moved_deviation
    SELECT number, number_of('deviation', {API}, CAST(operation AS TEXT), CAST(kind AS TEXT),
    CAST("where" AS TEXT), CAST(pointer AS TEXT)) FROM deviations""",
    f"""CREATE TABLE staged AS SELECT new AS number, {API} AS api, operation, kind, "where", pointer, message,
    min(first_seen) AS first_seen, max(last_seen) AS last_seen, sample, max(revision) AS revision
    FROM deviations JOIN moved_deviation ON old = number GROUP BY 1, 2, 3, 4, 5, 6""",
    "DELETE FROM deviations",
    "INSERT INTO deviations SELECT * FROM staged ORDER BY number",
    "DROP TABLE staged",
    "INSERT INTO aliases SELECT 'deviation', old, new FROM moved_deviation",
)


def _new(column: str) -> str:
    """A column's new number. A value that refers to nothing (such as 0, everyone) is unchanged."""
    moved = f"SELECT new FROM moved_{column} WHERE old = {column}"
    return f"coalesce(({moved}), {column})" if column in RENUMBERED else column


def _counts(db: sqlite3.Connection) -> None:
    for table, key in COUNTS.items():
        columns = ", ".join(f"{_new(column)} AS {column}" for column in key)
        places = ", ".join(str(place + 1) for place in range(len(key)))
        db.execute(
            f"CREATE TABLE staged AS SELECT {columns}, sum(count) AS count FROM {table} GROUP BY {places}"
        )
        db.execute(f"DELETE FROM {table}")
        db.execute(f"INSERT INTO {table} SELECT * FROM staged ORDER BY {places}")
        db.execute("DROP TABLE staged")
    for statement in COVERAGE:
        db.execute(statement)


COVERAGE = (
    f"""CREATE TABLE staged AS SELECT {_new("operation")} AS operation, {_new("consumer")} AS consumer,
    max(counts) AS counts FROM coverage GROUP BY 1, 2""",  # counted again for APIs that are merged here
    "DELETE FROM coverage",
    "INSERT INTO coverage SELECT * FROM staged ORDER BY operation, consumer",
    "DROP TABLE staged",
)


def _exchanges(db: sqlite3.Connection) -> None:
    (total,) = db.execute("SELECT count(*) FROM exchanges").fetchone()
    logged, done, last = time.monotonic(), 0, -1
    if total >= AT_ONCE:
        log.warning("the database is brought to a new version, once: %d exchanges to rewrite", total)
    db.execute("DROP INDEX exchanges_api")
    while True:
        (upto,) = db.execute(
            "SELECT max(number) FROM (SELECT number FROM exchanges WHERE number > ? ORDER BY number LIMIT ?)",
            (last, AT_ONCE),
        ).fetchone()
        if upto is None:
            break
        done += db.execute(
            f"""UPDATE exchanges SET api = {API}, operation = {_new("operation")},
            consumer = {_new("consumer")} WHERE number > ? AND number <= ?""",
            (last, upto),
        ).rowcount
        last = upto
        if time.monotonic() - logged >= LOG_EVERY_S:
            logged = time.monotonic()
            log.warning("%d of %d exchanges rewritten", done, total)
    db.execute(EXCHANGES_INDEX)


def _mark_merged(db: sqlite3.Connection, apis: Iterable[int]) -> None:
    """APIs merged here: their exchanges must be re-validated and their coverage counted again."""
    for api in apis:
        db.execute(
            "DELETE FROM coverage WHERE operation IN (SELECT number FROM operations WHERE api = ?)", (api,)
        )
        db.execute(
            """UPDATE apis SET revision = 1 + max(revision,
            (SELECT coalesce(max(revision), 0) FROM exchanges WHERE api = ?1)) WHERE number = ?1""",
            (api,),
        )
