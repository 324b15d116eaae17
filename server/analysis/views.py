"""Selects one of an exchange's views: the server's, or the most complete."""

from __future__ import annotations

from collections.abc import Sequence

from agent.wire import Record, SubOperation, WebSocket, WebSocketHalf

SEEN = {"complete": 2, "masked": 1, "malformed": 1}
"""How much a body's state says of its content; of the last two all was captured, and none is kept."""


def in_order(views: Sequence[Record]) -> Sequence[Record]:
    """The views of an exchange in an order that does not depend on which of them came first."""
    if len(views) < 2 or (len(views) == 2 and views[0].side < views[1].side):
        return views
    return sorted(views, key=lambda one: (one.side, one.id))


def server_view(views: Sequence[Record]) -> Record:
    """The server's view; else the first."""
    for side in ("server", "unknown"):
        for view in views:
            if view.side == side:
                return view
    return views[0]


def most_seen(views: Sequence[Record]) -> Record:
    """The most complete view, which is the one to validate. The server's, if they are equal."""
    if len(views) == 1:
        return views[0]
    return max(views, key=_completeness)


def _completeness(view: Record) -> tuple[int, bool, int, bool]:
    messages = (view.request, view.response)
    seen = sum(3 + SEEN.get(message.body.state, 0) for message in messages if message is not None)
    return seen, view.completeness == "complete", -view.fields_unknown, view.side == "server"


def sub_operations(views: Sequence[Record]) -> tuple[SubOperation, ...]:
    """The sub-operations of an exchange: those of the view that has most of them, and knows most answers. The
    views must be in order.
    """
    return max((view.sub_operations for view in views), key=_known)


def _known(found: Sequence[SubOperation]) -> tuple[int, int]:
    return len(found), sum(one.failed is not None for one in found)


def websocket(views: Sequence[Record]) -> WebSocket | None:
    """The WebSocket connection of an exchange: that of the view that knows its end and has seen most. The
    views must be in order.
    """
    found = [view.websocket for view in views if view.websocket is not None]
    return max(found, key=_followed, default=None)


def _followed(found: WebSocket) -> tuple[bool, int, int]:
    halves: tuple[WebSocketHalf, ...] = (found.client, found.server)
    return (
        found.close_code is not None,
        -sum(half.unseen for half in halves),
        sum(half.frames for half in halves),
    )


def duration_of(view: Record) -> int | None:
    """ns from the request's first byte to the response's last; None if either was not captured."""
    timing = view.timing
    if timing.request_start is None or timing.end is None or view.response is None:
        return None
    return max(0, timing.end - timing.request_start)
