"""What the agent and the server run with on the cluster: no more than daemonset/README.md says."""

from __future__ import annotations

import os

import pytest

from agent.doctor.capabilities import CAPABILITIES, Capability
from tests.cluster.installed import NAMESPACE, Installed
from tests.cluster.workloads import PROGRAMS

pytestmark = pytest.mark.cluster

NUMBERS = {one.name: one.number for one in CAPABILITIES}
FILTERED = "2"  # a seccomp profile applies


def status(spectap: Installed, what: str) -> dict[str, str]:
    """What the kernel says of a process in the container."""
    argv = ("exec", "--namespace", NAMESPACE, what, "--", "cat", "/proc/self/status")
    lines = spectap.cluster.kubectl(*argv).splitlines()
    return {name: text.strip() for name, _, text in (line.partition(":") for line in lines)}


def test_the_agent_captures_with_seven_capabilities_under_the_runtimes_seccomp_profile(
    spectap: Installed,
) -> None:
    found = status(spectap, "daemonset/spectap-agent")
    held = {name for name, number in NUMBERS.items() if int(found["CapEff"], 16) >> number & 1}
    (container,) = spectap.cluster.get("daemonset", "spectap-agent", "--namespace", NAMESPACE)["spec"][
        "template"
    ]["spec"]["containers"]
    assert held == set(container["securityContext"]["capabilities"]["add"]) == NUMBERS.keys()
    assert int(found["CapBnd"], 16) == sum(1 << number for number in NUMBERS.values())
    assert (found["Seccomp"], found["NoNewPrivs"]) == (FILTERED, "1")


def test_the_server_has_no_capability_and_is_not_root(spectap: Installed) -> None:
    found = status(spectap, "statefulset/spectap-server")
    assert (int(found["CapEff"], 16), int(found["CapBnd"], 16)) == (0, 0)
    assert found["Uid"].split()[0] == "10001"
    assert (found["Seccomp"], found["NoNewPrivs"]) == (FILTERED, "1")


def test_the_doctor_says_in_the_agents_pod_that_it_can_capture(spectap: Installed) -> None:
    argv = ("exec", "--namespace", NAMESPACE, "daemonset/spectap-agent", "--", "sh", "-c")
    said = spectap.cluster.kubectl(*argv, "spectap-agent doctor --no-self-test --pid $$; [ $? -le 2 ]")
    assert "in a container, with all processes visible" in said
    assert "missing" not in said


@pytest.mark.skipif(os.environ.get("TIERS") != "all", reason="TIERS=all drops each capability in turn")
@pytest.mark.parametrize("one", CAPABILITIES, ids=lambda one: one.name)
def test_without_this_capability_something_fails_and_the_doctor_says_what(
    spectap: Installed, one: Capability
) -> None:
    program = (PROGRAMS / "capability.py").read_text()

    def said(what: str, dropped: int) -> str:
        argv = ("exec", "--namespace", NAMESPACE, "daemonset/spectap-agent", "--", "sh", "-c")
        shell = 'python3 -c "$0" "$1" "$2"; [ $? -le 3 ]'
        return spectap.cluster.kubectl(*argv, shell, program, what, str(dropped))

    assert said(one.name, -1) == "True\n"
    assert said(one.name, one.number) == "False\n"
    lost = f"CAP_{one.name}" + (f" ({one.lack})" if one.lack else "")
    assert f"missing {lost}\n" in said("doctor", one.number)
