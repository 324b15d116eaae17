"""Repairs references to lost rows: by a stand-in, by re-validation, or by removal."""

from __future__ import annotations

import sqlite3

from server.store.sqlite.stand_ins import CONSUMER_KIND, NAME

REFERRING = ("api_keys", "hosts", "operations", "exchanges", "specs", "deviations", "rebuilt", "learners")
CALLING = ("calls", "deviation_calls", "coverage", "exchanges")
COUNTED = ("calls", "latency", "verdicts", "coverage", "sub_operations")


def mend(db: sqlite3.Connection, now: int) -> dict[str, int]:
    """Adds stand-ins for lost rows or removes what refers to them. Returns the number of removed rows by
    table.
    """
    gone: dict[str, int] = {}

    def drop(table: str, condition: str) -> None:
        count = db.execute(f"DELETE FROM {table} WHERE {condition}").rowcount
        if count:
            gone[table] = gone.get(table, 0) + count

    drop("exchanges", "number NOT IN (SELECT number FROM witnesses)")
    held = ""
    if _exists(db, "held"):
        drop(
            "held", "number NOT IN (SELECT number FROM witnesses) OR number IN (SELECT number FROM exchanges)"
        )
        drop("alone", "number NOT IN (SELECT number FROM exchanges)")
        held = " AND number NOT IN (SELECT number FROM held)"
    drop("witnesses", f"exchange NOT IN (SELECT number FROM exchanges){held}")
    drop("deviation_calls", "deviation NOT IN (SELECT number FROM deviations)")
    for table in COUNTED if _exists(db, "sub_operations") else COUNTED[:-1]:
        drop(table, "operation NOT IN (SELECT number FROM operations)")
    db.execute("UPDATE exchanges SET second = NULL WHERE second NOT IN (SELECT number FROM witnesses)")
    db.execute(  # to be validated again; subtracted from no operation, as the counts of theirs are lost
        """UPDATE exchanges SET revision = min(revision, ~revision), operation = 0
        WHERE operation NOT IN (SELECT number FROM operations)"""
    )
    _remove_parts(db)
    _add_stand_ins(db)
    _restore_watermarks(db, now)
    return gone


def _remove_parts(db: sqlite3.Connection) -> None:
    """Removes counts of parts whose names are lost: their numbers may be assigned again."""
    if _exists(db, "parts"):
        db.execute(
            """UPDATE coverage SET counts = (SELECT json_group_object(key, value) FROM json_each(counts)
            WHERE CAST(key AS INTEGER) IN (SELECT number FROM parts))"""
        )


def _exists(db: sqlite3.Connection, table: str) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None


def _add_stand_ins(db: sqlite3.Connection) -> None:
    """Adds stand-ins for APIs and consumers that are referred to and whose names are lost."""
    apis = " UNION ".join(f"SELECT api AS number FROM {table}" for table in REFERRING)
    id, random = (", id", ", lower(hex(randomblob(8)))") if _has_ids(db) else ("", "")
    db.execute(
        f"""INSERT INTO apis (number{id}, kind, name, internal, revision)
        SELECT number{random}, 'host', {NAME.format(number="number")}, 0, (SELECT
            coalesce(max(max(revision, ~revision)), 0) FROM exchanges WHERE api = lost.number)
        FROM ({apis}) AS lost WHERE number NOT IN (SELECT number FROM apis)"""
    )
    consumers = " UNION ".join(f"SELECT consumer AS number FROM {table}" for table in CALLING)
    db.execute(
        f"""INSERT INTO consumers (number, kind, name)
        SELECT number, '{CONSUMER_KIND}', {NAME.format(number="number")}
        FROM ({consumers}) WHERE number <> 0 AND number NOT IN (SELECT number FROM consumers)"""
    )


def _has_ids(db: sqlite3.Connection) -> bool:
    """Whether APIs have separate ids, as before numbers were derived from keys."""
    return db.execute("SELECT 1 FROM pragma_table_info('apis') WHERE name = 'id'").fetchone() is not None


def _restore_watermarks(db: sqlite3.Connection, now: int) -> None:
    """Restores lost watermarks: of learning, so that no exchange is learned from twice; of arrival times; and
    of record numbers.
    """
    db.execute(
        """INSERT INTO learning SELECT max(number) FROM exchanges
        WHERE NOT EXISTS (SELECT 1 FROM learning) AND EXISTS (SELECT 1 FROM learners) HAVING max(number)"""
    )
    db.execute(
        """INSERT INTO arrivals SELECT ? / 3600000000000, min(number) FROM exchanges
        WHERE NOT EXISTS (SELECT 1 FROM arrivals) HAVING min(number)""",
        (now,),
    )
    if _exists(db, "numbers"):
        db.execute("INSERT INTO numbers VALUES ('records', 1) ON CONFLICT DO NOTHING")
        (highest,) = db.execute("SELECT coalesce(max(number), 0) FROM witnesses").fetchone()
        db.execute("UPDATE numbers SET next = max(next, ?)", (highest + 1,))
