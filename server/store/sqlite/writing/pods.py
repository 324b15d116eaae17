"""Pods by address, as agents report them."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from msgspec import MsgspecError
from msgspec.msgpack import Decoder, Encoder

from agent.wire import Resident, Residents
from server.store.values import HOUR_NS

MAX_PODS = 200_000  # addresses
KEPT_HOURS = 2  # since their node was last reported: agents do so every minute

_ENCODER, _DECODER = Encoder(), Decoder(Resident)

Place = tuple[str, str]
"""Cluster, "" for none, and address."""


class _Known(NamedTuple):
    node: str
    resident: Resident
    hour: int


class SqlitePods:
    """Mirrored in memory; a row has the hour in which its node was last reported."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.forget()

    def forget(self) -> None:
        self._known: dict[Place, _Known] = {}
        self._of_node: dict[tuple[str, str], set[Place]] = {}
        for cluster, ip, node, raw, hour in self._db.execute(
            "SELECT cluster, ip, node, resident, hour FROM pods"
        ):
            try:
                self._keep((cluster, ip), _Known(node, _DECODER.decode(raw), hour))
            except MsgspecError:
                continue  # damaged: its node will be reported again

    def record(self, residents: Residents, now: int) -> None:
        cluster, node, hour = residents.cluster or "", residents.node, now // HOUR_NS
        found = {(cluster, ip): _Known(node, one, hour) for one in residents.pods for ip in one.ips}
        gone = [place for place in self._of_node.get((cluster, node), ()) if place not in found]
        changed = [place for place, known in found.items() if self._is_news(place, known)]
        for place in gone:
            self._drop(place)
        kept: list[Place] = []
        for place in changed:
            if place in self._known or len(self._known) < MAX_PODS:
                self._drop(place)
                self._keep(place, found[place])
                kept.append(place)
        self._db.executemany("DELETE FROM pods WHERE cluster = ? AND ip = ?", gone)
        self._db.executemany(
            "INSERT OR REPLACE INTO pods VALUES (?, ?, ?, ?, ?)",
            [(*place, node, _ENCODER.encode(found[place].resident), hour) for place in kept],
        )

    @property
    def are_known(self) -> bool:
        return bool(self._known)

    def at(self, cluster: str | None, ip: str) -> Resident | None:
        known = self._known.get((cluster or "", ip))
        return None if known is None else known.resident

    def expire(self, now: int) -> None:
        if self._db.execute("DELETE FROM pods WHERE hour < ?", (now // HOUR_NS - KEPT_HOURS,)).rowcount:
            self.forget()

    def _is_news(self, place: Place, known: _Known) -> bool:
        """A pod keeps its address: anyone may write it among the external ones of a Service."""
        before = self._known.get(place)
        is_pods = before is not None and before.resident.pod is not None
        return before != known and (known.resident.pod is not None or not is_pods)

    def _keep(self, place: Place, known: _Known) -> None:
        self._known[place] = known
        self._of_node.setdefault((place[0], known.node), set()).add(place)

    def _drop(self, place: Place) -> None:
        known = self._known.pop(place, None)
        if known is not None:
            self._of_node[place[0], known.node].discard(place)
