"""What is left to do once all samples of an API were judged again: counts whose samples are gone."""

from __future__ import annotations

from agent.wire import Body, Consumer, Record, Request, Timing
from server.ingest.accept import Acceptor
from server.store.unit import Unit


def settle_leftovers(unit: Unit, acceptor: Acceptor, api: int) -> None:
    """After all samples were judged: counts whose samples are gone go to the operation their template
    belongs to, and deviations that no sample shows any more are removed. Writer's thread.
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
