"""Reads link layers that the fast path does not support (802.11, radiotap, PPP, HDLC, PPI, MPLS, …), by
scapy.

scapy takes about a hundred times as long per packet as `agent.sources.packets`. It is imported at the first
such packet only.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scapy.packet import Packet

ETHERNET = 1
MAX_FRAME = 65_535
"""Bytes of a frame that are dissected; only offloaded IP datagrams over Ethernet are longer."""


def datagram(link: int, frame: bytes) -> bytes | None:
    """The IPv4 or IPv6 datagram in a captured frame, from its header on; None if there is none.

    `link` is the file's link type (LINKTYPE_…). Trailing bytes, such as a checksum, may follow the datagram.
    Raises LookupError if scapy does not support the link type, ValueError if the frame is damaged.
    """
    layer = _layers().get(link)
    if layer is None:
        raise LookupError(link)
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6

    try:
        packet = layer(frame[:MAX_FRAME])
        found = packet.getlayer(IP) or packet.getlayer(IPv6)
        return None if found is None else bytes(found.original)
    except Exception as error:  # dissectors by many authors read hostile bytes
        raise ValueError(f"scapy cannot read it: {type(error).__name__}") from None


@cache
def _layers() -> dict[int, type[Packet]]:
    """scapy's classes by link type."""
    logging.getLogger("scapy").setLevel(logging.ERROR)  # it warns about interfaces, which are irrelevant here
    import scapy.contrib.mpls
    import scapy.layers.dot11
    import scapy.layers.inet
    import scapy.layers.inet6
    import scapy.layers.l2
    import scapy.layers.ppi
    import scapy.layers.ppp  # noqa: F401
    from scapy.config import conf

    return dict(conf.l2types.num2layer)
