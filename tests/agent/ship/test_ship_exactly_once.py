"""Whatever is put, sent, lost and killed in any order: each record is stored once or counted once."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgpack
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from agent.ledger import Exchanges
from agent.ship.parcel import BatchAddress, Parcel, body, halves_of
from agent.ship.spool import Spool
from agent.ship.spool_config import SpoolConfig
from agent.wire import pack_head
from tests.thorough import TIMES

SECOND = 1_000_000_000
SEQS_KEPT = 5  # the server's bound, made small: batches must arrive in the order of their numbers


def numbers_in(batch: dict[str, Any]) -> list[int]:
    return [number for number, _ in batch["records"]]


class Server:
    """What the server does with a batch: stores it if its number is new, and keeps the newest ledger."""

    def __init__(self) -> None:
        self.records: Counter[int] = Counter()
        self.ledgers: dict[str, dict[str, dict[str, int]]] = {}
        self._seen: dict[str, set[int]] = {}

    def take(self, raw: bytes) -> None:
        batch = msgpack.unpackb(raw)
        seen = self._seen.setdefault(batch["epoch"], set())
        if batch["seq"] in seen or batch["seq"] <= max(seen, default=0) - SEQS_KEPT:
            return
        if batch["seq"] >= max(seen, default=0):
            self.ledgers[batch["epoch"]] = batch["ledger"]
        seen.add(batch["seq"])
        self.records.update(numbers_in(batch))


class Life(RuleBasedStateMachine):
    """Successive agents over one spool. Records are numbers; multiples of 13 are refused."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self._place = SpoolConfig(Path(self._folder.name) / "spool.db", 64 * 1024, 60)
        self._server = Server()
        self._now = 0
        self._put = 0
        self._starts = 0
        self._start()

    def _start(self) -> None:
        self._starts += 1
        self._seq = 0
        self._epoch = f"epoch-{self._starts}"
        self._ledger: Counter[str] = Counter()
        self._hand: list[Parcel] = []
        self._spool = Spool(self._place, "agent", self._epoch, self._now)

    def _totals(self) -> dict[str, dict[str, int]]:
        return {"exchanges": dict(self._ledger)}

    @rule(many=st.integers(1, 40), bytes_each=st.sampled_from([0, 0, 400]), wait=st.integers(0, 20))
    def put(self, many: int, bytes_each: int, wait: int) -> None:
        self._now += wait * SECOND
        numbers = range(self._put, self._put + many)
        self._put += many
        self._ledger["parsed"] += many
        self._ledger += self._spool.put(
            [msgpack.packb([n, random.randbytes(bytes_each)]) for n in numbers], self._totals(), self._now
        )

    @rule(answer=st.sampled_from(["stored", "stored", "lost on the way", "answer lost"]))
    def send(self, answer: str) -> None:
        parcel = self._hand.pop() if self._hand else self._spool.take(60, 10_000)
        if parcel is None:
            return
        address = parcel.address or self._address(parcel)
        raw = body(parcel, address, coded=False)
        refused = [n for n in numbers_in(msgpack.unpackb(raw)) if n % 13 == 0]
        if answer == "lost on the way":
            self._hand.append(parcel)
        elif refused and parcel.records > 1:
            halves = halves_of(parcel)
            self._spool.split(parcel, halves)
            self._hand += reversed(halves)
        elif refused:
            self._settle(parcel, Exchanges.REFUSED)
        else:
            self._server.take(raw)
            if answer == "answer lost":
                self._hand.append(replace(parcel, address=address))
            else:
                self._settle(parcel, Exchanges.SHIPPED)

    def _address(self, parcel: Parcel) -> BatchAddress:
        self._seq += 1
        head = pack_head("agent", self._epoch, self._seq, self._totals(), parcel.records, parcel.version)
        address = BatchAddress("agent", self._epoch, self._seq, head)
        self._spool.record_address(parcel, address)
        return address

    def _settle(self, parcel: Parcel, bucket: Exchanges) -> None:
        self._spool.settle(parcel, bucket)
        if parcel.epoch == self._epoch:
            self._ledger[bucket] += parcel.records

    @rule()
    def kill(self) -> None:
        self._spool.close()
        self._start()

    @rule()
    def restart(self) -> None:
        self._spool.end(self._totals(), self._now, ledger_sent=False)
        self._spool.close()
        self._start()

    @rule()
    def watch(self) -> None:
        self._spool.end_blind_time(self._now)

    @precondition(lambda self: self._put > 0)
    @rule()
    def catch_up(self) -> None:
        """Ends regularly: nothing is stored twice, and nothing is missing without being counted."""
        self.kill()
        self.watch()
        while self._hand or self._spool.has_more:
            self.send("stored")
        totals: Counter[str] = Counter()
        for ledger in self._server.ledgers.values():
            totals.update(ledger.get("exchanges", {}))
        parsed = totals.pop("parsed")
        assert parsed == self._put == sum(totals.values())
        assert set(self._server.records.values()) <= {1}
        assert totals["shipped"] == len(self._server.records)
        dropped = totals["spool_full"] + totals["spool_expired"]
        assert self._put - len(self._server.records) == totals["refused"] + dropped

    def teardown(self) -> None:
        self._spool.close()
        self._folder.cleanup()


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60 * TIMES, stateful_step_count=40, deadline=None)
