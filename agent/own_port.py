"""The port of a server on this host. It is not captured, since each batch would cause another."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit


def own_port(server: str) -> int | None:
    """The server's port if the server is on this host, and must not be captured; else None."""
    parts = urlsplit(server)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError:
        return None
    return port if all(_is_here(entry[0], str(entry[4][0])) for entry in found) else None


def _is_here(family: int, ip: str) -> bool:
    """Whether an address is one of this host's: only those can be bound."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((ip, 0))
        except OSError:
            return False
    return True
