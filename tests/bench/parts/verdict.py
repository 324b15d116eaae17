"""CPU of agent and server for one exchange with both views, from the ring to the stored verdict.

h2load asks nginx over plain HTTP/1.1 at a pace that the agent keeps up with; it captures both, and the
server matches each exchange with a specification. The CPU is that of the two processes until nothing waits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from server.analysis.json import JsonObject
from tests.bench import load
from tests.bench.figures import Figure, alternating, cpu_us, ratios
from tests.bench.front import fronting
from tests.bench.parts.agent import h11_alone
from tests.bench.parts.captured import wait_for_quiet
from tests.bench.traffic import plain
from tests.bench.watch import cpu_s, program_statistics, watching, workplace
from tests.e2e.spectap import Spectap, fetch

NEEDS_ROOT = True
REQUESTS, PER_SECOND = 10_000, 1000
WARM_UP = 2000
PATH = "answered"
SPECIFICATION: JsonObject = {
    "openapi": "3.0.3",
    "info": {"title": "Front", "version": "1"},
    "paths": {
        f"/{PATH}": {
            "get": {
                "responses": {
                    "200": {
                        "description": "greeted",
                        "content": {"text/plain": {"schema": {"type": "string"}}},
                    }
                }
            }
        }
    },
}


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU for one exchange, in µs."""

    agent: float
    server: float


def spent(spectap: Spectap, url: str) -> Spent:
    pids = spectap.agent.process.pid, spectap.server.process.pid
    counted = conforming(spectap)
    before = [cpu_s(pid) for pid in pids]
    load.requests(url, REQUESTS, per_second=PER_SECOND)
    wait_for_quiet(spectap)
    spectap.server.settled()
    agent, server = (
        (cpu_s(pid) - earlier) * 1e6 / REQUESTS for pid, earlier in zip(pids, before, strict=True)
    )
    assert conforming(spectap) - counted == REQUESTS, "each call is to be one exchange that conforms"
    return Spent(agent, server)


def conforming(spectap: Spectap) -> int:
    """Exchanges with this verdict, by the server's count."""
    return sum(api["verdicts"].get("conforming", 0) for api in spectap.server.items("/apis"))


def figures(rounds: int) -> Iterator[Figure]:
    with (
        workplace() as folder,
        program_statistics(False),
        fronting(folder) as front,
        watching(folder, "--process", "h2load") as spectap,
    ):
        host = front.plain.removeprefix("http://").rstrip("/")
        fetch(f"{spectap.server.url}/api/v1/specs?host={host}", json.dumps(SPECIFICATION).encode())
        url = f"{front.plain}{PATH}"
        load.requests(url, WARM_UP, per_second=PER_SECOND)
        wait_for_quiet(spectap)
        spectap.server.settled()
        calls = [plain(number) for number in range(WARM_UP)]
        cases: dict[str, Callable[[], Spent]] = {
            "both": partial(spent, spectap, url),
            "h11": lambda: Spent(cpu_us(partial(h11_alone, calls), WARM_UP), 0.0),
        }
        costs = alternating(rounds, cases)
    agent = tuple(one.agent for one in costs["both"])
    server = tuple(one.server for one in costs["both"])
    yield Figure("both views of an exchange: agent", "µs", agent)
    yield Figure("both views of an exchange: server", "µs", server)
    together = tuple(map(sum, zip(agent, server, strict=True)))
    yield Figure("both views of an exchange: together", "µs", together)
    h11 = tuple(one.agent for one in costs["h11"])
    yield Figure("h11 alone, a view", "µs", h11, yardstick=True)
    yield Figure(
        "together ÷ h11 alone for both views", "ratio", ratios(together, tuple(2 * one for one in h11))
    )
