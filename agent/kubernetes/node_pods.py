"""The pods of this node, woven into a source's events; and in the kernel, which of them are captured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from agent.cgroup import membership, path_in
from agent.events import Event, PodsWatched, Tick
from agent.kube.objects import KubernetesObject, Pod
from agent.kube.watch import ObjectKind, Watch
from agent.kubernetes.choice import PodSettings
from agent.kubernetes.kernel_choice import CgroupFinder, Choose, KernelChoice
from agent.kubernetes.roster import NamespaceSink, PodSink, Roster
from agent.probes import processes
from agent.wire import Residents

REPEAT_S = 60.0
"""A server that has missed a report, or was replaced, knows all pods after that."""
NAMESPACES = ObjectKind("namespaces", "/api/v1/namespaces", KubernetesObject, metadata_only=True)


def pods_of(node: str) -> ObjectKind[Pod]:
    """The pods that run on this node."""
    return ObjectKind("pods", "/api/v1/pods", Pod, fields=f"spec.nodeName={node}")


def nothing() -> None:
    """Nobody waits for changes."""


class NodePods:
    """Started before capture, stopped after it. `events` is read by one thread."""

    def __init__(self, settings: PodSettings, choose: Choose, finder: CgroupFinder | None = None) -> None:
        self._node, self._cluster = settings.node, settings.cluster
        self._captures_unknown = settings.choice.captures_unknown
        self._roster = Roster(settings.choice)
        self._pods = Watch(settings.access, pods_of(settings.node), PodSink(self._roster))
        self._namespaces = Watch(settings.access, NAMESPACES, NamespaceSink(self._roster))
        self._kernel = KernelChoice(choose, self._captures_unknown, finder)
        self._count = 0
        self._reported: Residents | None = None
        self._reported_s = 0.0

    def start(self) -> None:
        """Begins to watch. Until all pods are known, none is captured."""
        self._kernel.look(time.monotonic_ns())
        self._pods.start()
        self._namespaces.start()

    def stop(self) -> None:
        self._pods.stop()
        self._namespaces.stop()

    def woven(self, events: Iterable[Event], changed: Callable[[], None] = nothing) -> Iterator[Event]:
        """The events, and among them what is learnt of pods, as soon as it is; `changed` is called then."""
        unknown = self._captures_unknown
        yield PodsWatched(time.monotonic_ns(), unknown, others=unknown)
        for event in events:
            if self._roster.changed:
                yield from self._changes()
                changed()
            if isinstance(event, Tick):
                self._look()
            yield event

    def captures(self, pid: int) -> bool:
        """Whether this process is captured, by its pod."""
        uid = membership(path_in(processes.read(pid, "cgroup") or b"")).pod
        return self._captures_unknown if uid is None else self._kernel.captures(uid)

    def residents(self) -> Residents | None:
        """The pods of this node, if they have changed since the last call, and now and then. One thread may
        ask.
        """
        if not self._is_listed:
            return None
        found, now_s = Residents(self._cluster, self._node, self._roster.residents()), time.monotonic()
        if found == self._reported and now_s - self._reported_s < REPEAT_S:
            return None
        self._reported, self._reported_s = found, now_s
        return found

    @property
    def notes(self) -> Iterator[str]:
        """Sentences on what is not known, and why."""
        if not self._is_listed:
            yield "pods are not captured until the Kubernetes API has described those of this node"
        elif not self._count:
            yield f"the Kubernetes API knows no pod of a node {self._node}: give the node's name with --node"
        yield from (watch.trouble for watch in (self._pods, self._namespaces) if watch.trouble is not None)

    @property
    def _is_listed(self) -> bool:
        return self._pods.is_listed and self._namespaces.is_listed

    def _changes(self) -> Iterator[Event]:
        now = time.monotonic_ns()
        for change in self._roster.take():
            self._count += 1
            self._kernel.update(change, now)
            yield replace(change, time_ns=now)
        self._look()

    def _look(self) -> None:
        now = time.monotonic_ns()
        self._kernel.look(now)
        if self._is_listed and not self._roster.changed:
            self._kernel.release(now)


class NoPods:
    """Kubernetes is not asked."""

    def residents(self) -> None:
        """None are known."""

    notes: Iterator[str] = iter(())

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def woven(self, events: Iterable[Event], changed: Callable[[], None] = nothing) -> Iterator[Event]:
        """The events as they are."""
        return iter(events)

    def captures(self, pid: int) -> bool:
        """Any process."""
        return True
