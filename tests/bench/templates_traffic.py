"""Seeded traffic of a documented API, with each request's template. Fixed before the learner was tuned.

Each template gets a fixed number of requests, in one shuffled order; GET is four times as likely as each
other method. A path parameter's values are drawn from a pool per (parameter, preceding word) of 10 to 300
values with a Zipf distribution, so that values repeat as in reality. Below another value most of them (80 %)
belong to that value alone, as repositories belong to an owner. The form of values follows the schema (enum,
integer, formats), then the parameter's name, then a style drawn for the pool: numbers, UUIDs, hex, prefixed
tokens, or names chosen by people, including words that APIs use too. The shape of a response is its set of
top-level fields; optional ones are missing in some responses, and one response in twenty is not captured. One
request in twelve fails, in addition to a scanner's requests for paths that do not exist.
"""

from __future__ import annotations

import random
import re
import zlib
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from urllib.parse import unquote
from uuid import UUID

from tests.bench.templates_corpus import Operation

_PARAMETER = re.compile(r"\{([^}]+)\}")
_OWN = 0.8
_FAILURES = (400, 401, 403, 404, 404, 404, 409, 500)
_SCANS = (
    "wp-login.php",
    ".env",
    "admin",
    "phpmyadmin",
    "cgi-bin",
    "backup.zip",
    "actuator",
    "console",
    ".git",
)


@dataclass(frozen=True, slots=True)
class Request:
    """One exchange; `template` is the right one (None: none), with parameters as "{}"."""

    method: str
    segments: tuple[str, ...]
    status: int
    shape: int | None
    template: str | None


def anonymous(template: str) -> str:
    """A template without its parameters' names."""
    return _PARAMETER.sub("{}", template)


def traffic(operations: Sequence[Operation], per_template: int, seed: int) -> list[Request]:
    """The requests of an API in order of arrival."""
    rng = random.Random(f"{seed}/{per_template}")
    values = _Values(seed)
    by_template: dict[str, list[Operation]] = {}
    for operation in operations:
        by_template.setdefault(operation.template, []).append(operation)
    requests = [
        _request(rng, values, _pick(rng, choices))
        for _, choices in sorted(by_template.items())
        for _ in range(per_template)
    ]
    requests += [_scan(rng) for _ in range(len(requests) // 20)]
    rng.shuffle(requests)
    return requests


def _pick(rng: random.Random, operations: list[Operation]) -> Operation:
    return rng.choices(operations, [4 if operation.method == "GET" else 1 for operation in operations])[0]


def _request(rng: random.Random, values: _Values, operation: Operation) -> Request:
    before: list[str] = []
    word = ""
    parent = ""
    for segment in operation.template[1:].split("/"):
        filled = unquote(segment)
        for name in _PARAMETER.findall(segment):
            value = values.draw(rng, name, operation.parameters.get(name, {}), word, parent)
            filled = filled.replace(f"{{{name}}}", value, 1)
            parent = value
        before.append(filled)
        word = word if "{" in segment else segment
    failed = rng.random() < 1 / 12
    return Request(
        operation.method,
        tuple(before),
        rng.choice(_FAILURES) if failed else 200,
        _shape(rng, operation),
        anonymous(operation.template),
    )


def _shape(rng: random.Random, operation: Operation) -> int | None:
    if rng.random() < 0.05:
        return None
    if operation.fields is None:
        return 0
    sparse = rng.random() < 0.3
    variant = random.Random(f"{operation.method}{operation.template}{rng.randrange(2)}")
    fields = {
        f.rstrip("?") for f in operation.fields if not (sparse and f.endswith("?") and variant.random() < 0.3)
    }
    return zlib.crc32(",".join(sorted(fields)).encode())


def _scan(rng: random.Random) -> Request:
    depth = rng.randrange(1, 4)
    path = tuple(rng.choice((*_SCANS, f"{rng.getrandbits(32):x}")) for _ in range(depth))
    return Request(rng.choice(("GET", "GET", "POST")), path, 404, None, None)


class _Pool:
    """Values of one parameter, most frequent first."""

    def __init__(self, rng: random.Random, make: Callable[[random.Random], str], size: int) -> None:
        self._values = list(dict.fromkeys(make(rng) for _ in range(size)))
        skew = rng.uniform(0.8, 1.2)
        self._weights = list(accumulate(1 / (rank + 1) ** skew for rank in range(len(self._values))))

    def draw(self, rng: random.Random) -> str:
        return self._values[bisect(self._weights, rng.random() * self._weights[-1])]


class _Values:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._pools: dict[tuple[str, ...], _Pool] = {}

    def draw(self, rng: random.Random, name: str, schema: dict[str, object], word: str, parent: str) -> str:
        enum = schema.get("enum")
        if isinstance(enum, list) and enum:
            return str(rng.choice(enum))
        own = bool(parent) and rng.random() < _OWN
        key = (name, word, parent) if own else (name, word)
        pool = self._pools.get(key)
        if pool is None:
            make = _style(random.Random(f"{self._seed}/{name}/{word}"), name, schema)
            pool_rng = random.Random(f"{self._seed}/{key}")
            size = pool_rng.randrange(2, 16) if own else round(10 * 30 ** pool_rng.random())
            pool = self._pools[key] = _Pool(pool_rng, make, size)
        return pool.draw(rng)


def _style(rng: random.Random, name: str, schema: dict[str, object]) -> Callable[[random.Random], str]:
    """The form of a parameter's values."""
    by_schema = _BY_FORMAT.get(str(schema.get("format"))) or _BY_FORMAT.get(str(schema.get("type")))
    if by_schema is not None:
        return by_schema
    lower = name.lower()
    for pattern, make in _BY_NAME:
        if re.search(pattern, lower):
            return make
    if re.search(r"(^|[a-z_-])(id|ids|gid|guid|identifier)$", lower) or lower.endswith(("_id", "id")):
        return _identifiers(rng)
    return rng.choice((_slug, _slug, _word, _user, _resource))


def _identifiers(rng: random.Random) -> Callable[[random.Random], str]:
    prefix = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randrange(2, 5)))
    return rng.choice(
        (
            _number,
            _number,
            _uuid,
            lambda r: f"{r.getrandbits(96):024x}",
            lambda r: f"{r.getrandbits(256):064x}",
            lambda r: f"{prefix}_{_base62(r, 14)}",
            lambda r: _base62(r, 22),
            lambda r: _base62(r, 11),
            _slug,
        )
    )


