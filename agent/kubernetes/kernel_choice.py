"""Keeps the kernel informed of which pods are captured.

| pod     | event                                 | next                                                  |
|---------|---------------------------------------|-------------------------------------------------------|
|         | described                             | waiting                                               |
| waiting | its cgroup is found (looked for often | chosen: the kernel has its cgroup, if what applies to |
|         | at first, then now and then)          | it differs from what applies to an unknown pod        |
| chosen  | described anew with another choice,   | waiting, and at once chosen                           |
|         | or its cgroup is another one          |                                                       |
| any     | deleted                               | gone from the kernel                                  |

Until all pods are described once, no pod is captured: nobody knows who opted out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.events import PodGone, PodSeen
from agent.probes import pod_cgroups
from agent.probes.cgroups import Cgroup

OFTEN_NS = 100_000_000
SELDOM_NS = 10_000_000_000
FRESH_NS = 60_000_000_000
"""For so long after its description a pod's cgroup is looked for often: its image is fetched meanwhile."""

Choose = Callable[[Cgroup, bool | None], None]


@dataclass(frozen=True, slots=True)
class CgroupFinder:
    """Where pods' cgroups are; replaced in tests."""

    all_pods: Callable[[], Mapping[Path, Cgroup]] = pod_cgroups.all_pods
    pods_in: Callable[[Mapping[Path, Cgroup]], Mapping[str, Cgroup]] = pod_cgroups.pods_in


class KernelChoice:
    """`choose` is the source's; `unknown` says whether a pod is captured that the kernel does not know."""

    def __init__(self, choose: Choose, unknown: bool, finder: CgroupFinder | None = None) -> None:
        self._choose, self._unknown = choose, unknown
        self._finder = finder or CgroupFinder()
        self._wanted: dict[str, bool] = {}
        self._fresh_until: dict[str, int] = {}  # of those that wait
        self._chosen: dict[str, tuple[Cgroup, bool]] = {}
        self._folders: Mapping[Path, Cgroup] = {}
        self._held: set[Cgroup] | None = set()  # folders of all pods that are left out; None once released
        self._looked_ns: int | None = None
        self._walked_ns: int | None = None

    def captures(self, uid: str) -> bool:
        """Whether this pod is captured; False if it is not described yet."""
        return self._wanted.get(uid, False)

    def update(self, event: PodSeen | PodGone, now_ns: int) -> None:
        """Takes what has changed of a pod."""
        if isinstance(event, PodGone):
            self._wanted.pop(event.uid, None)
            self._fresh_until.pop(event.uid, None)
            self._set(event.uid, None, False)
            return
        self._wanted[event.uid] = event.captured
        if event.uid in self._chosen:
            self._set(event.uid, self._chosen[event.uid][0], event.captured)
        else:
            self._fresh_until[event.uid] = now_ns + FRESH_NS
            self._looked_ns = None

    def release(self, now_ns: int) -> None:
        """All pods are described: from now on those that the kernel does not know are captured, unless only
        annotated ones are.
        """
        if self._held is None:
            return
        self._look_now(now_ns)
        for folder in self._held:
            self._choose(folder, None)
        self._held = None

    def look(self, now_ns: int) -> None:
        """Looks for cgroups, if it is time to."""
        waits = any(until > now_ns for until in self._fresh_until.values())
        interval = OFTEN_NS if waits else SELDOM_NS
        if self._looked_ns is None or now_ns - self._looked_ns >= interval:
            self._look_now(now_ns)

    def _look_now(self, now_ns: int) -> None:
        self._looked_ns = now_ns
        if self._walked_ns is None or now_ns - self._walked_ns >= SELDOM_NS:
            self._walked_ns = now_ns
            self._folders = self._finder.all_pods()
            self._hold()
        if not self._wanted:
            return
        found = self._finder.pods_in(self._folders)
        for uid, captured in self._wanted.items():
            cgroup = found.get(uid)
            if cgroup is not None and self._chosen.get(uid) != (cgroup, captured):
                self._set(uid, cgroup, captured)
                self._fresh_until.pop(uid, None)

    def _hold(self) -> None:
        if self._held is None or not self._unknown:
            return
        for folder in set(self._folders.values()) - self._held:
            self._choose(folder, False)
            self._held.add(folder)

    def _set(self, uid: str, cgroup: Cgroup | None, captured: bool) -> None:
        before = self._chosen.pop(uid, None)
        if before is not None and before[0] != cgroup:
            self._tell(before[0], None)
        if cgroup is not None:
            self._chosen[uid] = (cgroup, captured)
            self._tell(cgroup, captured)

    def _tell(self, cgroup: Cgroup, captured: bool | None) -> None:
        self._choose(cgroup, None if captured is self._unknown else captured)
