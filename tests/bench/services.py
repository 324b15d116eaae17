"""Simulated services over real records: each data set is one, with lists, items, changes and errors.

Generated from a seed, and fixed before the learner was tuned on it. A refused call (400) is well formed: its
content is refused, so that no call deviates on purpose.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace

from agent.wire import Body, Consumer, Record
from tests.bench.shapes_mutants import Truth
from tests.server.records import MS, NOON, record

ALTERED = ("path", "method", "field", "status", "query parameter", "type")
_WORD = re.compile(r"[^a-z0-9]+")


class Service:
    """A service whose items are the records of a data set."""

    def __init__(self, name: str, records: list[dict[str, Any]]) -> None:
        self._root = f"/api/v1/{_WORD.sub('-', name)}"
        self._records = records
        self._truth = Truth(self._records)
        self._always = sorted(
            key
            for key in self._records[0]
            if self._truth.places[()].keys[key] == len(self._records)
            and self._truth.places[key,].types <= {str, int}
        )

    def calls(self, seed: int, number: int) -> Iterator[Record]:
        """Random calls."""
        chance = random.Random(seed)
        kinds = (self._list, self._item, self._item, self._search, self._create, self._change, self._remove)
        for ordinal in range(number):
            yield chance.choice(kinds)(chance, ordinal)

    def altered(self, kind: str, seed: int, number: int) -> Iterator[Record]:
        """Random calls, each with one thing that the service never did."""
        chance = random.Random(seed)
        while number > 0:
            one = (
                self._item(chance, number)
                if kind in ("field", "type", "method")
                else self._list(chance, number)
            )
            assert one.request is not None
            assert one.response is not None
            if one.response.status != 200:
                continue
            number -= 1
            if kind == "path":
                yield replace(one, request=replace(one.request, path=one.request.path + b"/unheard-of"))
            elif kind == "method":
                yield replace(one, request=replace(one.request, method="PUT"))
            elif kind == "status":
                yield replace(one, response=replace(one.response, status=409))
            elif kind == "query parameter":
                query = (one.request.query or b"") + b"&unheardOf=1"
                yield replace(one, request=replace(one.request, query=query))
            else:
                value = json.loads(one.response.body.data or b"")
                if kind == "field":
                    value["unheardOf"] = 1
                else:
                    value = self._truth.mutant(value, "wrong type", chance)
                yield replace(one, response=replace(one.response, body=_body(value)))

    def _list(self, chance: random.Random, ordinal: int) -> Record:
        size = chance.choice([2, 3, 5])
        page = chance.randrange(len(self._records) // size)
        pairs: dict[str, Any] = {"page": page, "limit": size}
        if chance.random() < 0.3:
            pairs["sort"] = ",".join(chance.sample(self._always, min(2, len(self._always))))
        if chance.random() < 0.2:
            pairs["verbose"] = chance.choice(["true", "false"])
        query = "&".join(f"{name}={quote(str(value), safe=',')}" for name, value in pairs.items())
        items = self._records[page * size : page * size + size]
        answer = {"items": items, "page": page, "next": f"{self._root}?page={page + 1}" if page % 9 else None}
        return self._call(ordinal, "GET", f"{self._root}?{query}", 200, answer)

    def _item(self, chance: random.Random, ordinal: int) -> Record:
        if chance.random() < 0.05:
            return self._call(
                ordinal, "GET", f"{self._root}/{10**6 + ordinal}", 404, _error("not found", ordinal)
            )
        if chance.random() < 0.02:
            return self._call(
                ordinal, "GET", self._path(chance), 401, _error("who are you?", ordinal), known=False
            )
        return self._call(ordinal, "GET", self._path(chance), 200, chance.choice(self._records))

    def _search(self, chance: random.Random, ordinal: int) -> Record:
        text = chance.choice(["a", "north", "x y", "12", "é", "red, blue"]) + str(chance.randrange(99))
        found = chance.sample(self._records, chance.randrange(3))
        return self._call(ordinal, "GET", f"{self._root}/search?q={quote(text)}", 200, found)

    def _create(self, chance: random.Random, ordinal: int) -> Record:
        one = chance.choice(self._records)
        sent = {key: one[key] for key in self._always}
        if chance.random() < 0.05:
            return self._call(ordinal, "POST", self._root, 400, _error("taken", ordinal), sent)
        return self._call(ordinal, "POST", self._root, 201, {"id": ordinal, "self": self._path(chance)}, sent)

    def _change(self, chance: random.Random, ordinal: int) -> Record:
        one = chance.choice(self._records)
        some = chance.sample(self._always, chance.randrange(1, len(self._always) + 1))
        return self._call(ordinal, "PATCH", self._path(chance), 200, one, {key: one[key] for key in some})

    def _remove(self, chance: random.Random, ordinal: int) -> Record:
        return self._call(ordinal, "DELETE", self._path(chance), 204, None)

    def _path(self, chance: random.Random) -> str:
        return f"{self._root}/{chance.randrange(10**5)}"

    def _call(
        self,
        ordinal: int,
        method: str,
        path: str,
        status: int,
        answer: Any,
        sent: Any = None,
        known: bool = True,
    ) -> Record:
        consumer = (
            Consumer("shop/1", "bearer", "7f", facts={"jwt.alg": "RS256"}) if known else Consumer("shop/1")
        )
        plain = record(
            ordinal, path=path, method=method, status=status, start=NOON + ordinal * MS, consumer=consumer
        )
        assert plain.request is not None
        assert plain.response is not None
        headers = ((b"host", b"shop.local:8080"), (b"authorization", b"Bearer redacted"))
        kind = "application/json"
        request = replace(
            plain.request,
            headers=headers if known else headers[:1],
            body=_body(sent),
            content_type=kind if sent is not None else None,
        )
        response = replace(
            plain.response, body=_body(answer), content_type=kind if answer is not None else None
        )
        return replace(plain, request=request, response=response)


def _error(text: str, ordinal: int) -> dict[str, Any]:
    return {"error": {"code": text.replace(" ", "-"), "message": f"{text}: {ordinal}"}}


def _body(value: Any) -> Body:
    raw = b"" if value is None else json.dumps(value).encode()
    return Body(len(raw), raw, "complete")
