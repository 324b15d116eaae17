"""Random schemas of OpenAPI 3.1, compared with the reference implementation of JSON Schema.

Excluded is what OpenAPI defines differently (nullable, readOnly, discriminator, integer formats), and null as
an alternative of `oneOf`, which is tried first here.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.server.analysis.specs.spec_calls import answering, body, call

NAMES = ["a", "b", "c", "$ref", "x/y"]
TYPES: list[Any] = [
    "object",
    "string",
    "integer",
    "array",
    "number",
    "boolean",
    ["object", "string", "object"],
]


class Maker:
    """Makes schemas that refer only to earlier ones, so that the reference terminates."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._components: list[str] = []

    def components(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name in "ABCD":
            made[name] = self.schema(3)
            self._components.append(name)
        return made

    def schema(self, depth: int) -> Any:
        choice = self._random.random()
        if choice < 0.04:
            return choice < 0.02
        if self._components and (depth == 0 or choice < 0.2):
            return {"$ref": "#/components/schemas/" + self._random.choice(self._components)}
        if depth == 0:
            return {"type": "integer"}
        return dict(self._keyword(depth - 1) for _ in range(self._random.randint(1, 4)))

    def _keyword(self, depth: int) -> tuple[str, Any]:
        pick = self._random.choice
        kind = pick(["scalar", "scalar", "schema", "schemas", "fields", "lists"])
        if kind == "schema":
            keywords = ["not", "if", "then", "else", "items", "contains", "additionalProperties"]
            keywords += ["unevaluatedProperties", "unevaluatedItems", "propertyNames"]
            return pick(keywords), self.schema(depth)
        if kind == "schemas":
            keyword = pick(["allOf", "oneOf", "anyOf", "prefixItems"])
            return keyword, [self.schema(depth) for _ in range(self._random.randint(1, 3))]
        if kind == "fields":
            keyword = pick(["properties", "properties", "dependentSchemas"])
            return keyword, {pick(NAMES): self.schema(depth) for _ in range(3)}
        if kind == "lists":
            options: list[tuple[str, Any]] = [
                ("required", [pick(NAMES), pick(NAMES)]),
                ("dependentRequired", {"a": ["b", "b"]}),
                ("patternProperties", {pick(["^a", "b"]): self.schema(depth)}),
                ("enum", [pick([1, "a", "b", {"a": []}]) for _ in range(3)]),
            ]
            return pick(options)
        return pick(
            [
                ("type", pick(TYPES)),
                ("minimum", pick([1, -2.5, 10**30])),
                ("exclusiveMaximum", 3),
                ("multipleOf", 2),
                ("minLength", pick([1, 2.0])),
                ("maxItems", 1),
                ("minContains", pick([0, 2])),
                ("uniqueItems", True),
                ("const", pick([1, "a"])),
            ]
        )

    def value(self, depth: int) -> Any:
        choice = self._random.random()
        if depth == 0 or choice < 0.4:
            return self._random.choice([1, 2, "a", "b", True, 2.5, "ab"])
        count = self._random.randint(0, 3)
        if choice < 0.6:
            return [self.value(depth - 1) for _ in range(count)]
        return {self._random.choice(NAMES): self.value(depth - 1) for _ in range(count)}


@pytest.mark.parametrize("start", range(0, 600, 100))
def test_what_conforms_is_what_the_reference_says(start: int) -> None:
    judged = {True: 0, False: 0}
    for seed in range(start, start + 100):
        maker = Maker(seed)
        components, schema = maker.components(), maker.schema(4)
        loaded = answering(schema, **components)
        root = {"$ref": "#/root", "root": schema, "components": {"schemas": components}}
        reference = Draft202012Validator(root)
        for _ in range(5):
            value = maker.value(4)
            judgement = loaded.match(call(answer=body(value)))
            if judgement.verdict == "unjudged":  # too slow
                continue
            ours = all(one.kind == "unknown-field" for one in judgement.deviations)
            assert ours == reference.is_valid(value), (seed, schema, components, value)
            judged[ours] += 1
    assert min(judged.values()) > 50
