"""The expected counters of calls: a plain sum, computed without any of the server's code.

A call counts once if any agent saw it: for the server that answered, at the time of its first view, with the
duration that the server's own agent saw (else the client's), for the best consumer name in any of its views.
A call that only its client saw counts for the server as well, once any call shows where its address leads; if
that view is unplaced, the call is uncertain. First and last seen times are over the times of all views.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.oracle.calls import HOUR, Call, Saw, ip_of
from tests.oracle.kinds import KINDS, Judged
from tests.oracle.views import Skews
from tests.oracle.world import ADDRESSES, CALLERS, SERVERS

Key = tuple[str | int, ...]
Counts = dict[str, dict[Key, int]]
"""By table: what is counted, and how often; "first seen" and "last seen" are times."""

BUCKETS = [2 ** (number / 8) for number in range(400)]  # µs; eight per doubling
DAY = 24 * HOUR
EVERYONE = ("everyone", "")


def counts(calls: Iterable[Call], skews: Skews) -> Counts:
    """All counters of a server that has every view."""
    calls = [*calls]
    learned = {_called(call) for call in calls if call.client_saw and call.server_saw}
    tables: dict[str, Counter[Key]] = {name: Counter() for name in TABLES}
    first: dict[Key, int] = {}
    last: dict[Key, int] = {}
    for call in calls:
        if call.client_saw is None and call.server_saw is None:
            continue
        one = counted(call, skews, learned)
        for table, key in one.counters():
            tables[table][key] += 1
        for key in one.seen():
            first[key] = min(first.get(key, one.time), one.time)
            last[key] = max(last.get(key, one.latest), one.latest)
    return {
        **{name: dict(table) for name, table in tables.items()},
        **dict(zip(SEEN, (first, last), strict=True)),
    }


TABLES = ("operations", "uncertain", "calls", "latency", "verdicts", "deviations", "coverage")
SEEN = ("first seen", "last seen")


@dataclass(frozen=True, slots=True)
class Counted:
    """What one call adds. `judged` is None if no specification applies."""

    api: tuple[str, str]
    operation: str
    status: int
    time: int
    latest: int
    duration: int | None
    consumer: tuple[str, str]
    consumers: tuple[tuple[str, str], ...]
    judged: Judged | None
    uncertain: bool

    def counters(self) -> Iterator[tuple[str, Key]]:
        """All counters that grow by one."""
        at = (*self.api, self.operation)
        yield "operations", at
        if self.uncertain:
            yield "uncertain", at
        yield "calls", (*at, self.time // HOUR, *self.consumer, self.status)
        if self.duration is not None:
            yield "latency", (*at, self.time // DAY, bisect_right(BUCKETS, self.duration / 1000) - 1)
        if self.judged is None:
            return
        yield "verdicts", (*at, self.judged.verdict)
        for deviation in self.judged.deviations:
            yield "deviations", (*at, *deviation, *self.consumer)
        if self.judged.verdict == "shadow":
            answer = f"{self.status // 100}xx" if self.status else "none"
            yield "coverage", (*at, *EVERYONE, f"undescribed:{answer}")
        for part in self.judged.parts:
            for consumer in (EVERYONE, *self.consumers):
                yield "coverage", (*at, *consumer, part)

    def seen(self) -> Iterator[Key]:
        """What was seen at a time: the operation, and each deviation."""
        at = (*self.api, self.operation)
        yield at
        for deviation in self.judged.deviations if self.judged else ():
            yield (*at, *deviation)


def counted(call: Call, skews: Skews, learned: Iterable[str]) -> Counted:
    """One call that at least one agent saw."""
    kind = KINDS[call.kind]
    api, is_described = _api(call, learned)
    answered = kind.status is not None and (call.server_saw is not None or call.client_saw != Saw.UNANSWERED)
    path = kind.described if is_described and kind.described else kind.template
    times = [*_times(call, skews)]
    way = 0 if call.server_saw is None else call.there + call.back
    return Counted(
        api=api,
        operation=f"{kind.method} {path}",
        status=kind.status or 0 if answered else 0,
        time=min(times),
        latest=max(times),
        duration=call.took - way if answered else None,
        consumer=next(_names(call)),
        consumers=tuple(_callers(call)),
        judged=_judged(call) if is_described else None,
        uncertain=bool(call.unplaced) and call.server_saw is None,
    )


def _api(call: Call, learned: Iterable[str]) -> tuple[tuple[str, str], bool]:
    """The API it counts for, and whether a specification is attached to that."""
    server = SERVERS[call.server]
    if _is_nowhere(call):  # the port is not known
        is_known = call.server_saw is not None or server.host in learned
        return (("process", server.name) if is_known else ("host", server.host)), False
    if call.server_saw is not None or call.address in learned or not server.places:
        return server.api, server.is_described
    return ("address", call.address), False


def _called(call: Call) -> str:
    """What leads to the server: the called address, or the host name if no view has ends."""
    return SERVERS[call.server].host if _is_nowhere(call) else call.address


def _is_nowhere(call: Call) -> bool:
    """Whether no view has ends."""
    return call.unplaced == "client server" or (call.unplaced == "client" and call.server_saw is None)


def _times(call: Call, skews: Skews) -> Iterator[int]:
    """The call's time at each end, by its node's clock."""
    node = CALLERS[call.caller].node
    if call.client_saw is not None and node is not None:
        yield call.start + skews[node]
    if call.server_saw is not None:
        yield call.start + skews[SERVERS[call.server].places[call.place].node] + call.there


def _judged(call: Call) -> Judged:
    """From the complete view, if there is one."""
    kind = KINDS[call.kind]
    seen = {call.client_saw, call.server_saw} - {None}
    if Saw.WHOLE in seen:
        return kind.whole
    if Saw.BODY_UNSEEN in seen:
        assert kind.body_unseen is not None
        return kind.body_unseen
    return kind.unanswered if kind.described else kind.whole


def _names(call: Call) -> Iterator[tuple[str, str]]:
    """Possible names of the consumer, best first."""
    caller = CALLERS[call.caller]
    is_pod_known = call.client_saw is not None or caller.known_everywhere
    if caller.workload and is_pod_known:
        yield "workload", f"{caller.namespace}/{caller.workload}"
    if caller.pod and is_pod_known:
        yield "pod", f"{caller.namespace}/{caller.pod}"
    if caller.certificate and call.server_saw:
        yield "certificate", caller.certificate
    if call.client_saw:
        yield "process", caller.unit or caller.process
    if caller.user_agent:
        yield "user_agent", caller.user_agent
    if _is_nowhere(call):
        yield "unknown", "unknown"
    else:
        yield "ip", ip_of(caller, ADDRESSES[call.address])


def _callers(call: Call) -> Iterator[tuple[str, str]]:
    """Coverage counts for every name, and a pod's namespace; it ignores certificates."""
    for kind, name in _names(call):
        if kind != "certificate":
            yield kind, name
        if kind == "pod":
            yield "namespace", name.partition("/")[0]
