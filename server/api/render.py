"""Rows and records → what the API answers. Captured bytes are shown, never interpreted."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from agent.wire import (
    Endpoint,
    Pairs,
    Process,
    Record,
    Request,
    Response,
    Timing,
    decode_record,
)
from server.analysis.inventory import host_of
from server.analysis.latency import quantile
from server.analysis.specs.model import Operation
from server.analysis.views import most_seen, server_view
from server.services.proposals import Accepted
from server.store.exchanges import HOUR_NS
from server.store.queries import shown_operation

NS = 1_000_000_000


def time(ns: int | None) -> str | None:
    """RFC 3339 with nanoseconds."""
    if ns is None:
        return None
    seconds, rest = divmod(ns, NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def shown(raw: bytes | None) -> dict[str, str] | None:
    """{"text"} where the bytes are UTF-8, else {"base64"}."""
    if raw is None:
        return None
    try:
        return {"text": raw.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}


def api(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "internal": bool(row["internal"]),
        "first_seen": time(row["first_seen"]),
        "last_seen": time(row["last_seen"] or None),
    }


def operation(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "operation": row["key"],
        "deprecated": bool(row["deprecated"]),
        "statuses": {str(status) if status else "none": count for status, count in row["statuses"].items()},
        "callers": [caller(one) for one in row["callers"]],
        "latency_ms": {f"p{q}": quantile(row["latency"], q / 100) for q in (50, 95, 99)},
        "first_seen": time(row["first_seen"]),
        "last_seen": time(row["last_seen"]),
    }


def unused(one: Operation) -> dict[str, Any]:
    """An operation that was never called."""
    return {
        "operation": one.key,
        "method": one.method,
        "template": one.key.partition(" ")[2],
        "kind": "unused",
        "operation_id": one.operation_id,
        "deprecated": one.deprecated,
        "count": 0,
        **{name: {} for name in ("statuses", "verdicts")},
        "latency_ms": dict.fromkeys(("p50", "p95", "p99")),
        "callers": [],
        "first_seen": None,
        "last_seen": None,
    }


def caller(row: dict[str, Any]) -> dict[str, Any]:
    """`first` and `last` are hours, or days where that is all that was kept."""
    hours = {f"{name}_seen": time(row[name] * HOUR_NS) for name in ("first", "last")}
    return {"kind": row["kind"], "name": row["name"], "count": row["count"], **hours}


def spec(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "uploaded": time(row["uploaded"]), "warnings": json.loads(row["warnings"])}


def finding(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "id": str(row["number"]),
        "api": row["api_id"],
        "decided": time(row["decided"]),
        "first_seen": time(row["first_seen"]),
        "last_seen": time(row["last_seen"]),
        "exchange": row["sample"] if row["sampled"] else None,
    }


def proposal(one: Accepted) -> dict[str, Any]:
    return {**asdict(one), "time": time(one.time)}


def agent(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "first_seen": time(row["first_seen"]), "last_seen": time(row["last_seen"])}


def exchange(row: dict[str, Any]) -> dict[str, Any]:
    """An exchange from its row and its witnesses' packed records, first witness first."""
    records = [decode_record(raw) for raw in row["records"]]
    first, best, server = records[0], most_seen(records), server_view(records)
    request, response = best.request, best.response
    return {
        "id": first.id,
        "time": time(row["time"]),
        "api": row["api_id"],
        "operation": shown_operation(row["operation_kind"], row["operation_key"]),
        "verdict": row["verdict"],
        "why": row["why"],
        "deprecated": bool(row["deprecated"]),
        "deviations": _deviations(row["deviations"]),
        "side": first.side,
        "protocol": first.protocol,
        "tls": next((record.tls for record in records if record.tls), None),
        "method": request.method if request else None,
        "scheme": request.scheme if request else None,
        "host": host_of(best),
        "path": shown(request.path) if request else None,
        "query": shown(request.query) if request else None,
        "status": response.status if response else None,
        "interim": response.interim if response else (),
        "request": _message(request),
        "response": _message(response),
        "duration_ms": None if row["duration"] is None else row["duration"] / 1e6,
        "client": _endpoint(next((r.client for r in (*_of(records, "client"), *records) if r.client), None)),
        "server": _endpoint(server.server),
        "process": _process(server.process),
        "consumer": _consumer(row, records),
        "completeness": best.completeness,
        "upgraded": best.upgraded,
        "error": best.error,
        "redactions": best.redactions,
        "grpc": None if best.grpc is None else asdict(best.grpc),
        "fields_unknown": best.fields_unknown,
        "witnesses": [_witness(record) for record in records],
    }


def _of(records: Sequence[Record], side: str) -> list[Record]:
    return [record for record in records if record.side == side]


def _deviations(packed: str | None) -> list[dict[str, str]]:
    found = json.loads(packed) if packed else []
    return [dict(zip(("kind", "where", "pointer", "message"), one[1:], strict=True)) for one in found]


def _pairs(pairs: Pairs) -> list[tuple[object, object]]:
    return [(shown(name), shown(value)) for name, value in pairs]


def _message(message: Request | Response | None) -> dict[str, Any] | None:
    if message is None:
        return None
    return {
        "headers": _pairs(message.headers),
        "trailers": _pairs(message.trailers),
        "content_type": message.content_type,
        "size": message.body.size,
        "body": shown(message.body.data),
        "complete": message.body.state == "complete",
        "state": message.body.state,
    }


def _endpoint(end: Endpoint | None) -> dict[str, Any] | None:
    return None if end is None else asdict(end)


def _process(process: Process | None) -> dict[str, Any] | None:
    return None if process is None else asdict(process)


def _timing(timing: Timing) -> dict[str, str | None]:
    return {name: time(moment) for name, moment in asdict(timing).items()}


def _consumer(row: dict[str, Any], records: Sequence[Record]) -> dict[str, Any]:
    hints = max(
        (asdict(record.consumer) for record in records), key=lambda hint: sum(map(bool, hint.values()))
    )
    return {"kind": row["consumer_kind"], "name": row["consumer_name"], **hints}


def _witness(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "agent": record.agent,
        "node": record.node,
        "cluster": record.cluster,
        "side": record.side,
        "tls": record.tls,
        "connection": record.connection,
        "stream": record.stream,
        "client": _endpoint(record.client),
        "server": _endpoint(record.server),
        "process": _process(record.process),
        "timing": _timing(record.timing),
        "completeness": record.completeness,
        "error": record.error,
    }
