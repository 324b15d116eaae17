"""The kernel is informed of pods' cgroups as soon as they exist, and of no pod that it need not know."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.events import PodGone, PodSeen
from agent.kubernetes.kernel_choice import FRESH_NS, OFTEN_NS, SELDOM_NS, CgroupFinder, KernelChoice
from agent.probes.cgroups import Cgroup

ALL_PODS = Cgroup(7, 1)
FOLDERS: Mapping[Path, Cgroup] = {Path("/sys/fs/cgroup/kubepods"): ALL_PODS}
ONE, TWO = Cgroup(11, 2), Cgroup(12, 3)


class Host:
    """The kernel's table, and which cgroups exist."""

    def __init__(self) -> None:
        self.table: dict[Cgroup, bool] = {}
        self.pods: dict[str, Cgroup] = {}
        self.looks = 0

    def choose(self, cgroup: Cgroup, captured: bool | None) -> None:
        if captured is None:
            self.table.pop(cgroup, None)
        else:
            self.table[cgroup] = captured

    def pods_in(self, folders: Mapping[Path, Cgroup]) -> Mapping[str, Cgroup]:
        assert folders == FOLDERS
        self.looks += 1
        return dict(self.pods)

    def choice(self, unknown: bool) -> KernelChoice:
        finder = CgroupFinder(lambda: FOLDERS, self.pods_in)
        return KernelChoice(self.choose, unknown, finder)


def seen(uid: str, captured: bool) -> PodSeen:
    return PodSeen(0, uid, uid, "shop", "node", None, None, (), (), (), captured)


def test_until_all_are_described_no_pod_is_captured() -> None:
    host = Host()
    choice = host.choice(unknown=True)
    choice.look(0)
    assert host.table == {ALL_PODS: False}
    host.pods = {"one": ONE, "two": TWO}
    choice.update(seen("one", captured=True), 1)
    choice.update(seen("two", captured=False), 1)
    choice.release(1)
    assert host.table == {TWO: False}
    choice.look(10 * SELDOM_NS)
    assert host.table == {TWO: False}


def test_where_only_annotated_pods_are_captured_the_kernel_knows_those() -> None:
    host = Host()
    choice = host.choice(unknown=False)
    host.pods = {"one": ONE, "two": TWO}
    choice.look(0)
    choice.update(seen("one", captured=True), 1)
    choice.update(seen("two", captured=False), 1)
    choice.release(1)
    assert host.table == {ONE: True}


def test_a_new_pods_cgroup_is_looked_for_often_at_first() -> None:
    host = Host()
    choice = host.choice(unknown=True)
    choice.release(0)
    choice.update(seen("one", captured=False), 0)
    choice.look(0)
    assert host.table == {}
    host.pods["one"] = ONE
    choice.look(OFTEN_NS // 2)
    assert host.table == {}
    choice.look(OFTEN_NS)
    assert host.table == {ONE: False}


def test_a_cgroup_that_does_not_come_is_looked_for_now_and_then() -> None:
    host = Host()
    choice = host.choice(unknown=True)
    choice.update(seen("one", captured=False), 0)
    choice.look(FRESH_NS)
    looks = host.looks
    for later in range(1, 100):
        choice.look(FRESH_NS + later * OFTEN_NS // 2)
    assert host.looks == looks
    choice.look(FRESH_NS + SELDOM_NS)
    assert host.looks == looks + 1


@pytest.mark.parametrize("unknown", [True, False])
def test_a_choice_that_changes_applies_at_once_and_a_pod_that_is_gone_is_forgotten(unknown: bool) -> None:
    host = Host()
    host.pods = {"one": ONE}
    choice = host.choice(unknown)
    choice.update(seen("one", captured=not unknown), 0)
    choice.release(0)
    assert host.table == {ONE: not unknown}
    assert choice.captures("one") is not unknown
    choice.update(seen("one", captured=unknown), 1)
    assert host.table == {}
    choice.update(seen("one", captured=not unknown), 2)
    assert host.table == {ONE: not unknown}
    choice.update(PodGone(3, "one"), 3)
    assert host.table == {}
    assert not choice.captures("one")


def test_a_cgroup_that_was_made_anew_takes_the_place_of_the_old_one() -> None:
    host = Host()
    host.pods = {"one": ONE}
    choice = host.choice(unknown=True)
    choice.update(seen("one", captured=False), 0)
    choice.release(0)
    host.pods = {"one": TWO}
    choice.look(SELDOM_NS)
    assert host.table == {TWO: False}
