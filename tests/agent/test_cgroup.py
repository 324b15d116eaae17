"""From /proc/PID/cgroup to pod, container and unit, in the forms that runtimes and systemd make."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.cgroup import Membership, membership, path_in

ID = "0123456789abcdef" * 4
INNER = "fedcba9876543210" * 4
UID = "12345678-1234-1234-1234-123456789abc"
OTHER = "98765432-1234-1234-1234-123456789abc"
FLAT = UID.replace("-", "_")
STATIC = "0123456789abcdef0123456789abcdef"
SLICE = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{FLAT}.slice"
USER = "/user.slice/user-1000.slice/user@1000.service"
OLD = f"/system.slice/containerd.service/kubepods-burstable-pod{FLAT}.slice"

POD, DOCKER = Membership(UID, ID), Membership(None, ID)

PATHS = {
    # Kubernetes
    f"/kubepods/pod{UID}/{ID}": POD,  # guaranteed
    f"/kubepods/burstable/pod{UID}/{ID}": POD,
    f"/kubepods/besteffort/pod{UID}/crio-{ID}": POD,
    f"/kubepods/burstable/pod{STATIC}/{ID}": Membership(STATIC, ID),  # a static pod
    f"{SLICE}/cri-containerd-{ID}.scope": POD,
    f"{SLICE}/crio-{ID}.scope": POD,
    f"{SLICE}/crio-{ID}.scope/container": POD,
    f"{SLICE}/docker-{ID}.scope": POD,
    f"/kubepods.slice/kubepods-pod{STATIC}.slice/docker-{ID}.scope": Membership(STATIC, ID),
    f"{OLD}:cri-containerd:{ID}": POD,  # containerd that was not told of systemd
    f"/../../kubepods-burstable-pod{FLAT}.slice/cri-containerd-{ID}.scope": POD,  # from within a namespace
    f"/../crio-{ID}.scope": DOCKER,
    f"{SLICE}/crio-conmon-{ID}.scope": Membership(UID),
    f"{SLICE}": Membership(UID),
    # Docker, Podman, others
    f"/docker/{ID}": DOCKER,
    f"/{ID}": DOCKER,
    f"/my/parent/{ID}": DOCKER,
    f"/system.slice/docker-{ID}.scope": DOCKER,
    f"{USER}/app.slice/docker-{ID}.scope": DOCKER,  # rootless
    f"/system.slice/nerdctl-{ID}.scope": DOCKER,
    f"/machine.slice/libpod-{ID}.scope": DOCKER,
    f"/machine.slice/libpod-{ID}.scope/container": DOCKER,
    f"/machine.slice/libpod-conmon-{ID}.scope": Membership(),
    f"/machine.slice/machine-libpod_pod_{INNER}.slice/libpod-{ID}.scope": DOCKER,
    f"/libpod_parent/libpod-{ID}": DOCKER,
    f"{USER}/user.slice/libpod-{ID}.scope/container": DOCKER,
    f"/ecs/0f9a7a7e/{ID}": DOCKER,
    f"/actions_job/{ID}": DOCKER,
    # with a unit
    f"/system.slice/web.service/libpod-payload-{ID}": Membership(None, ID, "web.service"),
    f"{USER}/app.slice/web.service/libpod-payload-{ID}": Membership(None, ID, "web.service"),
    "/system.slice/web.service/runtime": Membership(None, None, "web.service"),
    f"/system.slice/docker.service/docker/{ID}": DOCKER,
    f"/machine.slice/libpod-{ID}.scope/system.slice/nginx.service": Membership(None, ID, "nginx.service"),
    "/system.slice/nginx.service": Membership(unit="nginx.service"),
    "/system.slice/system-serial\\x2dgetty.slice/serial-getty@ttyS0.service": Membership(
        unit="serial-getty@ttyS0.service"
    ),
    "/system.slice/my\\x2dapp@a\\x2fb.service": Membership(unit="my\\x2dapp@a\\x2fb.service"),
    "/system.slice/_cpu.service": Membership(unit="cpu.service"),
    "/system.slice/web.service/worker.service": Membership(unit="worker.service"),
    f"{USER}/init.scope": Membership(unit="user@1000.service"),
    "/user.slice/user-0.slice/session-1.scope": Membership(),
    "/system.slice/var-lib-docker-overlay2.mount": Membership(),
    # one in another: kind, Docker in Docker, Podman in a pod
    f"/docker/{ID}/kubelet/kubepods/burstable/pod{UID}/{INNER}": Membership(UID, INNER),
    f"/system.slice/docker-{ID}.scope/kubelet.slice/kubelet-kubepods.slice/"
    f"kubelet-kubepods-pod{FLAT}.slice/cri-containerd-{INNER}.scope": Membership(UID, INNER),
    f"{SLICE}/cri-containerd-{ID}.scope/docker/{INNER}": Membership(UID, INNER),
    f"/kubepods/pod{UID}/{ID}/kubepods/pod{OTHER}/{INNER}": Membership(UID, INNER),
    f"/docker/{ID}/libpod_parent/libpod-conmon-{INNER}": DOCKER,
    f"{SLICE}/cri-containerd-{ID}.scope/system.slice/dockerd.service": Membership(UID, ID, "dockerd.service"),
    # none
    f"/docker/{ID[:-1]}": Membership(),
    f"/docker/{ID}a": Membership(),
    f"/docker/{ID.upper()}": Membership(),
    f"/kubepods/pod{UID}x": Membership(),
    f"/tripod{UID}": Membership(),
    "/": Membership(),
    "": Membership(),
}


@pytest.mark.parametrize(("path", "expected"), PATHS.items())
def test_a_path_says_pod_container_and_unit(path: str, expected: Membership) -> None:
    assert membership(path) == expected


def test_a_process_without_a_path_belongs_to_nothing() -> None:
    assert membership(None) == Membership()


FILES = {
    "version 2": (f"0::/docker/{ID}\n", DOCKER),
    "version 1": (f"12:pids:/docker/{ID}\n11:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}\n", DOCKER),
    "a hierarchy without the container": (
        f"9:rdma:/\n8:memory:/docker/{ID}\n1:name=systemd:/user.slice/user-1000.slice/a-long-name.scope\n",
        DOCKER,
    ),
    "hybrid": (
        f"3:cpu,cpuacct:{SLICE}/docker-{ID}.scope\n0::/system.slice/containerd.service\n",
        POD,
    ),
    "hybrid, the container in version 2 only": (f"4:memory:/user.slice\n0::/docker/{ID}\n", DOCKER),
    "nested, and one hierarchy is not delegated": (
        f"2:memory:/docker/{ID}/docker/{INNER}\n1:rdma:/docker/{ID}\n0::/docker/{ID}\n",
        Membership(None, INNER),
    ),
    "the unit is systemd's": (
        "4:memory:/limits/of/another/manager/entirely\n1:name=systemd:/system.slice/web.service\n",
        Membership(unit="web.service"),
    ),
    "a path with colons": (f"0::{OLD}:cri-containerd:{ID}\n", POD),
    "rubbish": ("rubbish\n\n:\n", Membership()),
    "nothing": ("", Membership()),
}


@pytest.mark.parametrize(("text", "expected"), FILES.values(), ids=FILES)
def test_of_several_hierarchies_the_one_that_says_most_counts(text: str, expected: Membership) -> None:
    assert membership(path_in(text.encode())) == expected


PARTS = st.sampled_from(
    (ID, INNER, UID, FLAT, "pod", "/", "-", ":", "_", ".scope", ".slice", ".service", "\n", "0::", "/..", "é")
) | st.sampled_from(("libpod-payload-", "conmon-", "x", "\\x2d"))


@given(st.lists(PARTS, max_size=12).map("".join).map(str.encode) | st.binary(max_size=200))
@example(b"0::/" + b"pod" * 20_000)
@example(b"0::/" + b"a" * 100_000 + b".service")
def test_any_bytes_are_a_membership_whose_names_are_in_them(text: bytes) -> None:
    found = membership(path_in(text))
    shown = text.decode(errors="replace")
    assert found.container is None or (len(found.container) == 64 and found.container in shown)
    assert found.pod is None or found.pod in shown.replace("_", "-")
    assert found.unit is None or (found.unit in shown and found.unit.endswith(".service"))


UNIFIED = [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")]


@contextmanager
def running_in(path: str) -> Iterator[int]:
    """A process in a cgroup of this path below the tests' own (version 2), and removes it."""
    root = next(place for place in UNIFIED if (place / "cgroup.procs").exists())
    own = next(line for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
    base = root / own.removeprefix("0::").lstrip("/") / f"spectap-test-{os.getpid()}"
    folder = base / path.lstrip("/")
    folder.mkdir(parents=True)
    child = subprocess.Popen(["/bin/sleep", "600"])
    try:
        (folder / "cgroup.procs").write_text(str(child.pid))
        yield child.pid
    finally:
        child.kill()
        child.wait()
        while folder != base.parent:
            folder.rmdir()
            folder = folder.parent


@pytest.mark.root
@pytest.mark.parametrize(
    ("path", "expected"), [item for item in PATHS.items() if item[1].container and "/.." not in item[0]]
)
def test_the_kernel_shows_a_container_as_its_runtime_named_it(path: str, expected: Membership) -> None:
    with running_in(path) as pid:
        assert membership(path_in(Path(f"/proc/{pid}/cgroup").read_bytes())) == expected