def _base62(rng: random.Random, length: int) -> str:
    return "".join(rng.choices("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", k=length))


def _number(rng: random.Random) -> str:
    return str(rng.randrange(1, 10 ** rng.randrange(2, 9)))


def _uuid(rng: random.Random) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4))


def _date(rng: random.Random) -> str:
    return f"{rng.randrange(2019, 2027)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"


def _word(rng: random.Random) -> str:
    return rng.choice(_WORDS)


def _slug(rng: random.Random) -> str:
    parts = rng.sample(_WORDS, rng.choice((1, 2, 2, 2, 3)))
    return rng.choice(("-", "-", "-", "_")).join(parts)


def _user(rng: random.Random) -> str:
    first, last = rng.choice(_FIRST), rng.choice(_LAST)
    forms = (
        first,
        first + last,
        f"{first[0]}{last}",
        f"{first}.{last}",
        f"{first}{rng.randrange(100)}",
        f"{last}-{first}",
    )
    return rng.choice(forms)


def _resource(rng: random.Random) -> str:
    """A resource's name in a cluster: web, web-api, web-0, web-7d4b9c6f5-x2x4z."""
    name = "-".join(rng.sample(_WORDS, rng.choice((1, 1, 2))))
    tail = "".join(rng.choices("bcdfghjklmnpqrstvwxz2456789", k=5))
    return rng.choice((name, name, f"{name}-{rng.randrange(9)}", f"{name}-{rng.getrandbits(36):x}-{tail}"))


_BY_FORMAT: dict[str, Callable[[random.Random], str]] = {
    "uuid": _uuid,
    "date": _date,
    "date-time": lambda r: f"{_date(r)}T{r.randrange(24):02}:{r.randrange(60):02}:00Z",
    "integer": _number,
    "number": _number,
    "email": lambda r: f"{_user(r)}@{_word(r)}.example.com",
    "boolean": lambda r: r.choice(("true", "false")),
}
_BY_NAME: tuple[tuple[str, Callable[[random.Random], str]], ...] = (
    (r"uuid|guid", _uuid),
    (r"sid$", lambda r: f"{r.choice('ACMPRS')}{r.choice('ACEMNS')}{r.getrandbits(128):032x}"),
    (r"sha|digest|hash", lambda r: f"{r.getrandbits(160):040x}"),
    (r"e-?mail", lambda r: f"{_user(r)}@{_word(r)}.example.com"),
    (r"date$", _date),
    (r"year$", lambda r: str(r.randrange(2015, 2027))),
    (r"(^|_)ip($|_|address)", lambda r: f"10.{r.randrange(9)}.{r.randrange(256)}.{r.randrange(256)}"),
    (r"phone", lambda r: f"+1{r.randrange(10**9, 10**10)}"),
    (r"domain|host", lambda r: f"{_slug(r)}.example.com"),
    (r"number$|count$|index$|^x$|port$|position$", lambda r: str(r.randrange(1, 5000))),
    (r"version", lambda r: f"{r.randrange(4)}.{r.randrange(20)}.{r.randrange(9)}"),
    (r"issue.*key|issueid", lambda r: f"{r.choice(('OPS', 'WEB', 'API', 'CORE'))}-{r.randrange(1, 4000)}"),
    (
        r"country|locale|lang",
        lambda r: r.choice(("US", "DE", "FR", "GB", "JP", "BR", "IN", "CA", "ES", "SE")),
    ),
    (r"currency", lambda r: r.choice(("usd", "eur", "gbp", "jpy", "brl", "inr", "cad", "sek", "chf"))),
    (r"path|file", lambda r: f"{_slug(r)}.{r.choice(('md', 'py', 'txt', 'json', 'yaml'))}"),
    (
        r"branch|^ref$|^tag$|basehead|revision",
        lambda r: r.choice(("main", "develop", f"v{r.randrange(9)}.{r.randrange(9)}", _slug(r), _slug(r))),
    ),
    (r"user|login|owner|author|assignee|member|actor|account(?!id|_id)", _user),
    (r"namespace|^org$|repo|workspace|team|project|realm|slug", _slug),
    (r"^name$|node|container|image|volume|plugin|service", _resource),
)
_WORDS, _FIRST, _LAST = (
    line.split() for line in Path(__file__).with_name("templates_words.txt").read_text().splitlines()
)


def successes(requests: Sequence[Request]) -> Iterator[Request]:
    """Successful requests; each has a template."""
    return (request for request in requests if request.status == 200)
