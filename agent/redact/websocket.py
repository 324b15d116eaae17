"""A WebSocket connection as it may leave the node: counts, and JSON texts with their values masked.

Each text stands alone: one that is not a whole JSON document by itself is left out.
"""

from __future__ import annotations

from dataclasses import astuple

from agent import wire
from agent.events import Role
from agent.http.messages import Body, BodyState, WebSocketSeen
from agent.redact.bodies import BodyMasks
from agent.redact.json_tokens import is_document

_SIDES = {Role.CLIENT: "client", Role.SERVER: "server"}
_JSON = ((b"content-type", b"application/json"),)


def shown(seen: WebSocketSeen, offset_ns: int, masks: BodyMasks) -> wire.WebSocket:
    """The connection for the record. Wall clock = monotonic + `offset_ns`."""
    texts = [(text, _masked(text.data, masks)) for text in seen.texts]
    return wire.WebSocket(
        client=wire.WebSocketHalf(*astuple(seen.client)),
        server=wire.WebSocketHalf(*astuple(seen.server)),
        close_code=seen.close_code,
        closed_by=None if seen.closed_by is None else _SIDES[seen.closed_by],
        end=None if seen.end_ns is None else seen.end_ns + offset_ns,
        texts=tuple(
            wire.WebSocketText(_SIDES[text.sender], data, text.time_ns + offset_ns)
            for text, data in texts
            if data is not None
        ),
    )


def _masked(text: bytes, masks: BodyMasks) -> bytes | None:
    """The document without secrets; None if it is no JSON."""
    if not is_document(text.decode(errors="replace")):
        return None
    body = masks.masked(Body(len(text), text, BodyState.COMPLETE), _JSON)
    return body.data if body.state == BodyState.COMPLETE else None
