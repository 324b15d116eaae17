"""Binds a batch to the cluster of its token: nobody sends in another cluster's name.

The ids of its records get the cluster's mark, since what one cluster sends must not make another's records
duplicates: ids of clusters may be equal, by files that both import or by intent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TypeVar

from msgspec.structs import replace

from agent.wire import Record, Residents, pack_record
from server.ingest.decode import MAX_ID, Delivery

T = TypeVar("T", Record, Residents)


class ForeignCluster(ValueError):
    """The batch names another cluster than its token's."""


def of_cluster(delivery: Delivery, cluster: str) -> Delivery:
    """The batch with this cluster wherever none is named and in its records' ids. Raises ForeignCluster."""
    batch = delivery.batch
    if batch.cluster not in (None, cluster):
        raise _refusal(cluster)
    mark = _mark(cluster)
    records, packed = [], []
    for record, raw in zip(batch.records, delivery.packed, strict=True):
        ours = _of_cluster(record, cluster)
        if not ours.id.endswith(mark):  # it has the mark if it was exported
            ours = replace(ours, id=_marked(ours.id, mark))
        records.append(ours)
        packed.append(raw if ours is record else pack_record(ours))
    residents = None if batch.residents is None else _of_cluster(batch.residents, cluster)
    whole = replace(batch, cluster=cluster, records=tuple(records), residents=residents)
    return Delivery(whole, tuple(packed))


def unmarked(ids: Iterable[str], cluster: str) -> dict[str, str]:
    """The records' ids that have the mark of this cluster, by what they were before they got it."""
    mark = _mark(cluster)
    return {id.removesuffix(mark): id for id in ids if id.endswith(mark)}


def _marked(id: str, mark: str) -> str:
    fits = len(id) + len(mark) <= MAX_ID
    return (id if fits else hashlib.sha256(id.encode()).hexdigest()) + mark


def _mark(cluster: str) -> str:
    return f"-{hashlib.sha256(cluster.encode()).hexdigest()[:16]}"


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
