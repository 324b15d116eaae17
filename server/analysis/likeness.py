"""Whether two views may be of one call, by content and time, if at least one of them is unplaced.

An unplaced view has unknown ends, as TLS that is fed from memory (Node, asyncio) may leave them, and
therefore no mark (witnesses.py). Its other half can be a view of the same node whose connection does not
leave it. Both have the same likeness, agree in headers and bodies, and the server's view lies within the
client's. A proxy's own calls may have the same content as the calls it serves, but lie within them instead.

Likeness alone proves nothing: two views are paired only if each is the other's only candidate
(server/ingest/alike.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from msgspec.structs import replace

from agent.wire import Endpoint, Record, Request, Response
from server.analysis.clocks import SLACK_NS
from server.analysis.inventory import is_loopback
from server.analysis.witnesses import WHOLE, View

LONGEST_NS = 60_000_000_000  # of a call: views of longer ones have no likeness
SIDES = {"client", "server"}


def is_unplaced(record: Record) -> bool:
    """Whether a captured record has neither end of its connection."""
    return record.client is None and record.server is None and record.process is not None


def is_uncertain(views: Sequence[Record]) -> bool:
    """Whether an exchange with these views may be another exchange, seen from the other end."""
    return len(views) == 1 and is_unplaced(views[0])


def placed(views: Sequence[Record]) -> Sequence[Record]:
    """The views of an exchange; an unplaced view gets the ends of the other view."""
    known = next((one for one in views if one.client is not None), None)
    if known is None or not any(map(is_unplaced, views)):
        return views
    ends = known.client, _at(known.server, known)
    return [replace(one, client=ends[0], server=ends[1]) if is_unplaced(one) else one for one in views]


def _at(server: Endpoint | None, known: Record) -> Endpoint | None:
    """The server's end as in its own view: a connection that does not leave its node has both ends in one
    network namespace.
    """
    if server is None or known.client is None or server.netns is not None:
        return server
    return replace(server, netns=known.client.netns)


def likeness_of(record: Record) -> int | None:
    """A 63-bit digest of what both views of a call on one node have in common. None for a view that is
    incomplete, not of TLS, longer than LONGEST_NS, or of a connection that may leave the node.
    """
    request, response = record.request, record.response
    if record.tls is None or record.completeness not in WHOLE or request is None or response is None:
        return None
    timing = record.timing
    if timing.request_start is None or timing.end is None or timing.end - timing.request_start > LONGEST_NS:
        return None
    if record.side not in SIDES or not (is_unplaced(record) or _stays_on_node(record)):
        return None
    stream = None if record.protocol == "h1" else record.stream  # each end counts those of HTTP/1 itself
    sizes = f"{request.body.size} {response.body.size}"
    digest = hashlib.blake2b(digest_size=8)
    digest.update(f"{record.cluster} {record.node} {record.protocol} {stream} ".encode())
    digest.update(f"{request.method} {response.status} {sizes} ".encode())
    digest.update(b"\0".join((request.authority or b"", request.path, request.query or b"")))
    return int.from_bytes(digest.digest(), "big") >> 1


def _stays_on_node(record: Record) -> bool:
    client, server = record.client, record.server
    if record.via is not None:
        return False
    return client is not None and (is_loopback(client.ip) or (server is not None and client.ip == server.ip))


def may_be_one(one: View, other: View) -> bool:
    """Whether two views with the same likeness may be of one call, by their ends and times."""
    if {one.side, other.side} != SIDES or (one.mark is not None and other.mark is not None):
        return False
    return _is_within(one, other) if one.side == "client" else _is_within(other, one)


def _is_within(client: View, server: View) -> bool:
    """Writes of an unplaced view are timed before they are sent, since its library only fills memory. Other
    writes are timed when they return, perhaps after the other end has read.
    """
    begins_late = 0 if client.mark is None else SLACK_NS
    ends_late = 0 if server.mark is None else SLACK_NS
    return client.start <= server.start + begins_late and server.end <= client.end + ends_late


def agree(one: Record, other: Record) -> bool:
    """Whether two views have the same headers and bodies, as far as both captured them."""
    ours, theirs = (one.request, one.response), (other.request, other.response)
    are_fields_known = not one.fields_unknown and not other.fields_unknown
    return all(_same(a, b, are_fields_known) for a, b in zip(ours, theirs, strict=True))


def _same(one: Request | Response | None, other: Request | Response | None, are_fields_known: bool) -> bool:
    if one is None or other is None:
        return True
    if are_fields_known and (one.headers, one.trailers) != (other.headers, other.trailers):
        return False
    return one.body.state != other.body.state or one.body.data == other.body.data
