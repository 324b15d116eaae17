"""A connection whose data passes before it is established is captured as one, from its first byte."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

import pytest

from agent.events import Direction
from agent.probes.kernel import CaptureFilters
from tests.agent.probes.fast_open import ANSWER, ASK, PORT
from tests.agent.probes.watch import Watch, watching

pytestmark = pytest.mark.root


def is_whole(watch: Watch, port: int, way: Direction, length: int) -> bool:
    return watch.length(port, way) >= length


def test_a_connection_by_tcp_fast_open_is_one_at_both_ends() -> None:
    name = f"spectap-fast-{os.getpid()}"
    with watching(CaptureFilters(only_ports=frozenset({PORT}))) as watch:
        subprocess.run(["ip", "netns", "add", name], check=True)
        try:
            program = [sys.executable, "-m", "tests.agent.probes.fast_open"]
            done = subprocess.run(
                ["ip", "netns", "exec", name, *program], check=True, capture_output=True, timeout=60
            )
        finally:
            subprocess.run(["ip", "netns", "del", name], check=True)
        asked, answered = len(ASK % 0) * 2, len(ANSWER) * 2
        for port, way, length in (
            (int(done.stdout), Direction.SENT, asked),
            (int(done.stdout), Direction.RECEIVED, answered),
            (PORT, Direction.RECEIVED, asked),
            (PORT, Direction.SENT, answered),
        ):
            watch.until(partial(is_whole, watch, port, way, length), f"{way} at {port}")
            chunks = watch.half(port, way)
            assert [chunk.position for chunk in chunks] == [0, length // 2]
            assert len({chunk.connection for chunk in chunks}) == 1
