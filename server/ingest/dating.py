"""Moves records whose time is impossible to the time of their arrival: their node's clock is wrong.

Otherwise one such record would be the newest, or the first, of its API for ever. Records of one batch move by
the same time, so that their order and durations stay. What files tell of the past is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from agent.wire import FROM_FILES, Record, Timing, WebSocket, pack_record

EARLIEST = 1_577_836_800_000_000_000  # ns: 2020-01-01T00:00:00Z, before any agent
MOST_AHEAD = 86_400_000_000_000  # ns: a day, of the server's clock


def is_possible(record: Record, now: int) -> bool:
    """Whether an agent with a usable clock can have seen it."""
    return record.time <= now + MOST_AHEAD and (record.time >= EARLIEST or record.agent == FROM_FILES)


def newest_impossible(records: Iterable[Record], now: int) -> int | None:
    """The latest time of those whose time is impossible; None if there are none."""
    return max((one.time for one in records if not is_possible(one, now)), default=None)


def moved(record: Record, newest: int, now: int) -> tuple[Record, bytes]:
    """The record, and its packed form, as if the time `newest` were `now`; at `now` if years older."""
    by = now - newest
    if record.time + by < EARLIEST:
        by = now - record.time
    whole = replace(
        record,
        time=record.time + by,
        timing=_timing(record.timing, by),
        websocket=None if record.websocket is None else _websocket(record.websocket, by),
    )
    return whole, pack_record(whole)


def _timing(timing: Timing, by: int) -> Timing:
    return Timing(
        _later(timing.request_start, by),
        _later(timing.request_end, by),
        _later(timing.first_byte, by),
        _later(timing.end, by),
    )


def _websocket(websocket: WebSocket, by: int) -> WebSocket:
    texts = tuple(replace(text, time=max(0, text.time + by)) for text in websocket.texts)
    return replace(websocket, end=_later(websocket.end, by), texts=texts)


def _later(moment: int | None, by: int) -> int | None:
    return None if moment is None else max(0, moment + by)
