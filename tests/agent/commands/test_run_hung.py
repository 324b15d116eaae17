"""An agent that hangs reports it at /healthz, and stops in time when it is asked to."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.agent.ship.stores import PATIENCE_S, Store, serving
from tests.agent.without_capture import running
from tests.server.running import wait_for
from tests.telemetry import telemetry


@pytest.mark.parametrize(
    ("part", "loop", "code"),
    [
        ("pipeline", "pipeline", 1),
        ("pipeline-in-c", "pipeline", 1),
        ("lock", "shipper", 1),
        ("disk", "spool", 0),  # it does not need what hangs
    ],
)
def test_whatever_hangs_shows_as_unhealthy_and_the_agent_ends_when_asked_to(
    part: str, loop: str, code: int, tmp_path: Path
) -> None:
    with serving(Store([])) as url, running("tests.agent.hung", url, tmp_path, part) as agent:
        if part == "disk":
            httpx.post(agent.telemetry, content=telemetry(), trust_env=False, timeout=PATIENCE_S)

        def stuck() -> bool:
            answer = httpx.get(f"{agent.status}/healthz", trust_env=False, timeout=PATIENCE_S)
            return answer.status_code == 503 and f"the {loop} has made no progress" in answer.text

        wait_for(stuck, f"answer that the {loop} is stuck")
        assert agent.end() == code, agent.said
    assert ("could not stop within" in agent.said) == (code == 1)
    assert ("records in memory are lost; MainThread at" in agent.said) == (code == 1)
    assert code or "1 records could not be sent in time" in agent.said
