"""Whether filters let a process be captured, decided as bpf/filters.h decides it."""

from __future__ import annotations

from agent.probes import cgroups, processes
from agent.probes.kernel import CaptureFilters


class ProcessSelection:
    """Raises CgroupError for a cgroup that cannot be used."""

    def __init__(self, filters: CaptureFilters) -> None:
        self._filters = filters
        named = cgroups.find_all(filters.only_cgroups, filters.except_cgroups)
        self._only = {cgroup.id for cgroup, excluded in named if not excluded}
        self._except = {cgroup.id for cgroup, excluded in named if excluded}

    def captures(self, pid: int) -> bool:
        """Whether this process is captured."""
        filters = self._filters
        if pid in filters.except_pids:
            return False
        if self._only or self._except:
            within = cgroups.ids_of(processes.read(pid, "cgroup") or b"")
            if within & self._except or (self._only and not within & self._only):
                return False
        if not filters.only_pids and not filters.only_names:
            return True
        name = (processes.read(pid, "comm") or b"").decode(errors="replace").strip()
        return pid in filters.only_pids or name in filters.only_names
