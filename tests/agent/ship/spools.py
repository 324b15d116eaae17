"""The spool for tests: one agent, and records that are numbers."""

from __future__ import annotations

import random
from pathlib import Path

import msgpack

from agent.ledger import Exchanges
from agent.ship.parcel import BatchAddress, Parcel, records_of
from agent.ship.spool import Spool
from agent.ship.spool_config import SpoolConfig
from agent.wire import VERSION, pack_head

MIB = 1024 * 1024
HOUR = 3600
NOW = 1_800_000_000_000_000_000
ALL = (1000, 100 * MIB)
LEDGER = {"bytes": {}, "exchanges": {"parsed": 7}, "kernel": {}}


def place_in(folder: Path) -> SpoolConfig:
    return SpoolConfig(folder / "state" / "spool.db", 64 * MIB, 24 * HOUR)


def started(place: SpoolConfig, epoch: str = "epoch-1", now: int = NOW) -> Spool:
    return Spool(place, "agent-1", epoch, now)


def packed(*numbers: int) -> list[bytes]:
    return [msgpack.packb(number) for number in numbers]


def numbers(parcel: Parcel | None) -> list[int]:
    return [] if parcel is None else [msgpack.unpackb(raw) for raw in records_of(parcel)]


def address(parcel: Parcel, seq: int, epoch: str = "epoch-1") -> BatchAddress:
    return BatchAddress("agent-1", epoch, seq, pack_head("agent-1", epoch, seq, {}, parcel.records, VERSION))


def settle_all(spool: Spool) -> list[int]:
    """Takes and settles everything, including earlier starts' ledgers."""
    found: list[int] = []
    while (parcel := spool.take(*ALL)) is not None:
        found += numbers(parcel)
        spool.settle(parcel, Exchanges.SHIPPED)
    return found


def noise(size: int, seed: int) -> bytes:
    raw: bytes = msgpack.packb(random.Random(seed).randbytes(size))
    return raw
