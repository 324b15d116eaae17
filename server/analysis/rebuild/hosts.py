"""Traffic of several APIs, separated by the requested host, or by the address.

A host with its scheme's own port (80 for http, 443 for https; RFC 9110, section 4.2) is the host without it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from agent.wire import Record
from server.analysis.inventory import host_of
from server.analysis.rebuild.learn_input import LearnOutcome
from server.analysis.rebuild.learner import Learner

MOST_HOSTS = 100  # learned separately; records of further ones are counted

UNKNOWN = "unknown"
_STANDARD = {"http": ":80", "https": ":443"}


class ByHost:
    """One learner for each host; only for hosts in `wanted`, if any. `given` are the paths of an existing
    specification, with their parameters that contain slashes.
    """

    def __init__(self, wanted: Iterable[str] = (), given: Mapping[str, frozenset[str]] | None = None) -> None:
        self._given = given or {}
        self.learners: dict[str, Learner] = {}
        self.left_out = 0  # records of hosts beyond the bound, or that accepted no call
        self.others: Counter[str] = Counter()  # records of other hosts than `wanted`
        self._wanted = {host.lower() for host in wanted}

    def learn(self, record: Record) -> None:
        host, port = _host(record)
        learner = self.learners.get(host)
        if learner is None:
            if self._wanted and self._wanted.isdisjoint((host, host + port)):
                if host in self.others or len(self.others) < MOST_HOSTS:
                    self.others[host] += 1
                return
            if len(self.learners) >= MOST_HOSTS:
                self.left_out += 1
                return
            learner = self.learners[host] = Learner()
            learner.set_given(self._given)
        learner.learn(record)

    @property
    def dropped(self) -> int:
        """Calls of operations that are not learned because an API has too many."""
        return sum(
            one.operations.dropped + one.counts[LearnOutcome.OVER_BOUND] for one in self.learners.values()
        )

    def leave_out_probed(self) -> None:
        """Leaves out hosts that accepted no call if another did: a scanner's requests may name any host."""
        if self._wanted:
            return
        probed = {host for host, one in self.learners.items() if not one.grouped()}
        if len(probed) < len(self.learners):
            for host in probed:
                self.left_out += self.learners.pop(host).counts.total()


def _host(record: Record) -> tuple[str, str]:
    """The host, without its scheme's own port, and that port."""
    known = host_of(record)
    if known:
        own = _STANDARD.get(record.request.scheme, "") if record.request else ""
        return known.removesuffix(own), own
    server = record.server
    if server is None:
        return UNKNOWN, ""
    return f"[{server.ip}]:{server.port}" if ":" in server.ip else f"{server.ip}:{server.port}", ""
