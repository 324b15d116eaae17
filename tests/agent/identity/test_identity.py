"""Identity from cgroup paths and process facts."""

import pytest

from agent.events import Address, ProcessSeen
from agent.identity import table
from agent.identity.cgroup import Membership, membership
from agent.identity.directory import Directory
from agent.identity.table import Processes
from agent.wire import Endpoint

ID = "0123456789abcdef" * 4
UID = "12345678-1234-1234-1234-123456789abc"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"/kubepods/burstable/pod{UID}/{ID}", Membership(ID, None)),
        (
            f"/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice/cri-containerd-{ID}.scope",
            Membership(ID, None),
        ),
        (f"/docker/{ID}", Membership(ID, None)),
        (f"/system.slice/docker-{ID}.scope", Membership(ID, None)),
        (f"/machine.slice/libpod-{ID}.scope/container", Membership(ID, None)),
        ("/system.slice/nginx.service", Membership(None, "nginx.service")),
        ("/user.slice/user-0.slice/session-1.scope", Membership(None, None)),
        ("/", Membership(None, None)),
        (None, Membership(None, None)),
    ],
)
def test_a_cgroup_path_says_container_and_unit(path: str | None, expected: Membership) -> None:
    assert membership(path) == expected


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
