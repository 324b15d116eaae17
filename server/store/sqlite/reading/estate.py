"""All APIs together: counts, and the first of several orders."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from server.analysis.inventory import ApiKind
from server.analysis.specs.kinds import Verdict
from server.store.keys import id_of
from server.store.rows import (
    ApiOperations,
    ApiUse,
    DeprecatedUse,
    DeviationCount,
    DeviationState,
    EstateCounts,
    Newcomer,
    NewcomerKind,
    Newcomers,
    OperationsUse,
)
from server.store.sqlite.reading.deviations import SAME
from server.store.values import MAX_TITLE

TITLE = f"""(SELECT substr(title, 1, {MAX_TITLE}) FROM specs WHERE api = listed.number
    ORDER BY specs.number DESC LIMIT 1)"""
LISTED = f"""SELECT apis.number, apis.name, apis.internal,
    coalesce(sum(operations.count), 0) AS calls, min(operations.first_seen) AS first_seen,
    max(operations.last_seen) AS last_seen, EXISTS (SELECT 1 FROM specs WHERE api = apis.number) AS specified
    FROM apis LEFT JOIN operations ON operations.api = apis.number
    WHERE merged_into IS NULL GROUP BY apis.number
    HAVING coalesce(sum(operations.count), 0) > 0 OR apis.kind = '{ApiKind.DECLARED}'"""
"""The APIs of the list of APIs."""
JUDGED = f"""SELECT api, sum(verdicts.count) AS judged,
    sum(iif(verdict = '{Verdict.DEVIATING}', verdicts.count, 0)) AS deviating
    FROM verdicts JOIN operations ON operations.number = operation GROUP BY api"""
USES = f"""SELECT listed.number, name, {TITLE}, calls, coalesce(judged, 0), coalesce(deviating, 0)
    FROM ({LISTED}) AS listed LEFT JOIN ({JUDGED}) AS judged ON judged.api = listed.number"""
COUNTED = (
    """FROM deviations LEFT JOIN deviation_decisions ON """
    + SAME
    + f"""
    WHERE coalesce(state, '{DeviationState.OPEN}') <> '{DeviationState.IGNORED}'
    AND EXISTS (SELECT 1 FROM deviation_calls WHERE deviation = deviations.number AND count > 0)"""
)
NEW = f"""SELECT '{NewcomerKind.API}' AS what, number, name, number AS api, name AS api_name, first_seen
    FROM ({LISTED})
    UNION ALL SELECT '{NewcomerKind.OPERATION}', operations.number, operations.key, api, apis.name, first_seen
    FROM operations JOIN apis ON apis.number = api WHERE count > 0
    UNION ALL SELECT '{NewcomerKind.DEVIATION}', deviations.number,
    deviations.kind || ' ' || deviations.operation, deviations.api, apis.name, first_seen
    {COUNTED.replace("FROM deviations", "FROM deviations JOIN apis ON apis.number = deviations.api")}"""


class SqliteEstate:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def counts(self) -> EstateCounts:
        apis, specified, internal, newest, calls = self._db.execute(
            f"""SELECT count(*), coalesce(sum(specified), 0), coalesce(sum(internal), 0), max(last_seen),
            coalesce(sum(calls), 0) FROM ({LISTED})"""
        ).fetchone()
        verdicts = self._verdicts()
        return EstateCounts(
            apis=apis,
            specified=specified,
            external=apis - internal,
            calls=calls,
            verdicts=verdicts,
            deprecated=self._deprecated(),
            undocumented=OperationsUse(self._undocumented(), verdicts.get(Verdict.SHADOW, 0)),
            newest=newest,
        )

    def _verdicts(self) -> Mapping[str, int]:
        return dict(self._db.execute("SELECT verdict, sum(count) FROM verdicts GROUP BY verdict"))

    def _deprecated(self) -> OperationsUse:
        row = self._db.execute(
            "SELECT count(*), coalesce(sum(count), 0) FROM operations WHERE deprecated AND count > 0"
        ).fetchone()
        return OperationsUse(*row)

    def _undocumented(self) -> int:
        row = self._db.execute(
            """SELECT count(*) FROM operations WHERE count > 0 AND EXISTS
            (SELECT 1 FROM verdicts WHERE operation = operations.number AND verdict = ?)""",
            (Verdict.SHADOW,),
        ).fetchone()
        return int(row[0])

    def busiest(self, limit: int) -> Sequence[ApiUse]:
        return self._uses("calls > 0 ORDER BY calls DESC, listed.number", limit)

    def worst(self, limit: int) -> Sequence[ApiUse]:
        return self._uses("deviating > 0 ORDER BY deviating DESC, listed.number", limit)

    def _uses(self, which: str, limit: int) -> Sequence[ApiUse]:
        rows = self._db.execute(f"{USES} WHERE {which} LIMIT ?", (limit,))
        return [ApiUse(id_of(number), *rest) for number, *rest in rows]

    def deprecated_uses(self, limit: int) -> Sequence[DeprecatedUse]:
        rows = self._db.execute(
            """SELECT consumer, consumers.kind, consumers.name, count(DISTINCT operations.number),
            sum(calls.count)
            FROM operations JOIN calls ON calls.operation = operations.number
            JOIN consumers ON consumers.number = consumer
            WHERE deprecated GROUP BY consumer ORDER BY 5 DESC, consumers.name LIMIT ?""",
            (limit,),
        )
        return [DeprecatedUse(id_of(number), *rest) for number, *rest in rows]

    def newcomers(self, since: int, limit: int) -> Newcomers:
        rows = self._db.execute(
            f"""WITH new AS MATERIALIZED (SELECT * FROM ({NEW}) WHERE first_seen >= ?)
            SELECT what, count(*), NULL, NULL, NULL, NULL FROM new GROUP BY what UNION ALL
            SELECT * FROM (SELECT * FROM new ORDER BY first_seen DESC, what, number LIMIT ?)""",
            (since, limit),
        )
        counts, latest = dict.fromkeys(NewcomerKind, 0), []
        for what, number, name, api, api_name, first_seen in rows:
            if name is None:
                counts[NewcomerKind(what)] = number
            else:
                one = Newcomer(NewcomerKind(what), id_of(number), name, id_of(api), api_name, first_seen)
                latest.append(one)
        return Newcomers(latest, counts)

    def operation_counts(self) -> Sequence[ApiOperations]:
        rows = self._db.execute(
            f"""SELECT apis.number, apis.name, apis.cluster, coalesce(sum(count), 0),
            coalesce(sum(count > 0), 0),
            coalesce(sum(count > 0 AND EXISTS (SELECT 1 FROM verdicts WHERE operation = operations.number
            AND verdict = '{Verdict.SHADOW}')), 0), coalesce(sum(count > 0 AND deprecated), 0)
            FROM apis LEFT JOIN operations ON operations.api = apis.number
            WHERE merged_into IS NULL GROUP BY apis.number
            HAVING coalesce(sum(count), 0) > 0 OR apis.kind = '{ApiKind.DECLARED}'"""
        )
        return [ApiOperations(*row) for row in rows]

    def deviation_counts(self) -> Sequence[DeviationCount]:
        rows = self._db.execute(
            f"""SELECT deviations.kind, deviations."where", count(*) {COUNTED} GROUP BY 1, 2 ORDER BY 1, 2"""
        )
        return [DeviationCount(*row) for row in rows]
