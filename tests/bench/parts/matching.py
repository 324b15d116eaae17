"""Speed of matching and counting exchanges; loading and path lookup of Kubernetes' own document.

The exchanges have JSON of about 2 KB, no body twice. The yardsticks are parsing the same JSON, and
jsonschema_rs alone on the parsed values.

Paths are looked up with a different value in each parameter, in Kubernetes' document and in one with ten
times its paths.
"""

from __future__ import annotations

import gc
import json
import random
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeVar

from jsonschema_rs import Draft202012Validator
from msgspec.structs import replace

from agent.wire import Body, Record
from server.analysis.coverage.counts import By, Counts
from server.analysis.coverage.outline import Outline
from server.analysis.coverage.report import report
from server.analysis.specs.judging.judged import Judged
from server.analysis.specs.load import load
from server.analysis.specs.model import Operation
from server.analysis.specs.routing.routes import Routes, segments_of
from server.analysis.specs.routing.trie import Trie, parse_segment
from server.analysis.specs.specification import Specification
from tests.bench.figures import Figure, alternating, cpu_us, ratios
from tests.bench.templates_corpus import SOURCES, Unavailable, file_of
from tests.server.records import record

Path = TypeVar("Path")
NEEDS_ROOT = False
GOAL, LOOKUPS, SHARE, READY_S = 15_000, 500_000, 0.7, 3.0
EXCHANGES = 5_000
REPORTED = 5_000  # calls for the coverage report

