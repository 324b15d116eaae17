"""What a server counted, beside what the model says."""

from __future__ import annotations

from tests.oracle.model import SEEN, Counts, Key
from tests.oracle.world import ADDRESSES, SERVERS

SHARED = {SERVERS[name].api for one in ADDRESSES.values() if len(one.servers) > 1 for name in one.servers}
"""APIs behind one address: the view of one that is counted alone may stand under the other, until its other
half comes; what was first and last seen there keeps its time.
"""

Differences = dict[str, dict[Key, tuple[int | None, int | None]]]


def differences(expected: Counts, counted: Counts) -> Differences:
    """By table and key what the model says and what the server, where these are not the same."""
    apart = {
        table: {
            key: (rows.get(key), counted[table].get(key))
            for key in rows.keys() | counted[table].keys()
            if rows.get(key) != counted[table].get(key) and not (table in SEEN and key[:2] in SHARED)
        }
        for table, rows in expected.items()
    }
    return {table: rows for table, rows in apart.items() if rows}
