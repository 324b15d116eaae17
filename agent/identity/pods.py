"""Pods of this node by UID and by address, as the source reported them.

A pod that was deleted can be looked up by its UID until room is needed, since its last bytes may arrive
later; its addresses may belong to another one at once.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum, auto

from agent.events import PodContainer, PodSeen, PodsWatched

MAX_PODS = 4096  # running and ended


class Standing(Enum):
    """Whether what is seen of a process may leave the node."""

    CAPTURED = auto()
    OPTED_OUT = auto()
    UNKNOWN = auto()  # its pod is not described yet


class Pods:
    """Bounded: the oldest are evicted."""

    def __init__(self) -> None:
        self._by_uid: OrderedDict[str, PodSeen] = OrderedDict()
        self._by_ip: dict[str, PodSeen] = {}
        self.watched: PodsWatched | None = None
        """None if no pods are reported."""
        self.group_calls = False
        """Whether any pod had an aggregation header so far."""

    def add(self, seen: PodSeen) -> None:
        """Adds a pod, or what has changed of it."""
        self._forget_addresses(seen.uid)
        self._by_uid[seen.uid] = seen
        self._by_uid.move_to_end(seen.uid)
        self.group_calls |= seen.aggregation_header is not None
        for ip in seen.ips:
            self._by_ip[ip] = seen
        if len(self._by_uid) > MAX_PODS:
            self._forget_addresses(next(iter(self._by_uid)))
            self._by_uid.popitem(last=False)

    def end(self, uid: str) -> None:
        """The pod was deleted."""
        self._forget_addresses(uid)

    def get(self, uid: str | None) -> PodSeen | None:
        """The pod with this UID, also if it has ended."""
        return None if uid is None else self._by_uid.get(uid)

    def at(self, ip: str) -> PodSeen | None:
        """The pod with this address."""
        return self._by_ip.get(ip)

    def _forget_addresses(self, uid: str) -> None:
        known = self._by_uid.get(uid)
        for ip in () if known is None else known.ips:
            if self._by_ip.get(ip) is known:
                del self._by_ip[ip]


def container_of(pod: PodSeen, id: str | None) -> PodContainer | None:
    """The container with this id."""
    return None if id is None else next((one for one in pod.containers if one.id == id), None)
