"""The tables, as named migrations. Each runs in one transaction, which also records its name.

Never edit a released migration; add another. Times are integer ns UTC; hours and days count from the epoch. A
number is a row's own key, an id is public.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection

from sqlite_utils import Database, Migrations

from server.store.sqlite.anew import count_stale_anew
from server.store.sqlite.renumbering import renumber
from server.store.sqlite.schema_copy import stamp

migrations = Migrations("spectap")


class NewerSchema(ValueError):
    """The database has a migration that this version does not know; its name is the message."""


def migrate(connection: sqlite3.Connection) -> None:
    """Migrates a database to the current schema. Raises NewerSchema."""
    db = Database(connection)
    known = {one.name for one in migrations.pending(Database(memory=True))}
    newer = sorted({one.name for one in migrations.applied(db)} - known)
    if newer:
        raise NewerSchema(newer[0])
    if migrations.pending(db):
        stamp(connection)
    migrations.apply(db)


def migrate_like(connection: sqlite3.Connection, names: Collection[str] | None) -> None:
    """Applies the migrations with these names to a new database; None means all."""
    db = Database(connection)
    missing = [one.name for one in migrations.pending(db) if names is not None and one.name not in names]
    migrations.apply(db, stop_before=missing[:1])


@migrations()
def m001_inventory(db: Database) -> None:
    """APIs, what they are recognised by, their operations, and consumers."""
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
    """Counters, which are kept longer than the exchanges."""
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
    """Stored exchanges, until retention deletes them. An exchange has the number of its first view."""
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
    """Agents, the batches received from each, and the ledgers."""
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
    """Exercised parts of specifications; consumer 0 means everyone."""
    db.executescript("""
    CREATE TABLE coverage (
        operation INTEGER NOT NULL, consumer INTEGER NOT NULL, part TEXT NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (operation, consumer, part)) WITHOUT ROWID;
    """)


@migrations()
def m007_rebuilding(db: Database) -> None:
    """Learned documents: states, published versions and decisions."""
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
    """Decisions on deviations, by the deviation's identity: they outlive the deviations' rows."""
    db.executescript("""
    CREATE TABLE deviation_decisions (
        api INTEGER NOT NULL, operation TEXT NOT NULL, kind TEXT NOT NULL, "where" TEXT NOT NULL,
        pointer TEXT NOT NULL, state TEXT NOT NULL, reason TEXT, "by" TEXT, time INTEGER NOT NULL,
        spec TEXT, patch TEXT, PRIMARY KEY (api, operation, kind, "where", pointer)) WITHOUT ROWID;
    """)


@migrations()
def m009_arrivals(db: Database) -> None:
    """The first exchange of each hour of arrival. Exchanges stored earlier count as having arrived at their
    own time, but not in the future and not before the previous one.
    """
    db.executescript("CREATE TABLE arrivals (hour INTEGER PRIMARY KEY, first INTEGER NOT NULL);")
    db.conn.execute(
        "INSERT INTO arrivals SELECT min(time, ?) / 3600000000000, min(number) FROM exchanges GROUP BY 1",
        (time.time_ns(),),
    )


@migrations()
def m010_spec_warnings(db: Database) -> None:
    """The parts of a specification that are not validated: a JSON array of sentences."""
    db.conn.execute("ALTER TABLE specs ADD COLUMN warnings TEXT NOT NULL DEFAULT '[]'")


@migrations()
def m011_numbers(db: Database) -> None:
    """The next record number, above all earlier ones even if retention deleted all records."""
    db.executescript("CREATE TABLE numbers (name TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;")
    db.conn.execute(
        """INSERT INTO numbers SELECT 'records', 1 + max(
        coalesce((SELECT max(number) FROM witnesses), 0), coalesce((SELECT max(watermark) FROM learning), 0),
        coalesce((SELECT max(first) FROM arrivals), 0))"""
    )


@migrations()
def m012_coverage_counts(db: Database) -> None:
    """All counts of an operation and a consumer in one row: a JSON object by part number."""
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
    """Held views, lone views (until now: exchanges with a mark and without a second view), and addresses that
    agents watch. Marks are stored only there.
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
    """Numbers of APIs, operations, consumers and deviations are derived from their keys, so that a lost row's
    number is not assigned to another. Old ids lead to the new numbers.
    """
    renumber(db.conn)


@migrations()
def m015_capture(db: Database) -> None:
    """What each start of an agent captures and its lag, as of its newest batch; NULL if it reports none."""
    db.conn.execute("ALTER TABLE epochs ADD COLUMN watching TEXT")
    db.conn.execute("ALTER TABLE epochs ADD COLUMN lag_ms INTEGER")


