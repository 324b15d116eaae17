"""Handles counts without stored exchanges after all stored exchanges of an API were re-validated."""

from __future__ import annotations

from agent.wire import Body, Consumer, Record, Request, Timing
from server.ingest.accept import Acceptor
from server.store.unit import Unit


def settle_leftovers(unit: Unit, acceptor: Acceptor, api: int) -> None:
    """Moves the counts of operations without stored exchanges to the operation that their template belongs
    to, and removes deviations that no exchange shows any more. Call it on the writer's thread after all
    stored exchanges were re-validated.
    """
    catalogue = acceptor.catalogue.draft
    unit.deviations.purge(api, catalogue.revision(api))
    for one in unit.operations.unsampled(api):
        ruling = catalogue.judge(api, _probe(one.method, one.template))
        found = ruling.judgement.operation if ruling else None
        if ruling is None or found is None:
            continue
        described = ruling.operation
        target = unit.operations.specified(
            api, found, ruling.judgement.deprecated, described.operation_id if described else None
        )
        if found != one.key:
            unit.operations.move_counts(one.number, target)


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
