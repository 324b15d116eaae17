"""Calls captured at both ends: the client's and the server's view of each, on different nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from agent.wire import Endpoint, Process, Record, pack_batch, pack_record

NODES = 4
SERVICE = Endpoint("10.96.0.1", 80)  # the address that clients call and servers do not see


def views(seen: Record, connection: int) -> tuple[tuple[int, Record], tuple[int, Record]]:
    """Both views of a call, made from the server's view, each with the number of its node."""
    served, asked = connection % NODES, (connection + 1) % NODES
    port = 40_000 + connection
    client = Endpoint(f"10.1.{asked}.10", port)
    server = Endpoint(f"10.1.{served}.20", 8080, 7, f"orders-{served}", "shop", "orders")
    one = replace(seen, client=client, server=server, agent=f"agent-{served}", node=f"node-{served}")
    other = replace(
        one,
        id=f"{seen.id}-client",
        agent=f"agent-{asked}",
        node=f"node-{asked}",
        side="client",
        connection=f"client-{connection}",
        client=replace(client, netns=8),
        server=SERVICE,
        process=Process(100, "shop", "boot", 1, "/usr/bin/shop"),
    )
    return (asked, other), (served, one)


def batches(seen: Sequence[Record], connections: int, at_once: int) -> Iterator[bytes]:
    """The batches in which agents send these views: each when it is full, then the rest, then an empty batch
    with the final ledger.
    """
    waiting: list[list[bytes]] = [[] for _ in range(NODES)]
    seqs = [0] * NODES

    def batch(node: int) -> bytes:
        seqs[node] += 1
        records, waiting[node] = waiting[node], []
        return pack_batch(f"agent-{node}", "epoch", seqs[node], {}, records)

    for number, record in enumerate(seen):
        for node, view in views(record, number % connections):
            waiting[node].append(pack_record(view))
            if len(waiting[node]) == at_once:
                yield batch(node)
    for _ in range(2):
        yield from map(batch, range(NODES))
