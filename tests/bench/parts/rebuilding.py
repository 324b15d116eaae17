"""Speed of learning from traffic, and the memory that hostile traffic makes the learner use.

Bodies of about 2 KB, half of them lists; ten operations with new ids and times in each call. The yardstick is
parsing the same bodies.
"""

from __future__ import annotations

import gc
import json
import random
import resource
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from agent.wire import Body, Consumer, Record
from server.analysis.rebuild.document import DocumentOptions, document
from server.analysis.rebuild.learner import Learner
from tests.bench.figures import Figure, alternating, cpu_us
from tests.server.records import record

RECORDS = 6_000
HOSTILE = 60_000
GOAL = 10_000
MOST_MIB = 100.0
NEEDS_ROOT = False
NAMES = ("users", "orders", "items", "carts", "prices")


def entity(chance: random.Random, name: str) -> dict[str, Any]:
    number = chance.randrange(10**6)
    found: dict[str, Any] = {
        "id": number,
        "name": f"{name} {number}",
        "state": chance.choice(["new", "paid", "sent", "done"]),
        "createdAt": f"2026-11-{chance.randrange(1, 29):02}T12:{chance.randrange(60):02}:00Z",
        "owner": {"id": chance.randrange(10**4), "mail": f"u{number}@example.org", "admin": number % 7 == 0},
        "amount": number / 100,
        "tags": chance.sample(["a", "b", "c", "d"], 2),
        "address": {
            "street": f"Way {number % 99}",
            "city": f"City {number % 500}",
            "zip": f"{number % 99999:05}",
        },
    }
    if number % 3 == 0:
        found["note"] = None if number % 2 else f"note {number}"
    return found


def records(seed: int = 1) -> list[Record]:
    chance = random.Random(seed)
    found = []
    for ordinal in range(RECORDS):
        name = chance.choice(NAMES)
        one = ordinal % 2 == 0
        path = (
            f"/api/v1/{name}/{chance.randrange(10**6)}" if one else f"/api/v1/{name}?page={ordinal}&limit=6"
        )
        answer: Any = {"items": [entity(chance, name) for _ in range(7)], "total": ordinal}
        if one:
            answer = {**entity(chance, name), "lines": [entity(chance, name) for _ in range(6)]}
        raw = json.dumps(answer).encode()
        plain = record(ordinal, path=path, consumer=Consumer(credential_scheme="bearer"))
        assert plain.request is not None
        assert plain.response is not None
        sent = (*plain.request.headers, (b"user-agent", b"shop/1"), (b"accept", b"*/*"), (b"x-tenant", b"t1"))
        came = ((b"content-type", b"application/json"), (b"date", b"x"), (b"etag", b'"7"'))
        response = replace(plain.response, body=Body(len(raw), raw, "complete"), headers=came)
        found.append(replace(plain, request=replace(plain.request, headers=sent), response=response))
    return found


def figures(rounds: int) -> Iterator[Figure]:
    made = records()
    bodies = [one.response.body.data for one in made if one.response and one.response.body.data]
    gc.disable()
    spent = alternating(
        rounds,
        {
            "learnt": lambda: cpu_us(lambda: learnt(made), len(made)),
            "parsed": lambda: cpu_us(lambda: [json.loads(body) for body in bodies], len(made)),
        },
    )
    gc.enable()
    size = sum(map(len, bodies)) // len(bodies)
    speed = {name: tuple(1e6 / value for value in values) for name, values in spent.items()}
    yield Figure("records learnt", "/CPU-s", speed["learnt"], at_least=GOAL, note=f"bodies of {size} bytes")
    yield Figure("their bodies parsed alone", "/CPU-s", speed["parsed"], yardstick=True)
    learner = learnt(made)
    written = tuple(
        cpu_us(lambda: document(learner, DocumentOptions("Shop")), 1) / 1000 for _ in range(rounds)
    )
    yield Figure("document of ten operations", "ms", written)
    before = _resident()
    hostile = learnt(distinct(HOSTILE))
    note = f"{HOSTILE:,} distinct paths and keys, {hostile.places:,} places"
    yield Figure("memory under hostile traffic", "MiB", (_resident() - before,), at_most=MOST_MIB, note=note)


def learnt(made: Iterable[Record]) -> Learner:
    learner = Learner()
    for one in made:
        learner.learn(one)
    return learner


def distinct(number: int) -> Iterator[Record]:
    """Calls whose paths, keys and texts are all different."""
    chance = random.Random(2)
    for ordinal in range(number):
        path = "/" + "/".join(f"{chance.choice('abcdefgh')}{chance.randrange(10**5):x}z" for _ in range(3))
        raw = json.dumps({f"k{chance.randrange(10**9):x}q": {f"t{ordinal:x}": [str(ordinal)]}}).encode()
        one = record(ordinal, path=path, start=ordinal)
        assert one.response is not None
        yield replace(one, response=replace(one.response, body=Body(len(raw), raw, "complete")))


def _resident() -> float:
    """Resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20
