"""The state of agent and server while they run, and its lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx

from agent.wire import CaptureScope, lost
from server.analysis.json import Json, JsonObject, array_in, object_in, text_in, texts_in

PATIENCE_S = 5.0
UPLOAD_S = 60.0  # compiling a specification on a slow machine
MOST_SHOWN = 8  # libraries, and failures to attach
MOST_APIS = 200  # the server's largest page
MOST_DEVIATIONS = 50
VERDICTS = {"shadow": "undocumented", "zombie": "deprecated", "deviating": "deviating"}
STEPPED_DOWN: Mapping[str | None, str] = {
    CaptureScope.HEADS: "cannot keep up: without bodies",
    CaptureScope.SAMPLED: "cannot keep up: some connections, without bodies",
}
ONE = {
    "exchanges": "exchange",
    "views seen": "view seen",
    "APIs": "API",
    "operations": "operation",
    "bytes lost": "byte lost",
}


class HttpProbe:
    """One child's HTTP endpoints. Any failure gives None: the child may be starting or stopping."""

    def __init__(self, url: str, token: str | None = None) -> None:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_S, trust_env=False)

    def ready(self) -> bool:
        try:
            return self._client.get("/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def document(self, path: str) -> JsonObject | None:
        """The JSON object at `path`."""
        try:
            response = self._client.get(path)
            found: Json = response.json() if response.status_code == 200 else None
        except (httpx.HTTPError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def upload(self, path: str, document: Path, query: Mapping[str, str]) -> str | None:
        """Posts a YAML file. Returns the error, or None."""
        headers = {"content-type": "application/yaml"}
        try:
            response = self._client.post(
                path, params=dict(query), content=document.read_bytes(), headers=headers, timeout=UPLOAD_S
            )
        except httpx.HTTPError as error:
            return type(error).__name__
        return None if response.is_success else f"HTTP {response.status_code} {response.text[:500]}"

    def close(self) -> None:
        self._client.close()


@dataclass(frozen=True, slots=True)
class LiveCounts:
    """The live counts; None if the process with the count did not respond.

    `exchanges`, `stored` and `not_stored` are the agent's and count views: two if both ends are here.
    """

    agent: str = ""
    exchanges: int | None = None
    stored: int | None = None
    connections: int | None = None
    lost_bytes: int | None = None
    not_stored: int | None = None
    lag_s: float | None = None
    captured: str | None = None
    why_not_ready: str | None = None
    server: Mapping[str, int] = field(default_factory=dict)

    def sentence(self) -> str:
        if self.exchanges is None:
            return "no status from the agent"
        counts = dict(self.server) or {"views seen": self.exchanges, "stored": self.stored or 0}
        counts["bytes lost"] = self.lost_bytes or 0
        if self.not_stored:
            counts["views lost"] = self.not_stored
        parts = [f"{count:,} {ONE.get(name, name) if count == 1 else name}" for name, count in counts.items()]
        if self.lag_s is not None:
            parts.append(f"lag {self.lag_s:,.1f} s")
        if self.captured in STEPPED_DOWN:
            parts.append(STEPPED_DOWN[self.captured])
        if self.why_not_ready:
            parts.append(self.why_not_ready)
        return " · ".join(parts)

    def balance(self) -> str:
        """The final line: the outcomes of the agent's views. Both ends of a call on this machine are two
        views.
        """
        text = f"{self.exchanges or 0:,} views of exchanges captured, {self.stored or 0:,} stored"
        return f"{text}, {self.not_stored:,} lost" if self.not_stored else text

    def facts(self) -> JsonObject:
        """The counts as JSON."""
        return {**asdict(self), "server": {**self.server}}


def counts_of(status: JsonObject | None, server: Mapping[str, int] | None = None) -> LiveCounts:
    """The counts in the agent's /status document and the server's."""
    if status is None:
        return LiveCounts()
    ledger = _ledger_in(status)
    exchanges = ledger.get("exchanges", {})
    return LiveCounts(
        agent=text_in(status, "agent") or "",
        exchanges=exchanges.get("parsed", 0),
        stored=exchanges.get("shipped", 0),
        connections=_count_in(status, "connections_open"),
        lost_bytes=lost(ledger, "bytes"),
        not_stored=lost(ledger, "exchanges"),
        captured=text_in(status, "captured"),
        lag_s=_seconds_in(object_in(status, "lag"), "total_s"),
        why_not_ready=text_in(status, "why_not_ready"),
        server=server or {},
    )


def watching(status: JsonObject) -> list[str]:
    """What is captured, as lines: sockets with the backend, then each TLS library."""
    lines = [f"capturing HTTP on this machine's sockets (through {status.get('backend') or 'unknown means'})"]
    libraries = [item for item in _objects_in(status, "watching") if item.get("what") != "sockets"]
    lines += [f"capturing TLS in {item.get('what')}: {item.get('path')}" for item in libraries[:MOST_SHOWN]]
    if len(libraries) > MOST_SHOWN:
        lines.append(f"capturing TLS in {len(libraries) - MOST_SHOWN} more libraries")
    if not libraries:
        lines.append("no TLS library found: encrypted calls are not captured")
    return lines + [f"not captured: {note}" for note in texts_in(status, "notes")[:MOST_SHOWN]]


def detaching(status: JsonObject | None) -> str:
    """The progress of detaching; empty when not detaching."""
    detach = _counts_in(status or {}, "detach")
    done, total = detach.get("done", 0), detach.get("total", 0)
    return f"{done} of {total} probes detached" if total else ""


def totals(server: HttpProbe) -> dict[str, int] | None:
    """The server's counts, by name."""
    page = server.document(f"/api/v1/apis?limit={MOST_APIS}")
    if page is None:
        return None
    verdicts: Counter[str] = Counter()
    apis = _objects_in(page, "items")
    for api in apis:
        verdicts.update(_counts_in(api, "verdicts"))
    counts = {
        "exchanges": sum(_count_in(api, "exchanges") or 0 for api in apis),
        "APIs": len(apis),
        "operations": sum(_count_in(api, "operations") or 0 for api in apis),
    }
    return counts | {name: verdicts[verdict] for verdict, name in VERDICTS.items() if verdicts[verdict]}


def last_word(server: HttpProbe, agent: str) -> dict[str, dict[str, int]] | None:
    """The server's ledger of the agent's latest start."""
    page = server.document("/api/v1/agents") or {}
    starts = [start for start in _objects_in(page, "items") if start.get("agent") == agent]
    latest = max(starts, key=lambda start: str(start.get("first_seen")), default=None)
    return None if latest is None else _ledger_in(latest)


def deviations(server: HttpProbe) -> list[str]:
    """A line for each kind of deviation among the latest."""
    page = server.document(f"/api/v1/deviations?limit={MOST_DEVIATIONS}") or {}
    one_per_kind = {text_in(item, "kind"): item for item in _objects_in(page, "items")}
    return [
        f"{kind}: {item['operation']}, {item['where']} {item['pointer']}".rstrip() + f": {item['message']}"
        for kind, item in one_per_kind.items()
    ]


def _objects_in(node: JsonObject, key: str) -> list[JsonObject]:
    return [item for item in array_in(node, key) if isinstance(item, dict)]


def _ledger_in(node: JsonObject) -> dict[str, dict[str, int]]:
    ledger = object_in(node, "ledger")
    return {part: _counts_in(ledger, part) for part in ledger}


def _counts_in(node: JsonObject, key: str) -> dict[str, int]:
    return {name: count for name, count in object_in(node, key).items() if isinstance(count, int)}


def _count_in(node: JsonObject, key: str) -> int | None:
    count = node.get(key)
    return count if isinstance(count, int) else None


def _seconds_in(node: JsonObject, key: str) -> float | None:
    seconds = node.get(key)
    return float(seconds) if isinstance(seconds, int | float) else None
