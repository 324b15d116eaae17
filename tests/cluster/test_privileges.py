"""What the agent and the server run with on the cluster: no more than daemonset/README.md says."""

from __future__ import annotations

import pytest

from tests.cluster.installed import NAMESPACE, Installed

pytestmark = pytest.mark.cluster

NUMBERS = {
    "DAC_READ_SEARCH": 2,
    "SYS_PTRACE": 19,
    "SYS_NICE": 23,
    "SYSLOG": 34,
    "PERFMON": 38,
    "BPF": 39,
    "CHECKPOINT_RESTORE": 40,
}
"""Of include/uapi/linux/capability.h."""
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
