"""How much of the traffic a coverage may have missed, from the ledgers of agents."""

from __future__ import annotations

from collections.abc import Mapping

from agent.wire import LOSSES
from server.analysis.coverage.documents import Confidence
from server.analysis.coverage.shares import percent

UNSEEN = LOSSES["bytes"] | {"uncaptured", "capped", "unsynced"}
"""The buckets of bytes that belong to HTTP, or may, and were not read (agent/ledger.py)."""


def confidence(ledger: Mapping[str, Mapping[str, int]]) -> Confidence:
    """What a ledger of agents says of bytes that no exchange shows."""
    counts = ledger.get("bytes", {})
    unseen = sum(counts.get(bucket, 0) for bucket in UNSEEN)
    total = counts.get("parsed", 0) + unseen
    return {
        "http_bytes": total,
        "unseen_bytes": unseen,
        "unseen_percent": percent(unseen, total),
        "tls_bytes_before_probes": ledger.get("kernel", {}).get("tls_bytes_before_probes", 0),
    }


def sentence(found: Confidence | None) -> str:
    """The same for people."""
    if found is None:
        return "confidence: unknown, since files do not say what was not captured"
    share = found["unseen_percent"]
    if share is None:
        return "confidence: unknown, since no agent has delivered a ledger with HTTP"
    told = f"confidence: {share}% of {found['http_bytes']:,} bytes of HTTP were not seen"
    before = found["tls_bytes_before_probes"]
    return f"{told}; {before:,} bytes of TLS passed before it was captured" if before else told
