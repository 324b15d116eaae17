"""Pods' cgroups are found below whatever contains their kubelet, and the kernel leaves out those told."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger import Bytes
from agent.probes import pod_cgroups
from agent.probes.cgroups import Cgroup
from agent.probes.kernel import CaptureFilters
from agent.probes.pod_cgroups import MAX_LEVEL, all_pods, pods_in
from tests.agent.probes.test_cgroups import TEXT, call_from, created, length, sent_to
from tests.agent.probes.watch import watching

UID, OTHER = "12345678-1234-1234-1234-123456789abc", "98765432-1234-1234-1234-123456789abc"
FLAT = UID.replace("-", "_")
STATIC = "0123456789abcdef" * 2


def tree(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).mkdir(parents=True)
    return root


def found(root: Path) -> dict[str, tuple[str, int]]:
    """The pods below a folder, with their path and level."""
    folders = {path: pod_cgroups._cgroup(path, root) for path in pod_cgroups._folders_of_all(root, 6)}
    by_id = {path.stat().st_ino: str(path.relative_to(root)) for path in root.rglob("*") if path.is_dir()}
    return {uid: (by_id[one.id], one.level) for uid, one in pods_in(folders).items()}


def test_pods_of_both_drivers_are_found_by_uid_with_their_level(tmp_path: Path) -> None:
    for path, uid, level in (
        (f"a/kubepods/pod{UID}/{'c' * 64}", UID, 3),
        (f"b/kubepods/burstable/pod{UID}", UID, 4),
        (f"c/kubepods.slice/kubepods-pod{FLAT}.slice", UID, 3),
        (
            f"d/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{FLAT}.slice/cri-x.scope",
            UID,
            4,
        ),
        (f"e/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{FLAT}.slice", UID, 4),
        (f"f/docker/{'e' * 64}/kubelet/kubepods/burstable/pod{STATIC}", STATIC, 7),
    ):
        root = tree(tmp_path / path[0], path[2:])
        ((one, (where, deep)),) = found(root).items()
        assert (one, deep) == (uid, level - 1)
        assert path[2:].startswith(where)


def test_what_is_no_pod_is_none_and_a_folder_that_goes_is_no_error(tmp_path: Path) -> None:
    tree(tmp_path, "kubepods/besteffort/crio-conmon", "system.slice/pod.service", "kubepods/podx")
    assert found(tmp_path) == {}
    assert pods_in({tmp_path / "gone": Cgroup(1, 1)}) == {}


def test_a_host_without_version_2_has_none(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text("35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n")
    assert all_pods(mounts) == {}


def test_the_kernel_side_has_as_many_levels() -> None:
    header = Path(__file__).parents[3] / "bpf/maps.h"
    assert f"#define POD_LEVELS_MAX {MAX_LEVEL} " in header.read_text()


@pytest.fixture
def kubepods() -> Iterator[Path]:
    """A new cgroup like kubelet's, with two pods that have a container each."""
    below = ("burstable", f"burstable/pod{UID}", f"pod{OTHER}", f"burstable/pod{UID}/c", f"pod{OTHER}/c")
    with created("-kubepods", *below) as own:
        yield own


@pytest.mark.root
def test_the_kernel_copies_nothing_of_a_pod_that_opted_out_until_it_is_captured_again(kubepods: Path) -> None:
    found = pods_in({path: one for path, one in all_pods().items() if path == kubepods})
    assert set(found) == {UID, OTHER}
    ours, others = kubepods / "burstable" / f"pod{UID}" / "c", kubepods / f"pod{OTHER}" / "c"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        filters = CaptureFilters(only_ports=frozenset({port}), except_pids=frozenset({os.getpid()}))
        with watching(filters) as watch:
            watch.source.choose(found[UID], False)
            call_from(ours, listening)
            call_from(others, listening)
            watch.until(lambda: length(sent_to(watch, port)) >= len(TEXT), "the call of the other pod")
            watch.until(lambda: watch.lost(Bytes.FILTERED) >= len(TEXT), "the kernel's count of ours")
            assert [chunk.data for chunk in sent_to(watch, port)] == [TEXT]
            watch.source.choose(found[UID], None)
            call_from(ours, listening)
            watch.until(lambda: length(sent_to(watch, port)) >= 2 * len(TEXT), "our call, captured again")


@pytest.mark.root
def test_where_only_pods_are_captured_all_else_stays_in_the_kernel(kubepods: Path) -> None:
    everything = all_pods()
    found = pods_in({path: one for path, one in everything.items() if path == kubepods})
    ours, others = kubepods / "burstable" / f"pod{UID}" / "c", kubepods / f"pod{OTHER}" / "c"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        filters = CaptureFilters(only_ports=frozenset({port}), only_pods=True)
        with watching(filters) as watch:
            watch.source.choose(everything[kubepods], False)
            watch.source.choose(found[UID], True)
            for folder in (kubepods.parent, others, ours):
                call_from(folder, listening)
            watch.until(lambda: length(sent_to(watch, port)) >= len(TEXT), "the call of our pod")
            watch.until(lambda: watch.lost(Bytes.FILTERED) >= 2 * len(TEXT), "the kernel's count")
            assert [chunk.data for chunk in sent_to(watch, port)] == [TEXT]
