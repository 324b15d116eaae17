"""The tables, as named migrations: each runs in one transaction together with the note that it ran.

Never edit one that was released; add another. Times are integer ns UTC, hours and days count from the
epoch. A number is a row's own key, an id is what the outside sees.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection

from sqlite_utils import Database, Migrations

from server.store.sqlite.renumbering import renumber

migrations = Migrations("spectap")


class NewerSchema(ValueError):
    """The database has been through a migration that is not known here, whose name is the message."""


def migrate(connection: sqlite3.Connection) -> None:
    """Brings a database to the present schema. Raises NewerSchema."""
    db = Database(connection)
    known = {one.name for one in migrations.pending(Database(memory=True))}
    newer = sorted({one.name for one in migrations.applied(db)} - known)
    if newer:
        raise NewerSchema(newer[0])
    migrations.apply(db)


def migrate_like(connection: sqlite3.Connection, names: Collection[str] | None) -> None:
    """Brings a new database to the schema of one that these migrations made; of None, to the present one."""
    db = Database(connection)
    missing = [one.name for one in migrations.pending(db) if names is not None and one.name not in names]
    migrations.apply(db, stop_before=missing[:1])


@migrations()
def m001_inventory(db: Database) -> None:
    """APIs, what they are recognised by, their operations, and who calls."""
    db.executescript("""
    CREATE TABLE apis (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, name TEXT NOT NULL,
        internal INTEGER NOT NULL, node TEXT, process TEXT, executable TEXT, port INTEGER, namespace TEXT,
        workload TEXT, revision INTEGER NOT NULL DEFAULT 0,
        merged_into INTEGER REFERENCES apis(number));
    CREATE TABLE api_keys (
        key TEXT PRIMARY KEY, api INTEGER NOT NULL, state TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX api_keys_api ON api_keys(api);
    CREATE TABLE hosts (
        api INTEGER NOT NULL, host TEXT NOT NULL, declared INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (api, host)) WITHOUT ROWID;
    CREATE TABLE operations (
        number INTEGER PRIMARY KEY, api INTEGER NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL,
        method TEXT NOT NULL, template TEXT NOT NULL, operation_id TEXT,
        deprecated INTEGER NOT NULL DEFAULT 0, count INTEGER NOT NULL DEFAULT 0, first_seen INTEGER,
        last_seen INTEGER, UNIQUE (api, key));
    CREATE TABLE consumers (
        number INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (kind, name));
    """)


@migrations()
def m002_counters(db: Database) -> None:
    """What is counted at ingest, and outlives the samples."""
    db.executescript("""
    CREATE TABLE calls (
        operation INTEGER NOT NULL, hour INTEGER NOT NULL, consumer INTEGER NOT NULL, status INTEGER NOT NULL,
        count INTEGER NOT NULL, PRIMARY KEY (operation, hour, consumer, status)) WITHOUT ROWID;
    CREATE TABLE latency (
        operation INTEGER NOT NULL, day INTEGER NOT NULL, bucket INTEGER NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (operation, day, bucket)) WITHOUT ROWID;
    CREATE TABLE verdicts (
        operation INTEGER NOT NULL, verdict TEXT NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (operation, verdict)) WITHOUT ROWID;
    CREATE TABLE deviations (
        number INTEGER PRIMARY KEY, api INTEGER NOT NULL, operation TEXT NOT NULL, kind TEXT NOT NULL,
        "where" TEXT NOT NULL, pointer TEXT NOT NULL, message TEXT NOT NULL, first_seen INTEGER NOT NULL,
        last_seen INTEGER NOT NULL, sample TEXT NOT NULL, revision INTEGER NOT NULL,
        UNIQUE (api, operation, kind, "where", pointer));
    CREATE INDEX deviations_last_seen ON deviations(last_seen, number);
    CREATE TABLE deviation_calls (
        deviation INTEGER NOT NULL, consumer INTEGER NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (deviation, consumer)) WITHOUT ROWID;
    """)


@migrations()
def m003_samples(db: Database) -> None:
    """Whole exchanges, until retention takes them. An exchange's number is that of its first witness."""
    db.executescript("""
    CREATE TABLE exchanges (
        number INTEGER PRIMARY KEY, time INTEGER NOT NULL, api INTEGER NOT NULL, operation INTEGER NOT NULL,
        consumer INTEGER NOT NULL, method TEXT NOT NULL, path BLOB NOT NULL, status INTEGER NOT NULL,
        bucket INTEGER, duration INTEGER, verdict TEXT, why TEXT, deprecated INTEGER NOT NULL,
        deviations TEXT, revision INTEGER NOT NULL, namespaces TEXT, workloads TEXT, mark INTEGER,
        second INTEGER);
    CREATE INDEX exchanges_time ON exchanges(time, number);
    CREATE INDEX exchanges_mark ON exchanges(mark) WHERE mark IS NOT NULL AND second IS NULL;
    CREATE INDEX exchanges_api ON exchanges(api, time, number);
    CREATE TABLE witnesses (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, exchange INTEGER NOT NULL, record BLOB NOT NULL);
    """)


@migrations()
def m004_specifications(db: Database) -> None:
    db.executescript("""
    CREATE TABLE specs (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, api INTEGER NOT NULL, host TEXT,
        base_path TEXT, title TEXT NOT NULL, version TEXT NOT NULL, uploaded INTEGER NOT NULL,
        raw BLOB NOT NULL);
    CREATE INDEX specs_api ON specs(api);
    """)


@migrations()
def m005_agents(db: Database) -> None:
    """Who delivers, which batches are in, and where every exchange went."""
    db.executescript("""
    CREATE TABLE epochs (
        number INTEGER PRIMARY KEY, agent TEXT NOT NULL, epoch TEXT NOT NULL, floor INTEGER NOT NULL,
        last_seq INTEGER NOT NULL, ledger TEXT NOT NULL, node TEXT, cluster TEXT, records INTEGER NOT NULL,
        first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, UNIQUE (agent, epoch));
    CREATE TABLE batches (
        agent TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL,
        PRIMARY KEY (agent, epoch, seq)) WITHOUT ROWID;
    CREATE TABLE ledger (bucket TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
    """)


@migrations()
def m006_coverage(db: Database) -> None:
    """Parts of specifications that were exercised; consumer 0 is everyone."""
    db.executescript("""
    CREATE TABLE coverage (
        operation INTEGER NOT NULL, consumer INTEGER NOT NULL, part TEXT NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (operation, consumer, part)) WITHOUT ROWID;
    """)


@migrations()
def m007_rebuilding(db: Database) -> None:
    """What was learnt of APIs, the versions published of it, and what a person decided."""
    db.executescript("""
    CREATE TABLE learning (watermark INTEGER NOT NULL);
    CREATE TABLE learners (
        number INTEGER PRIMARY KEY AUTOINCREMENT, api INTEGER NOT NULL, state BLOB NOT NULL);
    CREATE INDEX learners_api ON learners(api);
    CREATE TABLE rebuilt (
        number INTEGER PRIMARY KEY, api INTEGER NOT NULL, version TEXT NOT NULL, time INTEGER NOT NULL,
        document BLOB NOT NULL, changes TEXT NOT NULL);
    CREATE INDEX rebuilt_api ON rebuilt(api, number);
    CREATE TABLE decisions (
        number INTEGER PRIMARY KEY AUTOINCREMENT, api INTEGER NOT NULL, time INTEGER NOT NULL,
        decision TEXT NOT NULL);
    """)


@migrations()
def m008_deviation_decisions(db: Database) -> None:
    """What people decided of deviations, by what tells these apart: they outlive the deviations' rows."""
    db.executescript("""
    CREATE TABLE deviation_decisions (
        api INTEGER NOT NULL, operation TEXT NOT NULL, kind TEXT NOT NULL, "where" TEXT NOT NULL,
        pointer TEXT NOT NULL, state TEXT NOT NULL, reason TEXT, "by" TEXT, time INTEGER NOT NULL,
        spec TEXT, patch TEXT, PRIMARY KEY (api, operation, kind, "where", pointer)) WITHOUT ROWID;
    """)


@migrations()
def m009_arrivals(db: Database) -> None:
    """The first exchange of each hour of arrival. What is stored already came at the time it says, but not
    in the future, and no earlier than what was stored before it.
    """
    db.executescript("CREATE TABLE arrivals (hour INTEGER PRIMARY KEY, first INTEGER NOT NULL);")
    db.conn.execute(
        "INSERT INTO arrivals SELECT min(time, ?) / 3600000000000, min(number) FROM exchanges GROUP BY 1",
        (time.time_ns(),),
    )


@migrations()
def m010_spec_warnings(db: Database) -> None:
    """What of a specification is not used in judging: a JSON array of sentences."""
    db.conn.execute("ALTER TABLE specs ADD COLUMN warnings TEXT NOT NULL DEFAULT '[]'")


@migrations()
def m011_numbers(db: Database) -> None:
    """The next number of a record: above all that were ever given, also where retention took all of them."""
    db.executescript("CREATE TABLE numbers (name TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;")
    db.conn.execute(
        """INSERT INTO numbers SELECT 'records', 1 + max(
        coalesce((SELECT max(number) FROM witnesses), 0), coalesce((SELECT max(watermark) FROM learning), 0),
        coalesce((SELECT max(first) FROM arrivals), 0))"""
    )


@migrations()
def m012_coverage_counts(db: Database) -> None:
    """All counts of an operation and a consumer in one row, by the numbers of parts: a JSON object."""
    execute = db.conn.execute
    execute("CREATE TABLE parts (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)")
    execute("INSERT INTO parts (name) SELECT DISTINCT part FROM coverage ORDER BY part")
    execute("ALTER TABLE coverage RENAME TO coverage_rows")
    execute(
        """CREATE TABLE coverage (operation INTEGER NOT NULL, consumer INTEGER NOT NULL, counts TEXT NOT NULL,
        PRIMARY KEY (operation, consumer)) WITHOUT ROWID"""
    )
    execute(
        """INSERT INTO coverage SELECT operation, consumer, json_group_object(CAST(number AS TEXT), count)
        FROM coverage_rows JOIN parts ON parts.name = part GROUP BY operation, consumer"""
    )
    execute("DROP TABLE coverage_rows")
    execute(
        """CREATE VIEW part_counts AS SELECT operation, consumer, parts.name AS part, each.value AS count
        FROM coverage JOIN json_each(CASE WHEN json_valid(counts) THEN counts ELSE '{}' END) AS each
        JOIN parts ON parts.number = CAST(each.key AS INTEGER)"""
    )


@migrations()
def m013_settling(db: Database) -> None:
    """Views that wait for their other half, those that were settled alone while it may still come (before:
    exchanges with a mark and no second view), and addresses that agents watch. A mark is kept there only.
    """
    db.executescript("""
    CREATE TABLE held (number INTEGER PRIMARY KEY);
    CREATE TABLE alone (number INTEGER PRIMARY KEY, mark INT, time INT);
    INSERT INTO alone SELECT number, mark, time FROM exchanges WHERE mark IS NOT NULL AND second IS NULL
        ORDER BY number DESC LIMIT 100000;
    CREATE INDEX alone_mark ON alone(mark, time);
    CREATE TABLE watched (address TEXT PRIMARY KEY, hour INTEGER NOT NULL) WITHOUT ROWID;
    DROP INDEX exchanges_mark;
    """)


@migrations()
def m014_keys(db: Database) -> None:
    """Numbers of APIs, operations, consumers and deviations come of their keys, and APIs have these: none is
    that of one whose row was lost. Ids that were given up lead to numbers.
    """
    renumber(db.conn)