@migrations()
def m016_uncertain(db: Database) -> None:
    """Exchanges that may be other exchanges, seen from the other end, and what later shows that they are."""
    db.executescript("""
    ALTER TABLE operations ADD COLUMN uncertain INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE exchanges ADD COLUMN uncertain INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE alone ADD COLUMN likeness INT;
    CREATE INDEX alone_likeness ON alone(likeness, time) WHERE likeness IS NOT NULL;
    """)


@migrations()
def m017_sub_operations(db: Database) -> None:
    """What requests of an operation asked for in their bodies, by name and by rows.SubOutcome."""
    db.conn.execute(
        """CREATE TABLE sub_operations (operation INTEGER NOT NULL, protocol TEXT NOT NULL,
        kind TEXT NOT NULL, name TEXT NOT NULL, outcome INTEGER NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (operation, protocol, kind, name, outcome)) WITHOUT ROWID"""
    )


@migrations()
def m018_places(db: Database) -> None:
    """Where exchanges and APIs are. Of exchanges stored earlier only namespaces and workloads are known."""
    for column in ("clusters", "pods", "images"):
        db.conn.execute(f"ALTER TABLE exchanges ADD COLUMN {column} TEXT")
    db.conn.execute("ALTER TABLE apis ADD COLUMN cluster TEXT")
    db.conn.execute(
        """UPDATE apis SET cluster = json_extract(key, '$[1]')
        WHERE json_valid(key) AND json_extract(key, '$[0]') = kind AND kind <> 'declared'"""
    )


@migrations()
def m019_pods(db: Database) -> None:
    """Pods by address, as agents report them: msgpack of wire.Resident. Without a cluster it is ''."""
    db.conn.execute(
        """CREATE TABLE pods (cluster TEXT NOT NULL, ip TEXT NOT NULL, node TEXT NOT NULL,
        resident BLOB NOT NULL, hour INTEGER NOT NULL, PRIMARY KEY (cluster, ip)) WITHOUT ROWID"""
    )


@migrations()
def m020_one_base(db: Database) -> None:
    """Verdicts, deviations and coverage are counted under the current specifications only.

    Where a server was re-validating when it ended, they are counted anew. Calls that no specification
    describes are counted with coverage.
    """
    count_stale_anew(db.conn)
    execute = db.conn.execute
    execute(
        """DELETE FROM verdicts WHERE operation IN
        (SELECT number FROM operations WHERE api NOT IN (SELECT api FROM specs))"""
    )
    execute(
        """CREATE TEMP TABLE undescribed AS SELECT operation, sum(calls.count) AS count,
        'undescribed:' || iif(status = 0, 'none', (status / 100) || 'xx') AS part
        FROM calls JOIN operations ON operations.number = operation
        WHERE kind NOT IN ('specified', 'unseen') AND api IN (SELECT api FROM specs)
        AND NOT EXISTS (SELECT 1 FROM exchanges WHERE api = operations.api AND revision < 0)
        GROUP BY operation, part"""
    )
    execute("INSERT OR IGNORE INTO parts (name) SELECT DISTINCT part FROM undescribed")
    execute(
        """INSERT OR IGNORE INTO coverage SELECT operation, 0, json_group_object(CAST(number AS TEXT), count)
        FROM undescribed JOIN parts ON name = part GROUP BY operation"""
    )
    execute("DROP TABLE undescribed")


@migrations()
def m021_gone(db: Database) -> None:
    """Of a lone view whose exchange is not stored: its record without content; otherwise NULL."""
    db.conn.execute("ALTER TABLE alone ADD COLUMN gone BLOB")


@migrations()
def m022_tokens(db: Database) -> None:
    """Tokens of clusters: SHA-256 digests of secrets with 256 random bits, never the secrets."""
    db.conn.execute(
        """CREATE TABLE tokens (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL UNIQUE, role TEXT NOT NULL, cluster TEXT NOT NULL, digest BLOB NOT NULL,
        created INTEGER NOT NULL, last_used INTEGER, rotated INTEGER, previous BLOB,
        previous_until INTEGER)"""
    )


