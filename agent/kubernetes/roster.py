"""The pods of this node as the API describes them, and what has changed of them since it was last asked.

Two watches write, each on its thread; the agent's loop takes the changes. Whether a pod is captured also
depends on its namespace: no pod is told before that is known, which may be later than the pod.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence

from agent.events import PodGone, PodSeen
from agent.kube.objects import KubernetesObject, Pod
from agent.kubernetes.choice import CaptureChoice
from agent.kubernetes.pods import cgroup_uid, pod_seen, resident_of
from agent.wire import Resident

Annotations = Mapping[str, str]


class Roster:
    """May be used from any thread. `changed` may be read without a call that waits."""

    def __init__(self, choice: CaptureChoice) -> None:
        self._choice = choice
        self._lock = threading.Lock()
        self._pods: dict[str, Pod] = {}
        self._namespaces: dict[str, Annotations | None] | None = None
        self._told: dict[str, PodSeen] = {}
        self._news: dict[str, PodSeen | PodGone] = {}
        self.changed = False
        """Whether `take` has something to give."""

    def take(self) -> Sequence[PodSeen | PodGone]:
        """The changes since the last call, the latest of each pod; their times are 0."""
        with self._lock:
            news, self._news, self.changed = [*self._news.values()], {}, False
        return news

    def residents(self) -> tuple[Resident, ...]:
        """The pods with addresses of their own, in the order of their UIDs."""
        with self._lock:
            told = [(self._pods[uid], seen) for uid, seen in sorted(self._told.items()) if uid in self._pods]
        return tuple(resident_of(pod, seen) for pod, seen in told if seen.ips)

    def replace_pods(self, pods: Iterable[Pod]) -> None:
        """These are all there are."""
        with self._lock:
            self._pods = {cgroup_uid(pod.metadata): pod for pod in pods}
            self._compare([*self._pods, *self._told])

    def put_pod(self, pod: Pod) -> None:
        with self._lock:
            uid = cgroup_uid(pod.metadata)
            self._pods[uid] = pod
            self._compare([uid])

    def remove_pod(self, pod: Pod) -> None:
        with self._lock:
            uid = cgroup_uid(pod.metadata)
            self._pods.pop(uid, None)
            self._compare([uid])

    def replace_namespaces(self, namespaces: Iterable[KubernetesObject]) -> None:
        """These are all there are."""
        with self._lock:
            self._namespaces = {one.metadata.name: one.metadata.annotations for one in namespaces}
            self._compare([*self._pods, *self._told])

    def put_namespace(self, namespace: KubernetesObject) -> None:
        with self._lock:
            if self._namespaces is not None:
                self._namespaces[namespace.metadata.name] = namespace.metadata.annotations
            self._compare(self._within(namespace.metadata.name))

    def remove_namespace(self, namespace: KubernetesObject) -> None:
        with self._lock:
            if self._namespaces is not None:
                self._namespaces.pop(namespace.metadata.name, None)

    def _within(self, namespace: str) -> list[str]:
        return [uid for uid, pod in self._pods.items() if pod.metadata.namespace == namespace]

    def _compare(self, uids: Iterable[str]) -> None:
        """Notes what has changed of these pods since it was told."""
        if self._namespaces is None:
            return
        for uid in uids:
            pod = self._pods.get(uid)
            if pod is None:
                if self._told.pop(uid, None) is not None:
                    self._news[uid] = PodGone(0, uid)
                continue
            if uid not in self._told and pod.metadata.namespace not in self._namespaces:
                continue
            seen = self._seen(pod, self._namespaces)
            if self._told.get(uid) != seen:
                self._told[uid] = self._news[uid] = seen
        self.changed = bool(self._news)

    def _seen(self, pod: Pod, namespaces: Mapping[str, Annotations | None]) -> PodSeen:
        namespace = pod.metadata.namespace or ""
        told = (namespace, pod.metadata.annotations, namespaces.get(namespace))
        return pod_seen(pod, self._choice.captures(*told), self._choice.aggregation_header(*told))


class PodSink:
    """Pods, for the roster."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    def replace(self, objects: Sequence[Pod]) -> None:
        self._roster.replace_pods(objects)

    def put(self, one: Pod) -> None:
        self._roster.put_pod(one)

    def remove(self, one: Pod) -> None:
        self._roster.remove_pod(one)


class NamespaceSink:
    """Namespaces, for the roster."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    def replace(self, objects: Sequence[KubernetesObject]) -> None:
        self._roster.replace_namespaces(objects)

    def put(self, one: KubernetesObject) -> None:
        self._roster.put_namespace(one)

    def remove(self, one: KubernetesObject) -> None:
        self._roster.remove_namespace(one)
