"""Handles calls that are past retention after all stored exchanges of an API were re-validated.

Of such calls only the counters are known, and their operation's method and template:

| the operation | they are counted as |
|---|---|
| is described by a specification | `unjudged`, below the specification's operation |
| is described by none | `shadow`; `unjudged` if it is `OPTIONS`, as it may be a CORS preflight |
| overflow, or described although stored exchanges of it are not | `unjudged` |

Without a specification they have no verdict.
"""

from __future__ import annotations

from agent.wire import Body, Consumer, Record, Request, Timing
from server.analysis.specs.kinds import Fault, Verdict
from server.catalogue import Catalogue, Ruling
from server.ingest.accept import Acceptor
from server.store.rows import OperationKind
from server.store.unit import Unit
from server.store.values import Leftover


def settle_leftovers(unit: Unit, acceptor: Acceptor, api: int) -> None:
    """Gives calls without stored exchanges a verdict, and moves them to the operation that their template
    belongs to. Call it on the writer's thread after all stored exchanges were re-validated; it does nothing
    if more of them have become due meanwhile.
    """
    catalogue = acceptor.catalogue.draft
    if not catalogue.of_api(api) or unit.samples.unjudged(api, catalogue.revision(api), 1):
        return
    for one in unit.operations.leftovers(api):
        ruling = _ruling(catalogue, api, one)
        verdict = _verdict(one, ruling)
        fault = Fault.SERVER if verdict is Verdict.SHADOW else None  # as judging/fault.py says
        unit.calls.judge(_operation(unit, api, one, ruling), verdict, fault, one.count)
        unit.calls.flush()


def _ruling(catalogue: Catalogue, api: int, one: Leftover) -> Ruling | None:
    """The ruling on the path alone; None if it is known to be described, or is not known."""
    if one.kind is not OperationKind.PROVISIONAL:
        return None
    return catalogue.judge(api, _probe(one.method, one.template))


def _operation(unit: Unit, api: int, one: Leftover, ruling: Ruling | None) -> int:
    if ruling is None or one.sampled or (found := ruling.judgement.operation) is None:
        return one.number
    described = ruling.operation
    id = described.operation_id if described else None
    target = unit.operations.specified(api, found, ruling.judgement.deprecated, id)
    if target != one.number:
        unit.operations.move_counts(one.number, target)
    return target


def _verdict(one: Leftover, ruling: Ruling | None) -> Verdict:
    if ruling is None or ruling.verdict is not Verdict.SHADOW or one.method == "OPTIONS":
        return Verdict.UNJUDGED
    return Verdict.SHADOW


def _probe(method: str, shape: str) -> Record:
    """A minimal record that serves only to find the operation of a path."""
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