@migrations()
def m023_scopes(db: Database) -> None:
    """Starts and their batches are told apart by the cluster that the batches name: '' if none, and for those
    received until now.
    """
    execute = db.conn.execute
    execute("ALTER TABLE epochs RENAME TO epochs_unscoped")
    execute(
        """CREATE TABLE epochs (
        number INTEGER PRIMARY KEY, agent TEXT NOT NULL, epoch TEXT NOT NULL, floor INTEGER NOT NULL,
        last_seq INTEGER NOT NULL, ledger TEXT NOT NULL, node TEXT, cluster TEXT, records INTEGER NOT NULL,
        first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, watching TEXT, lag_ms INTEGER,
        scope TEXT NOT NULL DEFAULT '', UNIQUE (agent, epoch, scope))"""
    )
    execute("INSERT INTO epochs SELECT *, '' FROM epochs_unscoped")
    execute("DROP TABLE epochs_unscoped")
    execute("ALTER TABLE batches RENAME TO batches_unscoped")
    execute(
        """CREATE TABLE batches (
        agent TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL, scope TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (agent, epoch, scope, seq)) WITHOUT ROWID"""
    )
    execute("INSERT INTO batches SELECT *, '' FROM batches_unscoped")
    execute("DROP TABLE batches_unscoped")


@migrations()
def m024_routes(db: Database) -> None:
    """The hosts and paths that lead to workloads. Without a name, a cluster is ''."""
    db.executescript("""
    CREATE TABLE routes (
        cluster TEXT NOT NULL, host TEXT NOT NULL, path TEXT NOT NULL, namespace TEXT NOT NULL,
        workload TEXT NOT NULL, source TEXT NOT NULL, hour INTEGER NOT NULL,
        PRIMARY KEY (cluster, host, path, namespace, workload)) WITHOUT ROWID;
    CREATE INDEX routes_workload ON routes(namespace, workload);
    """)


@migrations()
def m025_ledger(db: Database) -> None:
    """The server's own ledger by cluster: '' for none, and for what was counted until now."""
    execute = db.conn.execute
    execute("ALTER TABLE ledger RENAME TO ledger_of_all")
    execute(
        """CREATE TABLE ledger (cluster TEXT NOT NULL DEFAULT '', bucket TEXT NOT NULL,
        count INTEGER NOT NULL, PRIMARY KEY (cluster, bucket)) WITHOUT ROWID"""
    )
    execute("INSERT INTO ledger SELECT '', bucket, count FROM ledger_of_all")
    execute("DROP TABLE ledger_of_all")


@migrations()
def m026_faults(db: Database) -> None:
    """Whose the difference of an exchange is; NULL of those that were judged before."""
    db.conn.execute("ALTER TABLE exchanges ADD COLUMN fault TEXT")


@migrations()
def m027_lists(db: Database) -> None:
    """Exchanges of one operation, or with one verdict, in order of time."""
    db.executescript("""
    CREATE INDEX exchanges_operation ON exchanges(operation, time, number);
    CREATE INDEX exchanges_verdict ON exchanges(verdict, time, number);
    """)


@migrations()
def m028_unknown_faults(db: Database) -> None:
    """Differences that were found before faults were judged have an unknown one, as lists then show them."""
    db.conn.execute(
        "UPDATE exchanges SET fault = 'unknown' WHERE fault IS NULL AND verdict IN ('deviating', 'shadow')"
    )


@migrations()
def m029_judged_calls(db: Database) -> None:
    """Counts of calls also by verdict and fault; '' is none. Verdicts are those of the stored exchanges: of
    other calls only the sums in `verdicts` are known.
    """
    execute = db.conn.execute
    execute("CREATE TEMP TABLE calls_unjudged AS SELECT * FROM calls")
    execute("CREATE INDEX temp.calls_unjudged_key ON calls_unjudged(operation, hour, consumer, status)")
    execute("DROP TABLE calls")
    execute(
        """CREATE TABLE calls (
        operation INTEGER NOT NULL, hour INTEGER NOT NULL, consumer INTEGER NOT NULL, status INTEGER NOT NULL,
        verdict TEXT NOT NULL, fault TEXT NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (operation, hour, consumer, status, verdict, fault)) WITHOUT ROWID"""
    )
    execute(
        """INSERT INTO calls SELECT operation, time / 3600000000000 AS hour, consumer, status, verdict,
        coalesce(fault, ''), count(*) FROM exchanges JOIN apis ON apis.number = api
        JOIN calls_unjudged USING (operation, consumer, status)
        WHERE verdict IS NOT NULL AND apis.revision IN (exchanges.revision, ~exchanges.revision)
        AND calls_unjudged.hour = time / 3600000000000 GROUP BY 1, 2, 3, 4, 5, 6"""
    )
    execute(
        """INSERT INTO calls SELECT operation, hour, consumer, status, '', '', count - coalesce(judged, 0)
        FROM calls_unjudged LEFT JOIN (SELECT operation, hour, consumer, status, sum(count) AS judged
            FROM calls GROUP BY 1, 2, 3, 4) USING (operation, hour, consumer, status)
        WHERE count > coalesce(judged, 0)"""
    )
    execute("DROP TABLE calls_unjudged")
