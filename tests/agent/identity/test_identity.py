"""Identity from cgroup paths and process facts."""

import pytest

from agent.events import Address, ProcessSeen
from agent.identity import table
from agent.identity.directory import Directory
from agent.identity.table import Processes
from agent.wire import Endpoint


def seen(pid: int, name: str) -> ProcessSeen:
    return ProcessSeen(0, pid, pid * 10, name, f"/usr/bin/{name}", "/system.slice/web.service")


def test_a_pid_that_is_met_again_is_the_new_process() -> None:
    processes = Processes("boot")
    processes.add(seen(5, "sh"))
    processes.add(seen(5, "curl"))
    found = processes.get(5)
    assert found is not None
    assert (found.name, found.executable, found.unit, found.boot_id) == (
        "curl",
        "/usr/bin/curl",
        "web.service",
        "boot",
    )
    assert processes.get(6) is None


def test_the_table_is_bounded_and_the_oldest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MAX_PROCESSES", 3)
    processes = Processes()
    for pid in (1, 2, 3, 1, 4):
        processes.add(seen(pid, "x"))
    assert [processes.get(pid) is not None for pid in (1, 2, 3, 4)] == [True, False, True, True]


def test_a_process_that_has_ended_can_still_be_looked_up_but_is_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table, "MAX_ENDED", 2)
    processes = Processes()
    for pid in (1, 2, 3, 4):
        processes.add(seen(pid, "x"))
    for pid in (1, 2, 3, 5):
        processes.end(pid)
    assert [processes.get(pid) is not None for pid in (1, 2, 3, 4, 5)] == [False, True, True, True, False]
    assert len(processes) == 1


def test_a_pid_that_is_used_again_is_the_new_process_and_runs() -> None:
    processes = Processes()
    processes.add(seen(1, "sh"))
    processes.end(1)
    processes.add(seen(1, "curl"))
    found = processes.get(1)
    assert found is not None
    assert (found.name, len(processes)) == ("curl", 1)


def test_only_our_own_end_and_loopback_name_a_network_namespace() -> None:
    directory = Directory()
    ours, theirs, loopback = Address("10.0.0.1", 80, 7), Address("10.0.0.2", 90, 7), Address("::1", 90, 7)
    assert directory.endpoint(ours, None) == Endpoint("10.0.0.1", 80, 7)
    assert directory.peer(theirs) == Endpoint("10.0.0.2", 90)
    assert directory.peer(loopback) == Endpoint("::1", 90, 7)
    assert directory.endpoint(None, None) is directory.peer(None) is None


def test_a_directory_knows_a_process_from_the_event_on_and_its_boot() -> None:
    directory = Directory()
    directory.boot("boot")
    assert (directory.process(5), directory.processes) == (None, 0)
    directory.add(seen(5, "curl"))
    found = directory.process(5)
    assert found is not None
    assert (found.name, found.boot_id, directory.processes) == ("curl", "boot", 1)


def test_a_process_in_a_container_has_its_pod_and_image() -> None:
    container, uid = "c" * 64, "12345678-1234-1234-1234-123456789abc"
    directory = Directory()
    path = f"/kubepods/pod{uid}/{container}"
    directory.add(ProcessSeen(0, 5, 50, "node", "/usr/bin/node", path, "shop/checkout:1.2"))
    found = directory.process(5)
    assert found is not None
    assert (found.container, found.pod, found.image) == (container, uid, "shop/checkout:1.2")
    directory.add(seen(6, "curl"))
    other = directory.process(6)
    assert other is not None
    assert (other.container, other.pod, other.image) == (None, None, None)