ADDRESS = {
    "type": "object",
    "required": ["street", "city"],
    "properties": {
        "street": {"type": "string"},
        "city": {"type": "string"},
        "zip": {"type": "string", "pattern": "^[0-9]{5}$"},
        "country": {"type": "string", "enum": ["DE", "FR", "US"]},
    },
}
ITEM = {
    "type": "object",
    "required": ["sku", "count"],
    "properties": {
        "sku": {"type": "string"},
        "count": {"type": "integer", "minimum": 1},
        "price": {"type": "number"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
}
ORDER = {
    "type": "object",
    "required": ["id", "items"],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "created": {"type": "string", "format": "date-time"},
        "status": {"type": "string", "enum": ["new", "paid", "sent"]},
        "address": {"$ref": "#/components/schemas/Address"},
        "items": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
        "note": {"type": "string", "nullable": True},
    },
}
PARAMETERS = [
    {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
    {"name": "expand", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
    {"name": "X-Tenant", "in": "header", "schema": {"type": "string"}},
]
CONTENT = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}}
DOCUMENT = {
    "openapi": "3.0.3",
    "info": {"title": "Orders", "version": "1"},
    "paths": {
        "/orders/{id}": {
            "parameters": PARAMETERS,
            "get": {"responses": {"200": {"description": "ok", **CONTENT}}},
            "put": {"requestBody": CONTENT, "responses": {"200": {"description": "ok", **CONTENT}}},
        }
    },
    "components": {"schemas": {"Order": ORDER, "Item": ITEM, "Address": ADDRESS}},
}


def order(items: int, number: int) -> bytes:
    """A conforming order."""
    return json.dumps(
        {
            "id": f"3f2504e0-4f89-11d3-9a0c-{number:012x}",
            "created": "2026-01-01T00:00:00Z",
            "status": "paid",
            "address": {"street": "Main", "city": "Xanten", "zip": "46509", "country": "DE"},
            "items": [
                {"sku": f"sku-{i}", "count": i + 1, "price": 9.99 * i, "tags": ["a", "b", "c"]}
                for i in range(items)
            ],
            "note": None,
        }
    ).encode()


def exchange(method: str, sent: bytes, answered: bytes) -> Record:
    one = record(method=method, path="/orders/77?expand=a&expand=b")
    assert one.request is not None
    assert one.response is not None
    headers = (*one.request.headers, (b"x-tenant", b"t"), (b"accept", b"*/*"), (b"user-agent", b"shop/1"))
    request = replace(one.request, headers=headers, body=Body(len(sent), sent, "complete"))
    request = replace(request, content_type="application/json" if sent else None)
    response = replace(one.response, body=Body(len(answered), answered, "complete"))
    return replace(one, request=request, response=response)


def figures(rounds: int) -> Iterator[Figure]:
    specification = load(json.dumps(DOCUMENT).encode())
    gets = [exchange("GET", b"", order(26, i)) for i in range(EXCHANGES)]
    puts = [exchange("PUT", order(12, i), order(12, i)) for i in range(EXCHANGES)]
    answers = [order(26, i) for i in range(EXCHANGES)]
    altered = [exchange("GET", b"", _altered(one)) for one in answers]
    assert {specification.match(one).verdict for one in (gets[0], puts[0])} == {"conforming"}
    assert len(specification.match(altered[0]).deviations) == 2
    alone, parsed = _validator(), [json.loads(answer) for answer in answers]
    assert alone.is_valid(parsed[0])
    gc.freeze()  # objects made here are not part of matching, even for the garbage collector
    cases = {
        "get": lambda: cpu_us(lambda: [specification.match(one) for one in gets], EXCHANGES),
        "put": lambda: cpu_us(lambda: [specification.match(one) for one in puts], EXCHANGES),
        "counted": lambda: cpu_us(lambda: _counted(specification, gets), EXCHANGES),
        "deviating": lambda: cpu_us(lambda: [specification.match(one) for one in altered], EXCHANGES),
        "parsed": lambda: cpu_us(lambda: deque(map(json.loads, answers), maxlen=0), EXCHANGES),
        "validated": lambda: cpu_us(lambda: deque(map(alone.is_valid, parsed), maxlen=0), EXCHANGES),
    }
    spent = alternating(rounds, cases)
    speed = {name: tuple(1e6 / us for us in found) for name, found in spent.items()}
    yield Figure(
        "matched, 2 KB answered", "/CPU-s", speed["get"], at_least=GOAL, note=f"{len(answers[0])} bytes"
    )
    yield Figure(
        "matched, 1 KB each way", "/CPU-s", speed["put"], at_least=GOAL, note="the same orders, half as long"
    )
    yield Figure("2 KB answered, with two deviations", "/CPU-s", speed["deviating"])
    yield Figure("the 2 KB parsed alone", "/CPU-s", speed["parsed"], yardstick=True)
    yield Figure("validated alone, by jsonschema_rs", "/CPU-s", speed["validated"], yardstick=True)
    counting = tuple(one - other for one, other in zip(spent["counted"], spent["get"], strict=True))
    yield Figure("coverage of a matched exchange", "µs", counting)
    try:
        raw = file_of(next(one for one in SOURCES if one.api == "kubernetes")).read_bytes()
    except Unavailable as error:
        sys.stderr.write(f"matching: without kubernetes: {error}\n")
    else:
        yield from _kubernetes(raw, rounds)


def _altered(answer: bytes) -> bytes:
    """The order with an undefined status and an undescribed field."""
    return answer.replace(b'"status": "paid"', b'"status": "lost", "unheard": 1')


def _validator() -> Draft202012Validator:
    schemas = {**DOCUMENT, "$ref": "#/components/schemas/Order"}
    as_2020 = json.dumps(schemas).replace('"type": "string", "nullable": true', '"type": ["string", "null"]')
    return Draft202012Validator(json.loads(as_2020), validate_formats=True)


def _counted(specification: Specification, made: list[Record]) -> Counts:
    outline, counts = Outline([specification]), Counts()
    for one in made:
        counts.add_exchange(Judged.by(specification, one), outline, By.USER_AGENT)
    return counts


def _kubernetes(raw: bytes, rounds: int) -> Iterator[Figure]:
    ready = tuple(cpu_us(lambda: load(raw), 1) / 1e6 for _ in range(rounds))
    yield Figure("Kubernetes' document ready", "CPU-s", ready, at_most=READY_S, note=f"{len(raw):,} bytes")
    kubernetes = load(raw)
    operations = kubernetes.operations
    small, large = _routes(operations, 1), _routes(operations, 10)
    trie, split = _trie(operations), [segments_of(path) for path in small[1]]
    assert all(map(trie.find, split))
    cases = {
        "small": lambda: _looked_up(small[0].find, small[1]),
        "large": lambda: _looked_up(large[0].find, large[1]),
        "trie": lambda: _looked_up(trie.find, split),
    }
    spent = alternating(rounds, cases)
    speed = {name: tuple(1e6 / us for us in found) for name, found in spent.items()}
    yield Figure("paths looked up in it", "/CPU-s", speed["small"], at_least=LOOKUPS)
    share = ratios(speed["large"], speed["small"])
    yield Figure("in ten times its paths ÷ in it", "", share, at_least=SHARE)
    yield Figure("split paths, in its trie alone", "/CPU-s", speed["trie"])
    yield from _report(kubernetes, small[1], rounds)


def _report(specification: Specification, paths: list[bytes], rounds: int) -> Iterator[Figure]:
    outline, counts = Outline([specification]), Counts()
    for at in range(REPORTED):
        one = record(path=paths[at % len(paths)])
        counts.add_exchange(Judged.by(specification, one), outline, By.USER_AGENT)
    first = cpu_us(lambda: report(outline, counts), 1) / 1000  # counts all fields
    spent = tuple(cpu_us(lambda: report(outline, counts), 1) / 1000 for _ in range(rounds))
    yield Figure("its coverage, the first report", "ms", (first,), note=f"{len(outline.offers):,} operations")
    yield Figure("its coverage, a later report", "ms", spent)


def _trie(operations: tuple[Operation, ...]) -> Trie[list[str]]:
    trie: Trie[list[str]] = Trie()
    for one in operations:
        segments = [parse_segment(segment) for segment in one.template[1:].split("/")]
        trie.leaf(segments, list[str]).append(one.method)
    return trie


def _routes(operations: tuple[Operation, ...], copies: int) -> tuple[Routes[Operation], list[bytes]]:
    """The routes of a number of copies under different first segments, and as many paths that match or do
    not.
    """
    chance = random.Random(1)
    routes: Routes[Operation] = Routes()
    paths: list[bytes] = []

    def warn(_: str) -> None:
        return

    for copy in range(copies):
        base = f"/copy{copy}" if copies > 1 else ""
        for one in operations:
            routes.add(one, one, base, warn)
            filled = re.sub(r"\{[^}]*\}", lambda _: f"x{chance.randrange(10**6)}", one.template)
            paths.append((base + filled).encode())
    chance.shuffle(paths)
    return routes, paths[: len(operations)]


def _looked_up(find: Callable[[Path], object], paths: list[Path]) -> float:
    def work() -> None:
        for _ in range(20):
            for path in paths:
                find(path)

    return cpu_us(work, 20 * len(paths))
