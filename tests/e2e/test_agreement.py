"""The end-to-end comparison itself: without capture, client and server log the same facts of every call."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e import nginx, services
from tests.e2e.calls import echo_call, get_call
from tests.e2e.certificates import Certificate
from tests.e2e.compare import ends_disagree
from tests.e2e.observations import Observation
from tests.e2e.services import Echo

pytestmark = pytest.mark.root


def agreed(server: Echo | nginx.Nginx, seen_by_client: list[Observation]) -> None:
    seen_by_server = services.server_saw(server, seen_by_client)
    wrong = [text for call in seen_by_client for text in ends_disagree(call, seen_by_server[call.id])]
    assert not wrong


@pytest.mark.parametrize("client", ["python", "node", "curl"])
@pytest.mark.parametrize("server", ["python", "asyncio", "node", "nginx"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_client_and_server_log_the_same(
    client: str, server: str, tls: bool, tmp_path: Path, certificate: Certificate
) -> None:
    calls = [echo_call("agree", size=size) for size in (0, 100, 3000, 100_000)] + [get_call("agree", "/echo")]
    with services.any_server(server, tmp_path, certificate if tls else None) as serving:
        seen = services.any_client(client, tmp_path, serving.port, certificate if tls else None, calls)
        assert [call.status for call in seen] == [200] * len(calls)
        assert len({call.local for call in seen}) == 1, "keep-alive"
        assert [c.response.data for c in seen[:4] if c.response] == [call.body for call in calls[:4]]
        agreed(serving, seen)
