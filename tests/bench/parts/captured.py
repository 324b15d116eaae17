"""The share of 60,000 HTTPS requests to nginx that the server stores as exchanges, and the memory used.

A request counts as captured if it is stored as a complete exchange once the agent has caught up; the ledger
explains the rest. The agent must not step down meanwhile; a second one may, and its ledger says what it kept.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from agent.wire import decode_record
from tests.bench import load, memory
from tests.bench.figures import Figure
from tests.bench.front import Front, fronting
from tests.bench.memory import Held
from tests.bench.watch import program_statistics, watching, workplace
from tests.e2e.processes import wait_until
from tests.e2e.spectap import Spectap, command

NEEDS_ROOT = True
REQUESTS = 60_000
SHARES = (0.25, 0.5, 0.75)
REQUESTS_PACED = 15_000
MOST_ROUNDS = 1  # the part takes three minutes
PATIENCE = 240.0
LOOKS, BETWEEN_LOOKS = 4, 0.25  # seconds
GOAL = 0.999
STEADY_MIB, PEAK_MIB = 64.0, 150.0
STEADY_ANONYMOUS_MIB = 48.0
ELSEWHERE = frozenset({"unix_socket", "not_tcp", "filtered", "tls_ciphertext"})  # not HTTP
SETTLED = frozenset({"seen", "parsed", "shipped", "in_flight"})


@dataclass(frozen=True, slots=True)
class Captured:
    share: float
    catch_up_s: float
    per_second: float
    lost: str


def wait_for_quiet(spectap: Spectap) -> None:
    """Waits until the ring is empty and the server has received everything, in several consecutive
    samples.
    """
    looks: deque[int | None] = deque(maxlen=LOOKS)

    def quiet() -> bool:
        time.sleep(BETWEEN_LOOKS)
        status = spectap.agent.status()
        done = status["ring"]["used_bytes"] == 0 and not status["ledger"]["exchanges"].get("in_flight")
        looks.append(status["ledger"]["exchanges"].get("parsed", 0) if done else None)
        return len(looks) == LOOKS and None not in looks and len(set(looks)) == 1

    wait_until(quiet, "the agent to have caught up", PATIENCE)


def run(
    spectap: Spectap, url: str, path: str, count: int, *, http2: bool = False, rate: float | None = None
) -> Captured:
    before = counts(spectap)
    done = load.requests(f"{url}{path}", count, http2=http2, per_second=rate)
    assert done.succeeded == count, done
    ended = time.monotonic()
    wait_for_quiet(spectap)
    catch_up = time.monotonic() - ended - LOOKS * BETWEEN_LOOKS
    spectap.server.settled()
    states = stored(spectap, f"/{path}".encode())
    lost = counts(spectap) - before
    told = ELSEWHERE | SETTLED
    rest = [f"{name} {count:,}" for name, count in lost.items() if name.partition(".")[2] not in told]
    rest += [f"stored as {state} {count:,}" for state, count in states.items() if state != "complete"]
    return Captured(states["complete"] / count, catch_up, done.per_second, "; ".join(rest) or "nothing lost")


def counts(spectap: Spectap) -> Counter[str]:
    ledger = spectap.agent.status()["ledger"]
    return Counter(
        {f"{part}.{name}": count for part, names in ledger.items() for name, count in names.items()}
    )


def stored(spectap: Spectap, path: bytes) -> Counter[str]:
    """The number of exchanges with this path in the server's database, by completeness."""
    with closing(sqlite3.connect(f"file:{spectap.server.data}/spectap.db?mode=ro", uri=True)) as database:
        rows = database.execute(
            "SELECT record FROM witnesses JOIN exchanges USING (number) WHERE path = ?", (path,)
        )
        return Counter(decode_record(row[0]).completeness for row in rows)


def figures(rounds: int) -> Iterator[Figure]:
    with (
        workplace() as folder,
        program_statistics(False),
        fronting(folder) as front,
        memory.cgroup(folder.name) as group,
        watching(
            folder, "--no-step-down", program=memory.inside(group, [command("spectap-agent")])
        ) as spectap,
    ):
        pid = spectap.agent.process.pid
        wait_for_quiet(spectap)
        steady = memory.held(pid, group)
        with memory.watched(pid, group) as most:
            yield from shares(spectap, front, min(rounds, MOST_ROUNDS))
        yield from of_memory(steady, most[0], spectap.agent.status()["ring"]["bytes"] / 2**20)
    with workplace() as folder, fronting(folder) as front, watching(folder) as spectap:
        wait_for_quiet(spectap)
        done = run(spectap, front.tls, "h1-steps", REQUESTS)
        yield from told("HTTPS flat out, stepping down", [done], goal=None)


def shares(spectap: Spectap, front: Front, rounds: int) -> Iterator[Figure]:
    one, two = [], []
    for turn in range(rounds):
        one.append(run(spectap, front.tls, f"h1-{turn}", REQUESTS))
        two.append(run(spectap, front.tls, f"h2-{turn}", REQUESTS, http2=True))
    for name, some in (("HTTPS", one), ("HTTP/2 over TLS", two)):
        yield from told(f"{name} flat out", some)
    saturation = max(done.per_second for done in one)
    for share in SHARES:
        done = run(spectap, front.tls, f"h1-at-{share}", REQUESTS_PACED, rate=share * saturation)
        yield from told(f"HTTPS at {share:.0%} of that", [done])


def told(name: str, some: list[Captured], goal: float | None = GOAL) -> Iterator[Figure]:
    values = tuple(done.share for done in some)
    yield Figure(f"{name}: captured", "share", values, at_least=goal, note=some[-1].lost)
    yield Figure(f"{name}: catching up", "s", tuple(done.catch_up_s for done in some))
    yield Figure(f"{name}: load", "requests/s", tuple(done.per_second for done in some), yardstick=True)


def of_memory(steady: Held, most: Held, ring: float) -> Iterator[Figure]:
    """`ring` is the ring's size, which the working set counts once and RSS twice, since it is mapped
    twice.
    """
    for name, held, goal in (("steady", steady, STEADY_MIB), ("peak", most, PEAK_MIB)):
        anonymous = min(goal, STEADY_ANONYMOUS_MIB) if held is steady else goal
        yield Figure(f"agent's RssAnon, {name}", "MiB", (held.anonymous,), at_most=anonymous)
        yield Figure(f"agent's RSS without the ring, {name}", "MiB", (held.resident,), at_most=goal)
        if held.working_set is not None:
            apart = (held.working_set - ring,)
            yield Figure(f"agent's working set without the ring, {name}", "MiB", apart, at_most=goal)
    yield Figure("the ring", "MiB", (ring,))
