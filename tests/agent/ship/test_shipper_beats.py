"""The shipping loops keep turning while there is nothing to do and while the server cannot be reached."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.health import Beat
from agent.ship import shipper as module
from agent.ship.shipper import ShipLimits, SpoolConfig
from tests.agent.ship.stores import PATIENCE_S, Store, packed, serving, shipper, status
from tests.server.running import wait_for


def turned(beat: Beat) -> Callable[[], bool]:
    before = beat.at
    return lambda: beat.at != before


def test_idle_loops_turn(tmp_path: Path) -> None:
    with serving(Store([])) as url:
        ship = shipper(
            url, ShipLimits(heartbeat_s=0.01), place=SpoolConfig(tmp_path / "spool.db", 1 << 26, 3600)
        )
        ship.start()
        assert [beat.name for beat in ship.beats] == ["shipper", "spool"]
        for beat in ship.beats * 3:
            wait_for(turned(beat), f"turn of the {beat.name}")
        ship.close(PATIENCE_S)


def test_a_disk_that_hangs_keeps_no_agent_from_capturing(tmp_path: Path) -> None:
    with serving(Store([])) as url:
        ship = shipper(url, place=SpoolConfig(tmp_path / "spool.db", 1 << 26, 3600))
        assert ship._disk is not None
        with ship._disk._lock:  # as while it reads or writes
            ship.capture_started(1)
        ship.start()
        assert ship.close(PATIENCE_S) == 0


def test_the_shipper_turns_while_it_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TURN_S", 0.01)
    store = Store([status(401)])
    with serving(store) as url:
        ship = shipper(url, ShipLimits(retry_slow_s=3600))
        ship.start()
        ship.offer(packed(1))
        store.wait(lambda: bool(store.posts))
        for _ in range(10):
            wait_for(turned(ship.beats[0]), "turn of the shipper")
        assert ship.close(PATIENCE_S) == 0
