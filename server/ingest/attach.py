"""A specification is uploaded: which API it describes, and how all that is stored is judged anew."""

from __future__ import annotations

from dataclasses import dataclass

from agent.wire import Body, Consumer, Record, Request, Timing
from server.analysis.specs.document.servers import hosts
from server.catalogue import Specification
from server.ingest.accept import Acceptor
from server.store import specs
from server.store.apis import WORKLOAD_PREFIX
from server.store.counters import move_counts
from server.store.database import Database
from server.store.decisions import forget_spec
from server.store.queries import number_of_api
from server.store.specs import Upload


class UnknownApi(LookupError):
    """There is no API of this id."""


class NoTarget(ValueError):
    """Neither the upload nor the document says which API it describes."""


@dataclass(frozen=True, slots=True)
class Target:
    """Which API a specification describes: its id, or where it is served. `replace` removes all others."""

    api: str | None = None
    host: str | None = None
    workload: str | None = None
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Attached:
    api: str
    spec: str
    number: int  # the API's


def attach(
    db: Database, acceptor: Acceptor, upload: Upload, specification: Specification, target: Target, now: int
) -> Attached:
    """Stores a specification with its API, which from now on is judged by it. Writer's thread.

    Raises UnknownApi and NoTarget.
    """
    api = _target(db, acceptor, specification, target)
    acceptor.begin_judging(api)
    place = (upload.host, set(specification.base_paths))
    olds = [
        old.stored
        for old in acceptor.catalogue.draft.of_api(api)
        if target.replace or (old.stored.host, set(old.specification.base_paths)) == place
    ]
    for old in olds:
        forget_spec(db, old.id)
    specs.remove(db, [old.number for old in olds])
    stored = specs.insert(
        db, api, upload, specification.title, specification.version, specification.warnings, now
    )
    acceptor.catalogue.add(stored, specification)
    return Attached(acceptor.apis.id(api), stored.id, api)


def detach(db: Database, acceptor: Acceptor, id: str) -> int | None:
    """Removes a specification; the API it described (its number), None where there is none of this id. What
    is stored of the API is to be judged anew. Writer's thread.
    """
    known = specs.numbers_of(db, id)
    if known is None:
        return None
    number, api = known
    acceptor.begin_judging(api)
    forget_spec(db, id)
    specs.remove(db, [number])
    acceptor.catalogue.reread()
    return api


def _target(db: Database, acceptor: Acceptor, specification: Specification, target: Target) -> int:
    if target.api is not None:
        number = number_of_api(db.conn, target.api)
        if number is None:
            raise UnknownApi
        return number
    names = [target.host.lower()] if target.host else []
    if target.workload:
        namespace, _, workload = target.workload.rpartition("/")
        names.append(f"{WORKLOAD_PREFIX}{namespace}/{workload}")
    names = names or hosts(specification.document)
    if not names:
        raise NoTarget("the document's servers name no host: say host=, workload= or api=")
    return acceptor.apis.declare(names, specification.title)


def settle_leftovers(db: Database, acceptor: Acceptor, api: int) -> None:
    """After all samples were judged: counts whose samples are gone go to the operation their template
    belongs to, and deviations that no sample shows any more are removed. Writer's thread.
    """
    acceptor.findings.purge(api, acceptor.catalogue.draft.revision(api))
    for number, key, method, shape in acceptor.operations.without_samples(api):
        ruling = acceptor.catalogue.draft.judge(api, _probe(method, shape))
        found = ruling.judgement.operation if ruling else None
        if ruling is None or found is None:
            continue
        said = ruling.operation
        target = acceptor.operations.specified(
            api, found, ruling.judgement.deprecated, said.operation_id if said else None
        )
        if found != key:
            move_counts(db, number, target)
            acceptor.operations.forget()


def _probe(method: str, shape: str) -> Record:
    """A record that asks only: which operation is this?"""
    path = shape.replace("{id}", "0").replace("{date}", "2000-01-01").encode()
    nothing = Body(0, b"", "complete")
    return Record(
        id="probe",
        agent="",
        node="",
        cluster=None,
        time=0,
        monotonic=0,
        protocol="h1",
        tls=None,
        side="unknown",
        connection="",
        stream=0,
        client=None,
        server=None,
        process=None,
        request=Request(method, "http", None, path, None, (), (), nothing, None),
        response=None,
        timing=Timing(None, None, None, None),
        consumer=Consumer(),
        completeness="no-response",
    )
