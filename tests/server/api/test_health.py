"""What a script waits for before it makes calls, and how fresh what it then reads is."""

from __future__ import annotations

from agent.wire import Capture
from tests.server.api.test_metrics import value
from tests.server.running import Client


def readiness(client: Client) -> tuple[int, str]:
    answer = client.http.get("/readyz?agent=1")
    return answer.status_code, answer.json()["status"]


def test_the_server_is_ready_with_an_agent_once_one_reports_that_it_captures(client: Client) -> None:
    assert readiness(client) == (503, "no agent has reported yet")
    assert client.http.get("/readyz").json() == {"status": "ok"}
    client.report(Capture("nothing"))
    assert readiness(client)[0] == 503
    client.report(Capture("everything", 40))
    assert readiness(client) == (200, "ok")
    client.report(Capture("nothing"))
    status, reason = readiness(client)
    assert (status, "agent-1" in reason) == (503, False)  # anyone may ask


def test_the_lag_is_in_the_list_of_agents_the_ledger_and_the_metrics(client: Client) -> None:
    assert client.get("/ledger")["lag_s"] is None
    client.report(Capture("everything", 250))
    client.report(Capture("everything", 4000), agent="agent-2")
    client.report(Capture("nothing"), agent="agent-3")
    agents = {one["agent"]: one for one in client.items("/agents")}
    assert agents["agent-1"]["watching"] == "everything"
    assert 0.25 <= agents["agent-1"]["lag_s"] < agents["agent-2"]["lag_s"]
    assert (agents["agent-3"]["watching"], agents["agent-3"]["lag_s"]) == ("nothing", None)
    assert client.get("/ledger")["lag_s"] >= 4
    assert value(client, "spectap_server_lag_seconds") >= 4
    assert value(client, 'spectap_server_agents{state="everything"}') == 2
    assert value(client, 'spectap_server_agents{state="nothing"}') == 1
    assert value(client, 'spectap_server_agents{state="silent"}') == 0
