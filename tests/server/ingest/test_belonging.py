"""A batch with a token of a cluster is of that cluster, or is refused."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from agent.wire import Batch, Resident, Residents, decode_record, pack_record
from server.ingest.belonging import ForeignCluster, of_cluster
from server.ingest.decode import Delivery
from tests.server.records import record

PODS = (Resident(("10.1.0.5",), "shop-1", "store"),)


def delivery(*clusters: str | None, batch: str | None = None, pods: Residents | None = None) -> Delivery:
    records = tuple(replace(record(n), cluster=cluster) for n, cluster in enumerate(clusters))
    whole = Batch(3, "agent", "epoch", 1, {}, records, None, pods, batch)
    return Delivery(whole, tuple(map(pack_record, records)))


def test_the_tokens_cluster_is_filled_in_where_none_is_named() -> None:
    found = of_cluster(delivery(None, "east", None, pods=Residents(None, "node-1", PODS)), "east")
    assert found.batch.cluster == "east"
    assert {one.cluster for one in found.batch.records} == {"east"}
    assert [decode_record(raw) for raw in found.packed] == [*found.batch.records]
    assert found.batch.residents == Residents("east", "node-1", PODS)


def test_records_that_name_the_cluster_keep_their_bytes() -> None:
    sent = delivery("east", "east", batch="east")
    found = of_cluster(sent, "east")
    assert found.packed == sent.packed
    assert all(one is other for one, other in zip(found.packed, sent.packed, strict=True))


@pytest.mark.parametrize(
    "sent",
    [
        delivery("east", "west"),
        delivery(batch="west"),
        delivery("east", batch=""),
        delivery(pods=Residents("west", "node-1", PODS)),
    ],
)
def test_another_clusters_name_anywhere_is_refused_without_being_repeated(sent: Delivery) -> None:
    with pytest.raises(ForeignCluster, match="'east'") as refused:
        of_cluster(sent, "east")
    assert "west" not in str(refused.value)
