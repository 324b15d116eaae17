"""The capture tests' checks of a call: stored once, captured at both ends, and correct in every fact."""

from __future__ import annotations

from collections.abc import Mapping

from tests.e2e.compare import BODY_CAP, disagreements
from tests.e2e.observations import Observation
from tests.e2e.seen import Seen
from tests.e2e.spectap import Spectap

BOTH = ["client", "server"]
DIFFERENCES_SHOWN = 12


def stored_truly(
    spectap: Spectap,
    port: int,
    by_client: list[Observation],
    by_server: Mapping[str, Observation],
    *,
    tls: str | frozenset[str] | None = None,
    protocol: str = "h1",
    body_cap: int = BODY_CAP,
    bodies: bool = True,
) -> dict[str, Seen]:
    """The exchanges of these calls to `port`, once all are stored with both views.

    Fails with every fact that differs from the ends' own logs.
    """
    stored = spectap.of_port(port, by_client)
    wrong = [
        f"{call.id}: {text}"
        for call in by_client
        for text in [
            *disagreements(stored[call.id], [call, by_server[call.id]], body_cap=body_cap, bodies=bodies),
            *unexpected(stored[call.id], tls, protocol),
        ]
    ]
    shown = "\n".join(wrong[:DIFFERENCES_SHOWN])
    assert not wrong, f"{len(wrong)} differences in {len(stored)} exchanges:\n{shown}"
    return stored


def unexpected(seen: Seen, tls: str | frozenset[str] | None, protocol: str = "h1") -> list[str]:
    """Checks the facts that hold for every exchange between two processes on this host."""
    truncated = any(part and part.state == "truncated" for part in (seen.request, seen.response))
    unseen = any(part and part.state == "unseen" for part in (seen.request, seen.response))
    facts = [
        ("witnesses", sorted(witness.side for witness in seen.witnesses), BOTH),
        ("protocol", seen.protocol, protocol),
        ("tls", seen.tls, seen.tls if isinstance(tls, frozenset) and seen.tls in tls else tls),
        ("scheme", seen.scheme, "https" if tls else "http"),
    ]
    if not unseen:
        facts.append(("completeness", seen.completeness, "truncated" if truncated else "complete"))
    return [
        f"{what}: stored {found!r}, expected {wanted!r}" for what, found, wanted in facts if found != wanted
    ]
