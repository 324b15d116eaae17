"""Rows and records → the API's responses. Captured bytes are shown, never interpreted."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from msgspec.structs import asdict

from agent import wire
from agent.wire import Pairs, Record
from server.analysis.inventory import host_of
from server.analysis.latency import quantile
from server.analysis.likeness import placed
from server.analysis.rebuild.refused import RefusedOperation as Refusals
from server.analysis.specs.deviation import DeviationIdentity
from server.analysis.specs.excerpts import Excerpt
from server.analysis.specs.judging.fault import fault_of
from server.analysis.specs.kinds import Kind, Where, severity_of
from server.analysis.views import in_order, most_seen, server_view, sub_operations, websocket
from server.api import exchange_models, models
from server.api.rebuilt_models import Change, Decided, Decision, RefusedOperation, Version
from server.services.consumers import PeriodCounts
from server.services.deviations import Reviewed
from server.services.fleet import BalanceSum, LedgerReport
from server.services.inventory import UnusedOperation
from server.store import rows

NS = 1_000_000_000
NO_LATENCY = models.Latency(p50=None, p95=None, p99=None)


def time(ns: int) -> str:
    """RFC 3339 with nanoseconds."""
    seconds, rest = divmod(ns, NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def moment(ns: int | None) -> str | None:
    """The same for a time that may be absent."""
    return None if ns is None else time(ns)


def shown(raw: bytes) -> models.Bytes:
    """Text if the bytes are UTF-8, else base64."""
    try:
        return models.Text(text=raw.decode())
    except UnicodeDecodeError:
        return models.Base64(base64=base64.b64encode(raw).decode())


def api(row: rows.ApiRow) -> models.Api:
    return models.Api(
        id=row.id,
        name=row.name,
        kind=row.kind,
        internal=row.internal,
        hosts=[*row.hosts],
        routes=[models.HostRoute(**dataclasses.asdict(one)) for one in row.routes],
        node=row.node,
        process=row.process,
        executable=row.executable,
        port=row.port,
        namespace=row.namespace,
        workload=row.workload,
        cluster=row.cluster,
        exchanges=row.exchanges,
        uncertain=row.uncertain,
        operations=row.operations,
        verdicts={**row.verdicts},
        first_seen=moment(row.first_seen),
        last_seen=moment(row.last_seen),
        specs=[models.Named(id=one.id, title=one.title, version=one.version) for one in row.specs],
        merged=[*row.merged],
    )


def operation(row: rows.OperationRow) -> models.Operation:
    return models.Operation(
        id=row.id,
        api=row.api_id,
        operation=row.key,
        method=row.method,
        template=row.template,
        kind=models.ShownKind(row.kind),
        operation_id=row.operation_id,
        deprecated=row.deprecated,
        count=row.count,
        uncertain=row.uncertain,
        statuses=_statuses(row.statuses),
        verdicts={**row.verdicts},
        faults={**row.faults},
        latency_ms=models.Latency(
            p50=quantile(row.latency, 0.5), p95=quantile(row.latency, 0.95), p99=quantile(row.latency, 0.99)
        ),
        callers=[_caller(one) for one in row.consumers],
        sub_operations=[models.SubOperationCount(**dataclasses.asdict(one)) for one in row.sub_operations],
        first_seen=moment(row.first_seen),
        last_seen=moment(row.last_seen),
    )


def _caller(one: rows.OperationConsumer) -> models.OperationCaller:
    return models.OperationCaller(
        kind=one.kind,
        name=one.name,
        count=one.count,
        first_seen=time(one.first_seen),
        last_seen=time(one.last_seen),
    )


def consumer(row: rows.ConsumerRow) -> models.ConsumerCalls:
    return models.ConsumerCalls(
        id=row.id,
        kind=row.kind,
        name=row.name,
        calls=row.calls,
        deprecated_calls=row.deprecated_calls,
        operations=row.operations,
        apis=row.apis,
        first_seen=time(row.first_seen),
        last_seen=time(row.last_seen),
    )


def consumer_operation(row: rows.ConsumerOperationRow) -> models.ConsumerOperation:
    return models.ConsumerOperation(
        id=row.id,
        api=row.api_id,
        api_name=row.api_name,
        operation=row.key,
        deprecated=row.deprecated,
        calls=row.calls,
        statuses=_statuses(row.statuses),
        first_seen=time(row.first_seen),
        last_seen=time(row.last_seen),
    )


def period(one: PeriodCounts) -> models.PeriodCalls:
    return models.PeriodCalls(
        time=time(one.time), statuses={**one.statuses}, verdicts={**one.verdicts}, faults={**one.faults}
    )


def _statuses(counts: Mapping[int | None, int]) -> dict[str, int]:
    return {"none" if code is None else str(code): count for code, count in counts.items()}


def facets(found: rows.Facets) -> models.Facets:
    return models.Facets(
        total=found.rows,
        more=found.more,
        facets={
            field: [models.FacetValue(value=one.value, count=one.count) for one in values]
            for field, values in found.values.items()
        },
    )


def unused(found: UnusedOperation) -> models.Operation:
    """An operation that was never called."""
    one = found.operation
    return models.Operation(
        id=None,
        api=found.api_id,
        operation=one.key,
        method=one.method,
        template=one.key.partition(" ")[2],
        kind=models.ShownKind.UNUSED,
        operation_id=one.operation_id,
        deprecated=one.deprecated,
        count=0,
        uncertain=0,
        statuses={},
        verdicts={},
        faults={},
        latency_ms=NO_LATENCY,
        callers=[],
        sub_operations=[],
        first_seen=None,
        last_seen=None,
    )


def ledger(found: LedgerReport) -> models.Ledger:
    return models.Ledger(
        agents={part: {**counts} for part, counts in found.agents.items()},
        server={**found.server},
        balance={name: _balance(one) for name, one in found.balance.items()},
        lag_s=found.lag_s,
    )


def _balance(one: BalanceSum) -> models.Balance:
    return models.Balance(
        total=one.total, settled=one.settled, open=one.open, ahead=one.ahead, left_out=[*one.left_out]
    )


def spec(row: rows.SpecRow) -> models.SpecInfo:
    return models.SpecInfo(
        id=row.id,
        title=row.title,
        version=row.version,
        api=row.api,
        host=row.host,
        base_path=row.base_path,
        uploaded=time(row.uploaded),
        warnings=[*row.warnings],
    )


def deviation(row: rows.DeviationRow) -> models.StoredDeviation:
    return models.StoredDeviation(
        **_deviation(row.identity, row.message).model_dump(),
        id=row.id,
        state=row.state,
        reason=row.reason,
        decided_by=row.decided_by,
        decided=moment(row.decided),
        api=row.api_id,
        operation=row.identity.operation,
        count=row.count,
        callers=[models.Caller(kind=one.kind, name=one.name, count=one.count) for one in row.consumers],
        first_seen=time(row.first_seen),
        last_seen=time(row.last_seen),
        exchange=row.sample,
    )


def deviation_in_context(found: Reviewed) -> models.DeviationInContext:
    title = found.title
    return models.DeviationInContext(
        **deviation(found.deviation).model_dump(),
        places=[models.DeviationPlace(pointer=one.pointer, message=one.message) for one in found.shown],
        specified=[spec_part(title, one) for one in found.excerpts] if title else [],
        patch=[models.Change.model_validate(one) for one in found.proposal.patch] if found.proposal else [],
    )


def spec_part(title: rows.SpecTitle, one: Excerpt) -> models.SpecPart:
    named = models.Named(id=title.id, title=title.title, version=title.version)
    return models.SpecPart(spec=named, place=one.place, content=one.node, marked=[*one.marked])


def proposal(one: rows.Proposal) -> models.Proposal:
    identity = one.identity
    return models.Proposal(
        operation=identity.operation,
        kind=identity.kind,
        where=identity.where,
        pointer=identity.place,
        spec=one.spec,
        patch=[models.Change.model_validate(change) for change in one.patch],
        reason=one.reason,
        by=one.by,
        time=time(one.time),
    )


def agent(row: rows.AgentRow) -> models.Agent:
    return models.Agent(
        agent=row.agent,
        epoch=row.epoch,
        node=row.node,
        cluster=row.cluster,
        last_seq=row.last_seq,
        records=row.records,
        first_seen=time(row.first_seen),
        last_seen=time(row.last_seen),
        watching=row.watching,
        lag_s=None if row.lag_ms is None else row.lag_ms / 1000,
        ledger={part: {**counts} for part, counts in row.ledger.items()},
    )


def version(row: rows.VersionRow) -> Version:
    changes = [Change.model_validate(change) for change in row.changes]
    breaking = any(change.breaking for change in changes)
    return Version(version=row.version, time=time(row.time), breaking=breaking, changes=changes)


def refused(one: Refusals) -> RefusedOperation:
    return RefusedOperation(method=one.method, path=one.path, calls=one.calls, statuses=dict(one.statuses))


def decided(row: rows.RebuiltDecision) -> Decided:
    return Decided(id=row.number, time=time(row.time), decision=Decision.model_validate(row.decision))


def exchange(row: rows.ExchangeRow) -> exchange_models.Exchange:
    """An exchange, from all its views."""
    views = row.views
    first, best, server = views[0], most_seen(views), server_view(placed(views))
    request, response = best.request, best.response
    return exchange_models.Exchange(
        id=first.id,
        time=time(row.time),
        api=row.api_id,
        operation=row.operation,
        verdict=row.verdict,
        why=row.why,
        fault=row.fault,
        deprecated=row.deprecated,
        uncertain=row.uncertain,
        deviations=[_deviation(identity, message) for identity, message in row.deviations.items()],
        side=first.side,
        protocol=first.protocol,
        tls=next((view.tls for view in views if view.tls), None),
        method=request.method if request else None,
        scheme=request.scheme if request else None,
        host=host_of(best),
        path=shown(request.path) if request else None,
        query=shown(request.query) if request and request.query is not None else None,
        status=response.status if response else None,
        interim=[*response.interim] if response else [],
        request=_message(request),
        response=_message(response),
        duration_ms=None if row.duration is None else row.duration / 1e6,
        client=_endpoint(next((one.client for one in (*_of(views, "client"), *views) if one.client), None)),
        server=_endpoint(server.server),
        process=_process(server.process),
        consumer=_consumer(row),
        completeness=best.completeness,
        upgraded=best.upgraded,
        error=best.error,
        redactions={**best.redactions},
        grpc=None if best.grpc is None else exchange_models.Grpc(**asdict(best.grpc)),
        sub_operations=[models.Answered(**asdict(one)) for one in sub_operations(in_order(views))],
        websocket=_websocket(views),
        fields_unknown=best.fields_unknown,
        witnesses=[_witness(view) for view in views],
    )


def _of(views: Sequence[Record], side: str) -> list[Record]:
    return [view for view in views if view.side == side]


def _deviation(identity: DeviationIdentity, message: str) -> models.Deviation:
    kind, where = Kind(identity.kind), Where(identity.where)
    return models.Deviation(
        kind=kind,
        where=where,
        pointer=identity.place,
        message=message,
        severity=severity_of(kind, where),
        fault=fault_of(kind, where),
    )


def _pairs(pairs: Pairs) -> list[models.Header]:
    return [(shown(name), shown(value)) for name, value in pairs]


def _message(message: wire.Request | wire.Response | None) -> exchange_models.Message | None:
    if message is None:
        return None
    return exchange_models.Message(
        headers=_pairs(message.headers),
        trailers=_pairs(message.trailers),
        content_type=message.content_type,
        size=message.body.size,
        body=None if message.body.data is None else shown(message.body.data),
        events=message.body.events,
        complete=message.body.state == "complete",
        state=message.body.state,
    )


def _websocket(views: Sequence[Record]) -> exchange_models.WebSocket | None:
    """The connection that the exchange became."""
    found = websocket(in_order(views))
    if found is None:
        return None
    began = next((view.timing.first_byte for view in views if view.websocket is found), None)
    return exchange_models.WebSocket(
        client=_websocket_half(found.client),
        server=_websocket_half(found.server),
        close_code=found.close_code,
        closed_by=found.closed_by,
        open_ms=None if began is None or found.end is None else max(0, found.end - began) / 1e6,
        texts=[
            exchange_models.WebSocketText(sender=text.sender, time=time(text.time), data=shown(text.data))
            for text in found.texts
        ],
    )


def _websocket_half(half: wire.WebSocketHalf) -> exchange_models.WebSocketHalf:
    return exchange_models.WebSocketHalf(messages=half.text + half.binary, **asdict(half))


def _endpoint(end: wire.Endpoint | None) -> exchange_models.Endpoint | None:
    return None if end is None else exchange_models.Endpoint(**asdict(end))


def _process(process: wire.Process | None) -> exchange_models.Process | None:
    return None if process is None else exchange_models.Process(**asdict(process))


def _timing(timing: wire.Timing) -> exchange_models.Timing:
    return exchange_models.Timing(
        request_start=moment(timing.request_start),
        request_end=moment(timing.request_end),
        first_byte=moment(timing.first_byte),
        end=moment(timing.end),
    )


def _consumer(row: rows.ExchangeRow) -> exchange_models.Consumer:
    """The consumer, by the view with most hints."""
    hints = max((asdict(view.consumer) for view in row.views), key=lambda hint: sum(map(bool, hint.values())))
    return exchange_models.Consumer(kind=row.consumer_kind, name=row.consumer_name, **hints)


def _witness(view: Record) -> exchange_models.Witness:
    return exchange_models.Witness(
        id=view.id,
        agent=view.agent,
        node=view.node,
        cluster=view.cluster,
        side=view.side,
        tls=view.tls,
        connection=view.connection,
        stream=view.stream,
        client=_endpoint(view.client),
        server=_endpoint(view.server),
        via=_endpoint(view.via),
        process=_process(view.process),
        timing=_timing(view.timing),
        completeness=view.completeness,
        error=view.error,
    )
