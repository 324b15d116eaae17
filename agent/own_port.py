"""Where the analysis server is. Calls to it are not captured, since each batch would cause another."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from agent.events import Address


def own_port(server: str) -> int | None:
    """The server's port if the server is on this host, and must not be captured; else None."""
    found = _resolved(server)
    return found[0][1].port if found and all(_is_here(*one) for one in found) else None


def server_addresses(server: str) -> frozenset[Address]:
    """The server's addresses, as its name resolves now; empty if it does not."""
    return frozenset(address for _, address in _resolved(server))


def _resolved(server: str) -> list[tuple[int, Address]]:
    """The family and address of each."""
    parts = urlsplit(server)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [(entry[0], Address(str(entry[4][0]), port)) for entry in found]


def _is_here(family: int, address: Address) -> bool:
    """Whether an address is one of this host's: only those can be bound."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address.ip, 0))
        except OSError:
            return False
    return True
