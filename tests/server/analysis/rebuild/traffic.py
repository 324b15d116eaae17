"""Records of a service for the tests of rebuilding."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace
from openapi_spec_validator import OpenAPIV31SpecValidator, OpenAPIV32SpecValidator

from agent.wire import Body, Consumer, Mask, Record
from server.analysis.rebuild.document import DocumentOptions, document
from server.analysis.rebuild.learner import Learner
from server.analysis.specs.load import load
from server.analysis.specs.model import Judgement
from tests.server.records import record

JSON = "application/json"


def body(value: Any) -> Body:
    """A JSON body; bytes are used unchanged, None is an empty body."""
    raw = value if isinstance(value, bytes) else b"" if value is None else json.dumps(value).encode()
    return Body(len(raw), raw, "complete")


def call(
    method: str = "GET",
    path: str = "/users",
    status: int = 200,
    answer: Any = None,
    *,
    sent: Any = None,
    kind: str = JSON,
    answer_kind: str = JSON,
    headers: Mapping[str, str] | None = None,
    answer_headers: Mapping[str, str] | None = None,
    consumer: Consumer | None = None,
    masks: Iterable[Mask] = (),
    ordinal: int = 0,
) -> Record:
    """One exchange; `sent` and `answer` are JSON values or bytes."""
    plain = record(ordinal, path=path, method=method, status=status)
    assert plain.request is not None
    assert plain.response is not None
    request = replace(
        plain.request,
        body=body(sent),
        content_type=kind if sent is not None else None,
        headers=_pairs(headers),
    )
    response = replace(
        plain.response,
        body=body(answer),
        content_type=answer_kind if answer is not None else None,
        headers=_pairs(answer_headers),
    )
    return replace(
        plain, request=request, response=response, consumer=consumer or Consumer(), masks=tuple(masks)
    )


def _pairs(headers: Mapping[str, str] | None) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.encode(), value.encode()) for name, value in (headers or {}).items())


def learnt(records: Iterable[Record]) -> Learner:
    learner = Learner()
    for one in records:
        learner.learn(one)
    return learner


def rebuilt(records: Iterable[Record], *, evidence: bool = False, sequences: bool = False) -> dict[str, Any]:
    """The document learned from records; asserts that it conforms to the official meta-schema."""
    found = document(learnt(records), DocumentOptions("Shop", evidence=evidence, sequences=sequences))
    validate(found)
    return found


def validate(found: dict[str, Any]) -> None:
    newer = found["openapi"].startswith("3.2")
    validator = OpenAPIV32SpecValidator if newer else OpenAPIV31SpecValidator
    errors = [error.message for error in validator(found).iter_errors()]
    assert not errors


def judged(found: dict[str, Any], records: Iterable[Record]) -> list[Judgement]:
    specification = load(json.dumps(found).encode())
    return [specification.match(one) for one in records]


def deviations(found: dict[str, Any], records: Iterable[Record]) -> list[tuple[str, str, str]]:
    """Kind, where and pointer of all deviations of records from a document."""
    return [
        (str(one.kind), str(one.where), one.pointer)
        for judgement in judged(found, records)
        for one in judgement.deviations
    ]
