"""Compares a stored exchange with the logs of both ends.

`disagreements` gives one sentence per different fact, none if all agree. Every end-to-end test relies on it,
so it is tested itself (test_compare.py) with observations that are wrong in one fact.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.e2e.observations import Observation, Payload, decoded
from tests.e2e.seen import Content, Seen

BODY_CAP = 64 * 1024  # bytes; the agent's default
UNFINISHED = re.compile(rb'\s*(?:"[^"]*"\s*:\s*)?(?:"[^"]*|[\w.+-]+)')
"""The name of the JSON token that the cap cuts in two: redaction drops an incomplete value, since half a
secret need not look like one.
"""
CLOCK_SLACK_NS = 2_000_000_000  # wall and monotonic clocks are read at different moments


def disagreements(
    seen: Seen, ends: list[Observation], *, body_cap: int = BODY_CAP, bodies: bool = True
) -> list[str]:
    """All differences between the exchange and the ends' logs, and between the two logs.

    Without `bodies`, the bytes of bodies are not compared (sendfile, a path whose bodies are masked), only
    sizes.
    """
    found = [text for end in ends for text in _against_one(seen, end, body_cap, bodies)]
    found += _timing(seen, ends)
    client = next((end for end in ends if end.end == "client"), None)
    server = next((end for end in ends if end.end == "server"), None)
    if client is not None and server is not None:
        found += ends_disagree(client, server)
    return found


def ends_disagree(client: Observation, server: Observation) -> list[str]:
    """Differences between the two logs: then the test is wrong, not the capture."""
    facts = [
        ("method", client.method, server.method),
        ("target", client.target, server.target),
        ("status", client.status, server.status),
        ("client address", client.local, server.peer),
        ("server address", client.peer, server.local),
        *_payload_facts("request", client.request, server.request),
        *_payload_facts("response", client.response, server.response),
    ]
    return [
        f"logs: {what}: client {one!r}, server {other!r}"
        for what, one, other in facts
        if one is not None and other is not None and one != other
    ]


def _payload_facts(
    what: str, one: Payload | None, other: Payload | None
) -> Iterator[tuple[str, object, object]]:
    if one is not None and other is not None:
        yield f"{what} size", one.size, other.size
        yield f"{what} digest", one.sha256, other.sha256


def _against_one(seen: Seen, end: Observation, body_cap: int, bodies: bool) -> Iterator[str]:
    path, mark, query = end.target.partition(b"?")
    facts: list[tuple[str, object, object]] = [
        ("method", seen.method, end.method),
        ("path", seen.path, path),
        ("query", seen.query, query if mark else None),
        ("status", seen.status, end.status),
        ("aggregation header", seen.aggregation, end.id),
    ]
    own_side = next((w for w in seen.witnesses if w.side == end.end), None)
    if own_side is not None and end.pid is not None:
        facts.append(("process", own_side.pid, end.pid))
    client, server = (end.local, end.peer) if end.end == "client" else (end.peer, end.local)
    if client is not None:
        facts.append(("client address", seen.client, client))
    if server is not None:
        facts.append(("server address", seen.server, server))
    for what, found, logged in facts:
        if found != logged:
            yield f"{what}: stored {found!r}, {end.end} logged {logged!r}"
    yield from _content(
        f"request as the {end.end} logged it", seen.request, end.request, end, body_cap, bodies
    )
    yield from _content(
        f"response as the {end.end} logged it", seen.response, end.response, end, body_cap, bodies
    )


def _content(
    what: str, found: Content | None, logged: Payload | None, end: Observation, body_cap: int, bodies: bool
) -> Iterator[str]:
    if logged is None:
        return
    if found is None:
        yield f"{what}: not stored"
        return
    if found.size != logged.size:
        yield f"{what}: size stored {found.size}, logged {logged.size}"
    headers = end.request_headers if what.startswith("request") else end.response_headers
    text = decoded(logged, headers)
    if not bodies or text is None:
        return
    expected, kept = text[:body_cap], found.data or b""
    state = "truncated" if len(text) > body_cap else "complete"
    cut_off = expected[len(kept) :] if expected.startswith(kept) and state == "truncated" else b""
    if kept != expected and not UNFINISHED.fullmatch(cut_off):
        yield f"{what}: body differs {_first_difference(kept, expected)}"
    if found.state != state:
        yield f"{what}: state {found.state!r}, expected {state!r}"


def _first_difference(found: bytes, expected: bytes) -> str:
    at = next((i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), None)
    at = min(len(found), len(expected)) if at is None else at
    near = slice(max(0, at - 20), at + 40)
    return (
        f"at byte {at} ({len(found)} stored, {len(expected)} expected): {found[near]!r}, {expected[near]!r}"
    )


def _timing(seen: Seen, ends: list[Observation]) -> Iterator[str]:
    """Checks the order of the four moments in each view, and that they lie within the ends' own times."""
    for witness in seen.witnesses:
        moments = witness.moments
        if None in moments:
            yield f"timing of the {witness.side}: a moment is missing in {moments}"
            continue
        known = [moment for moment in moments if moment is not None]
        if known != sorted(known):
            yield f"timing of the {witness.side}: out of order {known}"
        for end in ends:
            if end.end == witness.side and end.start_ns is not None and end.end_ns is not None:
                first, last = end.start_ns - CLOCK_SLACK_NS, end.end_ns + CLOCK_SLACK_NS
                if not first <= known[0] <= known[-1] <= last:
                    yield f"timing of the {witness.side}: {known} outside {first}..{last}"
