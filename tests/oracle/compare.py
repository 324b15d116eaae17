"""Compares a server's counters with the model's."""

from __future__ import annotations

from tests.oracle.model import SEEN, Counts, Key
from tests.oracle.world import ADDRESSES, SERVERS

SHARED = {
    *(SERVERS[name].api for one in ADDRESSES.values() if len(one.servers) > 1 for name in one.servers),
    *(api for one in SERVERS.values() for api in (("host", one.host), ("process", one.name)) if one.places),
}
"""APIs behind one address, and those of servers whose address is unknown: a view that is counted alone may
count for one of them until its other half arrives; first and last seen times there keep its time.
"""

Differences = dict[str, dict[Key, tuple[int | None, int | None]]]


def differences(expected: Counts, counted: Counts) -> Differences:
    """Differences between model and server, by table and key."""
    apart = {
        table: {
            key: (rows.get(key), counted[table].get(key))
            for key in rows.keys() | counted[table].keys()
            if rows.get(key) != counted[table].get(key) and not (table in SEEN and key[:2] in SHARED)
        }
        for table, rows in expected.items()
    }
    return {table: rows for table, rows in apart.items() if rows}
