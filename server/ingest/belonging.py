"""Binds a batch to the cluster of its token: nobody sends in another cluster's name."""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import replace

from agent.wire import Record, Residents, pack_record
from server.ingest.decode import Delivery

T = TypeVar("T", Record, Residents)


class ForeignCluster(ValueError):
    """The batch names another cluster than its token's."""


def of_cluster(delivery: Delivery, cluster: str) -> Delivery:
    """The batch with this cluster wherever none is named. Raises ForeignCluster."""
    batch = delivery.batch
    if batch.cluster not in (None, cluster):
        raise _refusal(cluster)
    records, packed = [], []
    for record, raw in zip(batch.records, delivery.packed, strict=True):
        ours = _of_cluster(record, cluster)
        records.append(ours)
        packed.append(raw if ours is record else pack_record(ours))
    residents = None if batch.residents is None else _of_cluster(batch.residents, cluster)
    whole = replace(batch, cluster=cluster, records=tuple(records), residents=residents)
    return Delivery(whole, tuple(packed))


def _of_cluster(one: T, cluster: str) -> T:
    if one.cluster == cluster:
        return one
    if one.cluster is not None:
        raise _refusal(cluster)
    return replace(one, cluster=cluster)


def _refusal(cluster: str) -> ForeignCluster:
    return ForeignCluster(
        f"this token is of the cluster {cluster!r}, and the batch names another one: give the agent"
        " --cluster with this name or none, or a token of its own cluster"
    )
