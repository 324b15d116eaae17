"""Whole lists as files: CSV of any list, HAR of exchanges. They are sent page by page, and end at MAX_ROWS.

They show what JSON shows, in fewer columns: nothing that redaction left out of it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from importlib.metadata import version
from itertools import islice
from typing import Annotated, Any, TypeVar, cast

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse
from msgspec.json import Encoder

from server.analysis.exported import ExportedExchange
from server.analysis.har import entry_of
from server.analysis.printable import csv_cell
from server.api import models
from server.api.exchange_models import Exchange
from server.api.paging import decode, page
from server.services.narrowing import Cursor, rows_of
from server.store.rows import Listed

R = TypeVar("R")
T = TypeVar("T")
Read = Callable[[int, Cursor | None], Listed[R]]

MAX_ROWS = 100_000
PAGE = 500
MORE = f"(only the first {MAX_ROWS} rows: narrow the query)"
CSV, HAR = "text/csv", "application/json"
_json = Encoder().encode


class ListFormat(StrEnum):
    """The formats of every list."""

    JSON = "json"
    CSV = "csv"


class ExchangeFormat(StrEnum):
    """The formats of the list of exchanges."""

    JSON = "json"
    CSV = "csv"
    HAR = "har"


Format = Annotated[ListFormat | None, Query(description="csv: the whole list, also by `Accept: text/csv`.")]
ExchangesFormat = Annotated[
    ExchangeFormat | None,
    Query(description="csv, also by `Accept: text/csv`, or har: the whole list."),
]
FILES: dict[int | str, dict[str, Any]] = {200: {"content": {CSV: {"schema": {"type": "string"}}}}}
"""Of routes with such a list, for the API's own document."""


def asked_format(request: Request, format: ListFormat | ExchangeFormat | None) -> str:
    """The format that a request wants; JSON unless it prefers CSV."""
    if format is not None:
        return format.value
    accepted = request.headers.get("accept", "")
    return "csv" if accepted.split(",")[0].partition(";")[0].strip() == CSV else "json"


def list_or_file(
    request: Request,
    format: ListFormat | None,
    name: str,
    read: Read[R],
    shown: Callable[[R], T],
    limit: int,
    cursor: str | None,
) -> models.Page[T] | Response:
    """A page of a list as JSON, or the whole list as CSV."""
    if asked_format(request, format) == ListFormat.CSV:
        return csv_file(name, read, shown)
    return page(read(limit, decode(cursor)), shown)


def csv_file(name: str, read: Read[R], shown: Callable[[R], Any]) -> StreamingResponse:
    """A list as CSV: the columns of COLUMNS, by the list's name."""
    columns = COLUMNS[name]

    def lines() -> Iterator[str]:
        yield _line([*columns])
        for count, row in enumerate(rows_of(lambda after: read(PAGE, after))):
            if count == MAX_ROWS:
                yield _line([MORE])
                return
            item = shown(row)
            yield _line([csv_cell(_text(cell(item))) for cell in columns.values()])

    return _file(lines(), CSV, f"{name}.csv")


def har_file(read: Read[R], shown: Callable[[R], Exchange]) -> StreamingResponse:
    """Exchanges as HAR 1.2; a comment says whether these are not all."""

    def parts() -> Iterator[str | bytes]:
        creator = {"name": "spectap", "version": version("spectap")}
        yield b'{"log": {"version": "1.2", "creator": ' + _json(creator) + b', "entries": ['
        rows = rows_of(lambda after: read(PAGE, after))
        for count, row in enumerate(islice(rows, MAX_ROWS)):
            exchange = cast(ExportedExchange, shown(row).model_dump(mode="json"))
            yield (b",\n" if count else b"\n") + _json(entry_of(exchange))
        comment = b"" if next(rows, None) is None else b', "comment": ' + _json(MORE)
        yield b"\n]" + comment + b"}}\n"

    return _file(parts(), HAR, "exchanges.har")


def _file(content: Iterator[str | bytes], media_type: str, name: str) -> StreamingResponse:
    headers = {"Content-Disposition": f"attachment; filename={name}", "Vary": "Accept"}
    return StreamingResponse(content, media_type=media_type, headers=headers)


def _line(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


def _text(value: object) -> str:
    """The text of a cell: counts as `2xx=7 5xx=1`, several names with spaces between them."""
    if value is None:
        return ""
    if isinstance(value, models.Text):
        return value.text
    if isinstance(value, models.Base64):
        return value.base64
    if isinstance(value, Mapping):
        return " ".join(f"{name}={count}" for name, count in value.items())
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


Columns = Mapping[str, Callable[[Any], object]]


def _attributes(*names: str) -> dict[str, Callable[[Any], object]]:
    def of(name: str) -> Callable[[Any], object]:
        return lambda item: getattr(item, name)

    return {name: of(name) for name in names}


COLUMNS: Mapping[str, Columns] = {
    "apis": {
        **_attributes("id", "name", "kind", "internal", "hosts", "namespace", "workload", "cluster"),
        **_attributes("exchanges", "uncertain", "operations", "verdicts"),
        "specifications": lambda item: [f"{one.title} {one.version}" for one in item.specs],
        **_attributes("first_seen", "last_seen"),
    },
    "operations": {
        **_attributes("id", "api", "operation", "kind", "operation_id", "deprecated", "count", "uncertain"),
        **_attributes("statuses", "verdicts", "faults"),
        "p50_ms": lambda item: item.latency_ms.p50,
        "p95_ms": lambda item: item.latency_ms.p95,
        "p99_ms": lambda item: item.latency_ms.p99,
        "consumers": lambda item: " | ".join(one.name for one in item.callers),
        **_attributes("first_seen", "last_seen"),
    },
    "deviations": {
        **_attributes("id", "api", "operation", "kind", "severity", "fault", "where", "pointer", "message"),
        **_attributes("count"),
        "consumers": lambda item: " | ".join(one.name for one in item.callers),
        **_attributes("state", "reason", "decided_by", "first_seen", "last_seen", "exchange"),
    },
    "exchanges": {
        **_attributes("id", "time", "api", "operation", "method", "host", "path", "query", "status"),
        **_attributes("duration_ms", "verdict", "why", "fault", "deprecated", "uncertain"),
        "deviations": lambda item: [one.kind for one in item.deviations],
        "consumer": lambda item: item.consumer.name,
        **_attributes("protocol", "tls", "completeness"),
    },
    "consumers": _attributes(
        *("id", "kind", "name", "calls", "deprecated_calls", "operations", "apis", "first_seen", "last_seen")
    ),
    "consumer-operations": _attributes(
        *("id", "api", "api_name", "operation", "deprecated", "calls", "statuses", "first_seen", "last_seen")
    ),
}
"""The columns of each list's CSV."""
