"""Small specifications, and records of calls to validate."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import settings

from agent.wire import Body, Consumer, Mask, Record, Request, Response, Timing
from server.analysis.specs.judging.policy import ReportingPolicy
from server.analysis.specs.load import load
from server.analysis.specs.model import Judgement
from server.analysis.specs.specification import Specification

Json = dict[str, Any]
PATIENT = settings(deadline=None)  # for loaded machines
REPORTING = ReportingPolicy()
EMPTY = Body(0, b"", "complete")


def document(paths: Json, openapi: str = "3.1.0", **others: Any) -> Json:
    return {"openapi": openapi, "info": {"title": "t", "version": "1"}, "paths": paths, **others}


def spec(
    paths: Json, openapi: str = "3.1.0", policy: ReportingPolicy = REPORTING, **others: Any
) -> Specification:
    return load(json.dumps(document(paths, openapi, **others)).encode(), policy)


def operation(**said: Any) -> Json:
    return {"responses": {"200": {"description": "ok"}}, **said}


def answering(schema: Any, openapi: str = "3.1.0", **components: Any) -> Specification:
    """GET /x returns 200 with JSON of this schema; POST /x accepts it."""
    content = {"content": {"application/json": {"schema": schema}}}
    answer = {"200": {"description": "ok", **content}, "204": {"description": "ok"}}
    paths = {"/x": {"get": {"responses": answer}, "post": {"requestBody": content, "responses": answer}}}
    return spec(paths, openapi, components={"schemas": components})


def body(value: Any, state: str = "complete") -> Body:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Body(len(data), data, state)


def call(
    method: str = "GET",
    path: bytes = b"/x",
    status: int = 200,
    *,
    query: bytes | None = None,
    headers: Sequence[tuple[bytes, bytes]] = ((b"host", b"h"),),
    sent: Body = EMPTY,
    sent_type: str | None = "application/json",
    answer: Body = EMPTY,
    answer_type: str | None = "application/json",
    answer_headers: Sequence[tuple[bytes, bytes]] = ((b"date", b"now"),),
    masks: Sequence[Mask] = (),
    masks_left_out: int = 0,
    completeness: str = "complete",
    scheme: str | None = None,
) -> Record:
    return Record(
        id="00",
        agent="a",
        node="n",
        cluster=None,
        time=0,
        monotonic=0,
        protocol="h1",
        tls=None,
        side="server",
        connection="c",
        stream=0,
        client=None,
        server=None,
        process=None,
        request=Request(method, "http", b"h", path, query, tuple(headers), (), sent, sent_type),
        response=Response(status, tuple(answer_headers), (), answer, answer_type),
        timing=Timing(0, 0, 0, 0),
        consumer=Consumer(credential_scheme=scheme),
        completeness=completeness,
        masks=tuple(masks),
        masks_left_out=masks_left_out,
    )


def found(judgement: Judgement) -> list[tuple[str, str, str]]:
    return sorted((str(one.kind), str(one.where), one.pointer) for one in judgement.deviations)


def verdict_on(schema: Any, value: Any, openapi: str = "3.1.0", **components: Any) -> Judgement:
    """The judgement of a response with this body."""
    return answering(schema, openapi, **components).match(call(answer=body(value)))


def verdict_of_sending(schema: Any, value: Any, openapi: str = "3.1.0", **components: Any) -> Judgement:
    """The judgement of a request with this body."""
    record = call("POST", status=204, sent=body(value))
    return answering(schema, openapi, **components).match(record)


def parameter(name: str, where: str, schema: Any, **said: Any) -> Mapping[str, Any]:
    return {"name": name, "in": where, "schema": schema, "required": where == "path", **said}
