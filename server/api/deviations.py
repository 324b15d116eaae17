"""Deviations, and what people decide of them."""

from __future__ import annotations

import asyncio
import json
import time
from http import HTTPStatus
from typing import Annotated, Any

import yaml
from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from agent.wire import Record, decode_record
from server.analysis.specs.amending.patches import Unfit, applied
from server.analysis.specs.amending.propose import proposal, shows
from server.analysis.specs.deviation import DeviationIdentity
from server.analysis.specs.document.text import parse
from server.analysis.views import most_seen
from server.api import models, render
from server.api.context import context_of
from server.api.errors import Problem
from server.api.gate import Role, require
from server.api.known import KnownApi
from server.api.paging import DEFAULT_LIMIT, After, Limit, Narrowed, catalogue_of, decode, page, store_of
from server.catalogue import Loaded
from server.services.listing import Listed
from server.specification import understood
from server.store import decisions, queries, specs
from server.store.database import Connection
from server.store.decisions import Decision, State, identity

router = APIRouter(prefix="/api/v1", dependencies=[Depends(require(Role.ADMIN))], tags=["deviations"])

Narrow = Annotated[Narrowed, Depends()]
StateAsked = Annotated[
    str,
    Query(
        alias="state",
        pattern="^(|open|accepted|ignored|all)$",
        description="Without it all but those that are ignored.",
    ),
]


@router.get("/deviations", response_model=models.Page[models.StoredDeviation])
def list_deviations(
    request: Request,
    narrow: Narrow,
    state: StateAsked = "",
    limit: Limit = DEFAULT_LIMIT,
    cursor: After = None,
) -> Any:
    """What differs from the specifications, once each, most recently seen first."""
    after = decode(cursor)
    with store_of(request).reading() as db:
        rows = queries.deviations(db, narrow.filters(db, state), limit + 1, after)
    return page(Listed.cut(rows, limit), "last_seen", render.finding)


@router.post("/deviations/{id}/ignore", status_code=204)
async def ignore(request: Request, id: str, said: models.Ignore) -> None:
    """Silences a deviation: it is no longer listed, nor does it count to the verdict of calls to come. It
    is still counted. The decision outlives the deviation, and other specifications."""
    row = _row(request, id)
    decision = Decision(State.IGNORED, said.reason, said.by, time.time_ns())
    await _decide(request, row, decision)


@router.delete("/deviations/{id}/ignore", status_code=204)
@router.delete("/deviations/{id}/accept", status_code=204)
async def undo(request: Request, id: str) -> None:
    """The deviation is open again."""
    await _decide(request, _row(request, id), None)


@router.post("/deviations/{id}/accept", response_model=models.Proposal)
async def accept(request: Request, id: str, said: models.Accept) -> Any:
    """Turns a deviation into a change of the specification under which a call that shows it would conform.
    Answers 409 where there is none. The specification itself stays as it is until one is uploaded."""
    row = _row(request, id)
    spec, patch = await run_in_threadpool(_proposed, request, row)
    decision = Decision(State.ACCEPTED, said.reason, said.by, time.time_ns(), spec, patch)
    await _decide(request, row, decision)
    return _shown({**row, **_plain(decision)})


@router.get("/apis/{id}/proposals", response_model=models.Page[models.Proposal])
def list_proposals(request: Request, api: KnownApi) -> Any:
    """All changes of an API's specifications that were accepted, oldest first."""
    with store_of(request).reading() as db:
        rows = decisions.proposals(db, api)
    return {"items": [_shown(row) for row in rows], "next": None}


@router.get("/apis/{id}/proposals/document", response_class=Response)
def proposed_document(
    request: Request, api: KnownApi, spec: Annotated[str | None, Query(max_length=100)] = None
) -> Response:
    """A specification (the newest, or the one of this id) with all that was accepted, to be uploaded."""
    with store_of(request).reading() as db:
        found = [row for row in specs.of_api(db, api) if spec in (None, row["id"])]
        if not found:
            raise Problem(HTTPStatus.NOT_FOUND, "this API has no such specification")
        raw: bytes = found[0]["raw"]
        document = changed(parse(raw), decisions.proposals(db, found[0]["api"], found[0]["id"]))
    if raw.lstrip()[:1] == b"{":
        return Response(json.dumps(document, ensure_ascii=False, indent=2), media_type="application/json")
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    return Response(text, media_type="application/yaml")


def changed(document: Any, accepted: list[dict[str, Any]]) -> Any:
    """The document after these proposals; one that no longer fits, as another was undone, is left out."""
    for one in accepted:
        try:
            document = applied(document, one["patch"])
        except Unfit:
            continue
    return document


def _row(request: Request, id: str) -> dict[str, Any]:
    number = int(id) if id.isdecimal() and len(id) < 19 else -1
    with store_of(request).reading() as db:
        row = decisions.deviation(db, number)
    if row is None:
        raise Problem(HTTPStatus.NOT_FOUND, "there is no deviation of this id (any more)")
    return row


async def _decide(request: Request, row: dict[str, Any], decision: Decision | None) -> None:
    editor, api, known = context_of(request).core.acceptor.catalogue, row["api"], identity(row)

    def work(db: Any) -> None:
        if decision is None:
            decisions.undo(db, api, known)
        else:
            decisions.decide(db, api, known, decision)
        editor.reread_ignored()

    await asyncio.wrap_future(store_of(request).write(work))


def _proposed(request: Request, row: dict[str, Any]) -> tuple[str, tuple[dict[str, Any], ...]]:
    """(the specification's id, its change). Raises Problem."""
    load, wanted = context_of(request).core.load, identity(row)
    known = catalogue_of(request).of_api(row["api"])
    with store_of(request).reading() as db:
        record = _sample(queries.exchange(db, row["sample"]))
        others = [one for one in decisions.proposals(db, row["api"]) if identity(one) != wanted]
        documents = {one.stored.id: _document(db, one) for one in known}
    for loaded in _by_fit(known, wanted, record):
        stored = loaded.stored
        own = [one for one in others if one["spec"] == stored.id]
        document = changed(documents[stored.id], own)

        def understand(document: dict[str, Any], base_path: str | None = stored.base_path) -> Any:
            return understood(load, document, base_path)

        patch = proposal(wanted, document, understand, record)
        if patch is not None:
            return stored.id, patch
    raise Problem(
        HTTPStatus.CONFLICT, "no change of the specification makes this conform that could be found"
    )


def _document(db: Connection, loaded: Loaded) -> Any:
    """A specification's document, its server URLs as they were uploaded."""
    stored = specs.of_id(db, loaded.stored.id) if loaded.stored.base_path is not None else None
    return dict(loaded.specification.document) if stored is None else parse(stored["raw"])


def _sample(exchange: dict[str, Any] | None) -> Record | None:
    return None if exchange is None else most_seen([decode_record(raw) for raw in exchange["records"]])


def _by_fit(known: tuple[Loaded, ...], wanted: DeviationIdentity, record: Record | None) -> list[Loaded]:
    """Specifications that the deviation is one from, as far as is known."""
    if record is not None:
        fitting = [one for one in known if shows(one.specification.match(record), wanted)]
    else:
        fitting = [one for one in known if wanted.operation in one.operations]
    return fitting or [*known]


def _plain(decision: Decision) -> dict[str, Any]:
    return {
        "spec": decision.spec,
        "patch": decision.patch,
        "reason": decision.reason,
        "by": decision.by,
        "time": decision.time,
    }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    names = ("operation", "kind", "where", "pointer", "spec", "patch", "reason", "by")
    return {**{name: row[name] for name in names}, "time": render.time(row["time"])}
