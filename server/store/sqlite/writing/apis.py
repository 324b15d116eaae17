"""APIs and what they are recognised by. APIs that turn out to be the same are merged without losing
counts.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from agent.wire import Record
from server.analysis.inventory import (
    MAX_NAME,
    PROVISIONAL,
    ApiKind,
    Identity,
    Key,
    host_of,
    identify,
    is_address,
    is_internal,
    key_of,
    name_of,
)
from server.store.keys import Numbered, check_key, id_of, number_of
from server.store.sqlite.reading.ids import api_number
from server.store.values import WORKLOAD_PREFIX, Merge

MAX_APIS = 10_000
MAX_KEYS = 100_000
MAX_HOSTS = 100  # maximum aliases per API, since anyone can send any Host
OTHER: Key = ("other",)

OWN, LEARNED, AMBIGUOUS = "own", "learned", "ambiguous"


class SqliteApis:
    """Keys, kinds, hosts and declared names are mirrored in memory."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.forget()

    def forget(self) -> None:
        execute = self._db.execute
        self._keys: dict[Key, int] = {}
        self._states: dict[Key, str] = {}
        for key, api, state in execute("SELECT key, api, state FROM api_keys"):
            self._keys[tuple(json.loads(key))] = api
            self._states[tuple(json.loads(key))] = state
        self._kinds: dict[int, str] = dict(execute("SELECT number, kind FROM apis WHERE merged_into IS NULL"))
        self._hosts: dict[int, set[str]] = {}
        for api, host in execute("SELECT api, host FROM hosts"):
            self._hosts.setdefault(api, set()).add(host)
        self._declared: dict[tuple[str | None, str], int] = {}  # by cluster, None for any, and name
        rows = execute(
            """SELECT cluster, host, api FROM hosts JOIN apis ON apis.number = hosts.api
            WHERE declared AND kind = ? AND merged_into IS NULL""",
            (ApiKind.DECLARED,),
        )
        for cluster, host, api in rows:
            self._declared[cluster, host] = api

    def resolve(self, record: Record) -> tuple[int, Merge | None]:
        key = key_of(record)
        number = self._keys.get(key)
        if number is None:
            number = self._create(identify(record))
        declared = self._declared_for(record) if self._declared else None
        if declared is None or declared == number:
            return number, None
        return number, Merge(declared, number)

    def _declared_for(self, record: Record) -> int | None:
        """What was declared with a specification for the record's cluster, or else for any."""
        for cluster in dict.fromkeys((record.cluster, None)):
            for name in _names(record):
                declared = self._declared.get((cluster, name))
                if declared is not None:
                    return declared
        return None

    def learn(self, record: Record, target: int) -> Merge | None:
        key = key_of(record)
        number = self._keys.get(key)
        if number == target or (number is not None and self._states[key] == AMBIGUOUS):
            return None
        if number is None:
            if len(self._keys) < MAX_KEYS:
                self._bind(key, target, LEARNED)
            return None
        if self._states[key] == OWN and self._kinds[number] in PROVISIONAL and key != OTHER:
            return Merge(number, target)
        self._bind(key, self.insert(replace(identify(record), key=(AMBIGUOUS, *key))), AMBIGUOUS)
        return None

    def declare(self, names: Sequence[str], title: str, cluster: str | None = None) -> int:
        for name in names:
            number = self._known_as(name, cluster)
            if number is not None:
                return number
        name = names[0].removeprefix(WORKLOAD_PREFIX) or title[:MAX_NAME]
        own: Key = (ApiKind.DECLARED, names[0] or name)
        if cluster is not None:
            own = (*own, cluster)
        number = self.insert(replace(named(ApiKind.DECLARED, name), key=own, cluster=cluster))
        for host in names:
            self._db.execute(
                """INSERT INTO hosts VALUES (?, ?, 1)
                ON CONFLICT (api, host) DO UPDATE SET declared = 1""",
                (number, host),
            )
            self._declared[cluster, host] = number
            self._hosts.setdefault(number, set()).add(host)
        return number

    def _known_as(self, name: str, cluster: str | None) -> int | None:
        port = name.rpartition(":")[2] if is_address(name) else ""
        row = self._db.execute(
            """SELECT apis.number FROM apis LEFT JOIN hosts ON hosts.api = apis.number
            LEFT JOIN (SELECT api, sum(count) AS count FROM operations GROUP BY api) AS busy
            ON busy.api = apis.number
            WHERE merged_into IS NULL AND (host = ?1 OR substr(host, 1, length(?1) + 1) = ?1 || ':'
            OR (kind = 'workload' AND ?1 = ?2 || coalesce(namespace, '') || '/' || workload))
            AND (?3 = '' OR apis.port IS NULL OR apis.port = CAST(?3 AS INTEGER))
            AND (?4 IS NULL OR apis.cluster = ?4)
            ORDER BY kind IN ('workload', 'process') DESC, coalesce(busy.count, 0) DESC, apis.number
            LIMIT 1""",
            (name, WORKLOAD_PREFIX, port if port.isdecimal() else "", cluster),
        ).fetchone()
        return None if row is None else int(row[0])

    def number_of(self, id: str) -> int | None:
        return api_number(self._db, id)

    def revise(self, api: int) -> None:
        self._db.execute("UPDATE apis SET revision = revision + 1 WHERE number = ?", (api,))

    def id_of(self, api: int) -> str:
        return id_of(api)

    def revisions(self) -> Mapping[int, int]:
        return dict(self._db.execute("SELECT number, revision FROM apis"))

    def to_judge(self) -> list[int]:
        rows = self._db.execute(
            """SELECT DISTINCT api FROM exchanges JOIN apis ON apis.number = exchanges.api
            WHERE exchanges.revision <> apis.revision"""
        )
        return [api for (api,) in rows]

    def add_host(self, api: int, record: Record) -> None:
        host = host_of(record)
        known = self._hosts.setdefault(api, set())
        if host is None or host in known or len(known) >= MAX_HOSTS:
            return
        known.add(host)
        self._db.execute("INSERT INTO hosts VALUES (?, ?, 0) ON CONFLICT DO NOTHING", (api, host))

    def _create(self, identity: Identity) -> int:
        if len(self._kinds) >= MAX_APIS:
            return self._other()
        number = self.insert(identity)
        self._bind(identity.key, number, OWN if number == number_of(Numbered.API, *identity.key) else LEARNED)
        return number

    def _other(self) -> int:
        if OTHER not in self._keys:
            self._bind(OTHER, self.insert(replace(named(ApiKind.HOST, "(others)"), key=OTHER)), OWN)
        return self._keys[OTHER]

    def insert(self, identity: Identity) -> int:
        """The number of the API with this key, created if missing, or of the API it was merged into. A
        stand-in of a lost row becomes the API again. Raises KeyCollision.
        """
        number, key = number_of(Numbered.API, *identity.key), json.dumps(identity.key)
        self._db.execute(
            """INSERT INTO apis
            (number, key, kind, name, internal, node, process, executable, port, namespace, workload,
            cluster) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (number) DO UPDATE SET key = excluded.key, kind = excluded.kind, name = excluded.name,
            internal = excluded.internal, node = excluded.node, process = excluded.process,
            executable = excluded.executable, port = excluded.port, namespace = excluded.namespace,
            workload = excluded.workload, cluster = excluded.cluster WHERE apis.key IS NULL""",
            (
                number,
                key,
                identity.kind,
                identity.name,
                identity.internal,
                identity.node,
                identity.process,
                identity.executable,
                identity.port,
                identity.namespace,
                identity.workload,
                identity.cluster,
            ),
        )
        query = "SELECT key, merged_into FROM apis WHERE number = ?"
        stored, target = self._db.execute(query, (number,)).fetchone()
        check_key(Numbered.API, number, (key,), (stored,))
        if target is not None:
            return int(target)
        self._kinds[number] = identity.kind
        return number

    def _bind(self, key: Key, number: int, state: str) -> None:
        self._keys[key] = number
        self._states[key] = state
        self._db.execute(
            """INSERT INTO api_keys VALUES (?, ?, ?)
            ON CONFLICT (key) DO UPDATE SET api = excluded.api, state = excluded.state""",
            (json.dumps(key), number, state),
        )


def _names(record: Record) -> Iterator[str]:
    """The names under which a record's server may be declared: an IP address must be the server's, a name
    that of the Host header.
    """
    host, server = host_of(record), record.server
    if server is not None:
        if server.workload:
            yield f"{WORKLOAD_PREFIX}{server.namespace or ''}/{server.workload}"
        yield f"[{server.ip}]:{server.port}" if ":" in server.ip else f"{server.ip}:{server.port}"
    if host is not None and not (is_address(host) and server is not None):
        yield from (host, name_of(host))


def named(kind: ApiKind, name: str, namespace: str | None = None, workload: str | None = None) -> Identity:
    """An API of which only the name is known."""
    return Identity(
        key=(kind, name),
        kind=kind,
        name=name,
        internal=is_internal(name_of(name)) if is_address(name) else "." not in name_of(name),
        node=None,
        process=None,
        executable=None,
        port=None,
        namespace=namespace,
        workload=workload,
    )
