"""What is known of a WebSocket connection from the frames of its two halves."""

from __future__ import annotations

from agent.events import Role
from agent.http.messages import Headers, WebSocketMessage, WebSocketSeen, header
from agent.http.ws.frames import WebSocketReader

ABNORMAL = 1006  # the connection ended without a Close frame (RFC 6455 section 7.1.5)


def is_extended(headers: Headers) -> bool:
    """Whether these headers agree on, or offer, an extension of WebSocket's."""
    return bool(header(headers, b"sec-websocket-extensions"))


def summary(client: WebSocketReader, server: WebSocketReader, closed: bool) -> WebSocketSeen:
    """The connection so far; `closed`: it has ended."""
    ends = ((Role.CLIENT, client), (Role.SERVER, server))
    closes = [(reader.close.time_ns, role, reader.close.code) for role, reader in ends if reader.close]
    _, closed_by, code = min(closes, key=lambda one: one[0], default=(0, None, None))
    if code is None and closed and client.exact and server.exact:
        code = ABNORMAL
    texts = [
        WebSocketMessage(role, data, time_ns)
        for role, reader in ends
        if reader.texts is not None
        for time_ns, data in reader.texts.kept
    ]
    return WebSocketSeen(
        client=client.facts,
        server=server.facts,
        close_code=code,
        closed_by=closed_by,
        end_ns=max((reader.last_ns for _, reader in ends if reader.last_ns is not None), default=None),
        texts=tuple(sorted(texts, key=lambda text: text.time_ns)),
    )
