"""A small process that runs only the agent's shipper, controlled by commands on standard input.

`offer FIRST COUNT [PADDING]` offers records FIRST, FIRST+1, … and answers once all were offered; `kept`
answers once no record is only in memory; `state` answers with the ledger and what waits; `close SECONDS` ends
it. Each answer is one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from msgspec.structs import replace

from agent.ship.shipper import ShipLimits, Shipper, SpoolConfig
from agent.wire import Body, pack_record
from tests.server.records import record

QUICK = ShipLimits(retry_first_s=0.02, retry_most_s=0.2, retry_slow_s=0.2, answer_s=2.0, keep_again_s=0.2)


def packed(number: int, padding: int) -> bytes:
    """A record whose id is its number; each is an exchange of its own."""
    one = record(number, path="/items", id=f"record-{number}")
    if padding and one.request is not None:
        noise = random.Random(number).randbytes(padding)
        one = replace(one, request=replace(one.request, body=Body(padding, noise, "complete")))
    return pack_record(one)


class Program:
    def __init__(self, server: str, place: SpoolConfig | None) -> None:
        self._shipper = Shipper(server, None, "agent-1", uuid4().hex, dict, QUICK, place)
        self._shipper.start()
        self._shipper.capture_started(time.time_ns())

    def offer(self, first: int, count: int, padding: int = 0) -> int:
        for number in range(first, first + count):
            self._shipper.offer(packed(number, padding))
        return count

    def kept(self) -> bool:
        backlog = self._shipper._backlog
        while backlog._fresh.records or backlog._moving:
            time.sleep(0.005)
        return True

    def state(self) -> dict[str, object]:
        waiting, size = self._shipper.waiting()
        return {"ledger": self._shipper.totals()["exchanges"], "waiting": waiting, "bytes": size}

    def close(self, seconds: int) -> dict[str, object]:
        self._shipper.close(seconds)
        return self.state()


def answers(program: Program) -> Iterator[object]:
    for line in sys.stdin:
        name, *numbers = line.split()
        yield getattr(program, name)(*map(int, numbers))
        if name == "close":
            return


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("server")
    options.add_argument("--spool", type=Path)
    options.add_argument("--spool-bytes", type=int, default=256 * 1024 * 1024)
    chosen = options.parse_args()
    logging.basicConfig(level=logging.INFO)
    place = chosen.spool and SpoolConfig(chosen.spool / "spool.db", chosen.spool_bytes, 3600)
    for answer in answers(Program(chosen.server, place)):
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
