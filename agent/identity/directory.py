"""Who is at each end of a connection, from the events so far: processes and, on Kubernetes, pods.

Only this module names ends. Other sources of identity must arrive as events, so that the same events
always give the same records.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from agent.events import Address, PodContainer, PodSeen, PodsWatched, ProcessSeen, Role
from agent.identity.pods import Pods, Standing, container_of
from agent.identity.table import Processes
from agent.wire import Endpoint, Process

MAX_ENDS = 4096  # remembered


class Directory:
    """Learns from events; names the end of the captured process, and its peer."""

    def __init__(self) -> None:
        self._processes = Processes()
        self._pods = Pods()
        self._end = lru_cache(MAX_ENDS)(self._named_end)

    def boot(self, boot_id: str) -> None:
        """Sets the boot of the processes seen from now on."""
        self._processes.boot_id = boot_id

    def add(self, seen: ProcessSeen) -> None:
        """Adds a process, or updates the program it now runs."""
        self._processes.add(seen)

    def end(self, pid: int) -> None:
        """Moves a process to the ended ones; its last bytes may still arrive."""
        self._processes.end(pid)

    def process(self, pid: int) -> Process | None:
        """The latest process with this pid."""
        return self._processes.get(pid)

    @property
    def processes(self) -> int:
        """Number of running processes."""
        return len(self._processes)

    def watch_pods(self, watched: PodsWatched) -> None:
        """Pods are reported from now on."""
        self._pods.watched = watched

    def add_pod(self, seen: PodSeen) -> set[int]:
        """Adds a pod, or what has changed of it. Returns its processes if they are captured from now on, and
        were not before.
        """
        before = self._pods.get(seen.uid)
        self._pods.add(seen)
        self._end.cache_clear()
        is_back = before is not None and seen.captured and not before.captured
        return self._processes.in_pod(seen.uid) if is_back else set()

    def end_pod(self, uid: str) -> None:
        """The pod was deleted; its last bytes may still arrive."""
        self._pods.end(uid)
        self._end.cache_clear()

    @property
    def has_pods(self) -> bool:
        """Whether pods are reported."""
        return self._pods.watched is not None

    def endpoint(self, address: Address | None, process: Process | None) -> Endpoint | None:
        """The end of `process`, which is on this node even if unknown."""
        if process is None:
            return self._end(address, True, None, None, False)
        return self._end(address, True, process.pod, process.container, True)

    def peer(self, address: Address | None) -> Endpoint | None:
        """The end of the peer."""
        return self._end(address, False, None, None, False)

    def standing(self, process: Process | None, *addresses: Address | None) -> Standing:
        """Whether this process is captured; where it is unknown, as in captured packets, whether the pods at
        these addresses are.
        """
        watched = self._pods.watched
        if watched is None:
            return Standing.CAPTURED
        if process is not None and process.pod is not None:
            pod = self._pods.get(process.pod)
            return Standing.UNKNOWN if pod is None else _standing(pod.captured)
        pods = [] if process is not None else [self._pods.at(one.ip) for one in addresses if one is not None]
        known = [pod.captured for pod in pods if pod is not None]
        return _standing(all(known) if known else watched.others)

    def aggregation_headers(
        self, role: Role | None, process: Process | None, local: Endpoint | None, peer: Endpoint | None
    ) -> tuple[str, ...]:
        """The headers that the pods at both ends are annotated with to group calls by, the server's first."""
        if not self._pods.group_calls:
            return ()
        other = None if peer is None else self._pods.at(peer.ip)
        if process is not None:
            own = self._pods.get(process.pod)
        else:
            own = None if local is None else self._pods.at(local.ip)
        ends = (other, own) if role is Role.CLIENT else (own, other)
        return tuple(pod.aggregation_header for pod in ends if pod is not None and pod.aggregation_header)

    @property
    def captures_unknown(self) -> bool:
        """Whether a pod is captured of which nothing is known."""
        return self._pods.watched is None or self._pods.watched.unknown

    def _named_end(
        self, address: Address | None, is_local: bool, pod: str | None, container: str | None, is_known: bool
    ) -> Endpoint | None:
        """The network namespace is known of the own end, and of a peer on loopback, whose address cannot
        leave it. A known process is in the pod of its cgroup or in none: it may have the node's network.
        """
        if address is None:
            return None
        known = is_local or ipaddress.ip_address(address.ip).is_loopback
        seen = self._pods.get(pod) if is_known else self._pods.at(address.ip)
        netns = address.netns if known else None
        if seen is None:
            return Endpoint(address.ip, address.port, netns)
        return _in_pod(address, netns, seen, container_of(seen, container))


def _in_pod(address: Address, netns: int | None, pod: PodSeen, container: PodContainer | None) -> Endpoint:
    return Endpoint(
        ip=address.ip,
        port=address.port,
        netns=netns,
        pod=pod.name,
        namespace=pod.namespace,
        workload=pod.workload,
        labels=dict(pod.labels),
        workload_kind=pod.workload_kind,
        node=pod.node,
        container=None if container is None else container.name,
        image=None if container is None else container.image,
        digest=None if container is None else container.digest,
    )


def _standing(captured: bool) -> Standing:
    return Standing.CAPTURED if captured else Standing.OPTED_OUT
