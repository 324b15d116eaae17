"""Checks whether a row of a damaged database has valid values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import zstandard

from agent.wire import WireError, decode_record
from server.store.sqlite.salvage.scan import Row, ScannedTable, Value

MOST_UNPACKED = 256 * 1024 * 1024  # maximum unpacked size in bytes


def checked(table: ScannedTable, raw: Row) -> Row | None:
    """The row with decoded texts; None if a value is not valid for its column."""
    try:
        row = tuple(_value(value, *of) for value, of in zip(raw, table.types, strict=True))
        for column, check in CHECKS.get(table.name, {}).items():
            if f'"{column}"' in table.columns:  # older databases without this column are salvaged too
                value = row[table.columns.index(f'"{column}"')]
                if value is not None:
                    check(value)
    except (ValueError, WireError, zstandard.ZstdError):
        return None
    return row


def _value(value: Value, kind: type, optional: bool) -> Value:
    if value is None and optional:
        return None
    if kind is str and isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, kind):
        raise ValueError
    return value


def _json(value: Value) -> None:
    if isinstance(value, str):
        json.loads(value)


def _json_list(value: Value) -> None:
    if isinstance(value, str) and not isinstance(json.loads(value), list):
        raise ValueError


def _packed(value: Value) -> None:
    if isinstance(value, bytes):
        with zstandard.ZstdDecompressor().stream_reader(value) as reader:
            reader.read(MOST_UNPACKED)


def _packed_json(value: Value) -> None:
    if isinstance(value, bytes):
        with zstandard.ZstdDecompressor().stream_reader(value) as reader:
            json.loads(reader.read(MOST_UNPACKED))


def _record(value: Value) -> None:
    if isinstance(value, bytes):
        decode_record(value)


def _sha256(value: Value) -> None:
    if not isinstance(value, bytes) or len(value) != 32:
        raise ValueError


CHECKS: Mapping[str, Mapping[str, Callable[[Value], None]]] = {
    "apis": {"key": _json_list},
    "api_keys": {"key": _json_list},
    "exchanges": {"deviations": _json},
    "witnesses": {"record": _record},
    "specs": {"warnings": _json},
    "coverage": {"counts": _json},
    "epochs": {"ledger": _json},
    "learners": {"state": _packed},
    "rebuilt": {"document": _packed_json, "changes": _json},
    "decisions": {"decision": _json},
    "deviation_decisions": {"patch": _json},
    "tokens": {"digest": _sha256, "previous": _sha256},
}
"""Columns with packed values, which must be unpackable."""
