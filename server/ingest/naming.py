"""Names the ends of a new record that its agent could not name: peers on other nodes, and
Services, by their address.

A record keeps these names: an address may be another pod's later. A pod that is younger than the record is
not the one that had the address then.
"""

from __future__ import annotations

from msgspec.structs import replace

from agent.wire import Endpoint, Record, pack_record
from server.store.unit import KnownPods


def named(record: Record, raw: bytes, pods: KnownPods) -> tuple[Record, bytes]:
    """The record and its packed form, with the pods that are known at its ends."""
    if not pods.are_known:
        return record, raw
    client, server = _named(record, record.client, pods), _named(record, record.server, pods)
    if client is record.client and server is record.server:
        return record, raw
    whole = replace(record, client=client, server=server)
    return whole, pack_record(whole)


def _named(record: Record, end: Endpoint | None, pods: KnownPods) -> Endpoint | None:
    if end is None or end.pod is not None or end.service is not None:
        return end
    resident = pods.at(record.cluster, end.ip)
    if resident is None or record.time < resident.since:
        return end
    return replace(
        end,
        pod=resident.pod,
        namespace=resident.namespace,
        workload=resident.workload,
        workload_kind=resident.workload_kind,
        labels=resident.labels,
        service=resident.service,
    )
