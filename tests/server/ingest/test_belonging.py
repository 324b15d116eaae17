"""A batch with a token of a cluster is of that cluster, or is refused."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from agent.wire import Batch, Resident, Residents, decode_record, pack_record
from server.ingest.belonging import ForeignCluster, of_cluster, unmarked
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


def test_ids_get_the_clusters_mark_once_and_stay_short_enough() -> None:
    sent = delivery("east")
    (plain,) = sent.batch.records
    for id in (plain.id, "x" * 128, "x" * 127):
        one = replace(plain, id=id)
        whole = Delivery(replace(sent.batch, records=(one,)), (pack_record(one),))
        found = of_cluster(whole, "east").batch.records[0].id
        other = of_cluster(Delivery(whole.batch, whole.packed), "east").batch.records[0].id
        assert found == other != id
        assert len(found) <= 128
    marked = of_cluster(sent, "east").batch.records[0].id
    assert marked.startswith(plain.id)
    assert (unmarked([marked], "east"), unmarked([marked], "west")) == ({plain.id: marked}, {})


def test_records_that_come_back_with_name_and_mark_keep_their_bytes() -> None:
    sent = of_cluster(delivery("east", "east", batch="east"), "east")
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
