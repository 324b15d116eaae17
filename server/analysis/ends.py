"""Which end of a call a view is from, and which is the other: where its other half would be seen."""

from __future__ import annotations

from agent.wire import Endpoint, Record
from server.analysis.inventory import is_internal, is_loopback


def own_end(record: Record) -> str | None:
    """The address that the view's agent watches; None where the view is from neither end, or does not say."""
    if record.side == "client":
        return _address(record, record.client)
    return _address(record, record.server) if record.side == "server" else None


def other_ends(record: Record) -> list[str]:
    """The addresses at one of which another agent may have seen the same call."""
    addresses = (_address(record, end) for end in _others(record))
    return [address for address in addresses if address is not None]


def is_other_end_internal(record: Record) -> bool:
    """Whether the other end is not on the public internet, where no agent is."""
    return any(end is not None and is_internal(end.ip) for end in _others(record))


def _others(record: Record) -> tuple[Endpoint | None, ...]:
    server = None if record.side == "server" else record.server
    return server, None if record.side == "client" else record.client


def _address(record: Record, end: Endpoint | None) -> str | None:
    """An end as a text that is the same in every view; a loopback address is one of its node."""
    if end is None:
        return None
    place = f"{record.node} {end.netns}" if is_loopback(end.ip) else ""
    return f"{record.cluster or ''} {place} {end.ip}"
