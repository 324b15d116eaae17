"""What a host allows, found on hosts made of files."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from agent.doctor import host
from agent.doctor.capabilities import CAPABILITIES, Capability, capabilities
from agent.doctor.facts import Check, CheckState
from agent.doctor.host import Host
from agent.probes.capability import Refusal

RING = 64 << 20
ROOTS_CAPABILITIES = "CapEff:\t000001ffffffffff"


def made(root: Path, **files: str) -> Host:
    """A host with these files; `__` in a name stands for a slash."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Host(root)


def namespaces(root: Path, user: int, pid: int) -> None:
    folder = root / "proc/self/ns"
    folder.mkdir(parents=True)
    (folder / "user").symlink_to(f"user:[{user}]")
    (folder / "pid").symlink_to(f"pid:[{pid}]")


def kernel(release: str, machine: str = "x86_64") -> os.uname_result:
    return os.uname_result(("Linux", "node", release, "#1 SMP", machine))


def by_subject(found: Host, refusals: list[Refusal]) -> dict[str, Check]:
    return {check.subject: check for check in host.checks(found, refusals, RING)}


def test_every_finding_that_is_not_ok_has_a_cure(tmp_path: Path) -> None:
    for refusals in ([], [Refusal("root", "no", "be it")], [Refusal("tracefs", "no", "mount it")]):
        for check in host.checks(Host(tmp_path), refusals, RING):
            assert (check.cure is None) == (check.state is CheckState.OK), check


@pytest.mark.parametrize("subject", ["root", "btf", "tracefs", "tracepoints", "bcc"])
def test_what_the_agent_refuses_the_doctor_tells_in_the_same_words(tmp_path: Path, subject: str) -> None:
    checks = by_subject(Host(tmp_path), [Refusal(subject, "it is missing", "put it there")])
    assert checks[subject] == Check(subject, CheckState.REFUSED, "it is missing", "put it there")


def test_without_root_what_cannot_be_looked_at_is_unknown_and_not_ok(tmp_path: Path) -> None:
    found = made(tmp_path, sys__kernel__btf__vmlinux="")
    checks = by_subject(found, [Refusal("root", "no root", "be root")])
    states = {subject: checks[subject].state for subject in ("root", "btf", "tracefs", "tracepoints")}
    assert states == {
        "root": CheckState.REFUSED,
        "btf": CheckState.OK,
        "tracefs": CheckState.UNKNOWN,
        "tracepoints": CheckState.UNKNOWN,
    }
    bare = by_subject(Host(tmp_path / "bare"), [Refusal("root", "no root", "be root")])
    assert bare["btf"].state is CheckState.REFUSED


IN_A_POD = sum(1 << one.number for one in CAPABILITIES)


@pytest.mark.parametrize(
    ("effective", "state", "missing"),
    [
        (ROOTS_CAPABILITIES, CheckState.OK, ""),
        (f"CapEff:\t{IN_A_POD:016x}", CheckState.OK, ""),
        (
            "CapEff:\t00000000a80425fb",
            CheckState.REFUSED,
            "missing CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE (other users' processes stay unknown), ",
        ),
        (f"CapEff:\t{IN_A_POD & ~(1 << 38 | 1 << 39 | 1 << 40) | 1 << 21:016x}", CheckState.OK, ""),
        (f"CapEff:\t{IN_A_POD & ~(1 << 38):016x}", CheckState.REFUSED, "missing CAP_PERFMON"),
        ("", CheckState.REFUSED, "CAP_BPF"),
    ],
    ids=["root", "pod", "docker", "sys-admin", "bpf-alone", "untold"],
)
def test_capabilities_that_are_missing_are_named(effective: str, state: CheckState, missing: str) -> None:
    check = capabilities(f"Name:\tx\n{effective}\n", "be root")
    assert check.state is state
    assert missing in check.what


@pytest.mark.parametrize("one", CAPABILITIES, ids=lambda one: one.name)
def test_a_capability_that_is_missing_limits_capture_or_refuses_it_and_what_is_lost_is_said(
    one: Capability,
) -> None:
    check = capabilities(f"CapEff:\t{IN_A_POD & ~(1 << one.number):016x}\n", "be root")
    assert check.state is (CheckState.REFUSED if one.lack is None else CheckState.LIMITED)
    assert check.what == f"missing CAP_{one.name}" + (f" ({one.lack})" if one.lack else "")


@pytest.mark.parametrize(
    ("release", "machine", "state"),
    [
        ("6.1.0-18-amd64", "x86_64", CheckState.OK),
        ("5.8.0", "x86_64", CheckState.OK),
        ("5.4.0-150-generic", "x86_64", CheckState.REFUSED),
        ("6.8.0", "riscv64", CheckState.WARNING),
        ("unheard-of", "x86_64", CheckState.REFUSED),
    ],
)
def test_a_kernel_is_judged_by_its_release(release: str, machine: str, state: CheckState) -> None:
    assert host.kernel(kernel(release, machine)).state is state


@pytest.mark.parametrize(
    ("files", "state"),
    [
        ({}, CheckState.OK),
        ({"sys__kernel__security__lockdown": "none [integrity] confidentiality"}, CheckState.OK),
        ({"sys__kernel__security__lockdown": "none integrity [confidentiality]"}, CheckState.REFUSED),
        ({"proc__cmdline": "quiet lockdown=confidentiality"}, CheckState.REFUSED),
        (
            {
                "sys__kernel__security__lockdown": "[none] integrity confidentiality",
                "proc__cmdline": "lockdown=confidentiality",
            },
            CheckState.OK,
        ),
    ],
    ids=["untold", "integrity", "confidentiality", "by-command-line", "the-kernel-knows-best"],
)
def test_only_confidentiality_hinders(tmp_path: Path, files: dict[str, str], state: CheckState) -> None:
    assert host.lockdown(made(tmp_path, **files)).state is state


def test_missing_kprobes_do_not_matter_and_missing_uprobes_do(tmp_path: Path) -> None:
    bare = Host(tmp_path)
    assert (host.kprobes(bare).state, host.uprobes(bare).state) == (CheckState.OK, CheckState.LIMITED)
    assert "io_uring" in host.kprobes(bare).what
    device = "sys__bus__event_source__devices__{}__type"
    full = made(tmp_path, **{device.format("kprobe"): "6", device.format("uprobe"): "7"})
    assert (host.kprobes(full).state, host.uprobes(full).state) == (CheckState.OK, CheckState.OK)
    assert host.kprobes(full).what == "available"


@pytest.mark.parametrize(
    ("release", "limit", "state"),
    [
        ("6.1.0", 65536, CheckState.OK),
        ("5.10.0", 65536, CheckState.WARNING),
        ("5.10.0", resource.RLIM_INFINITY, CheckState.OK),
    ],
)
def test_locked_memory_is_at_most_a_warning(release: str, limit: int, state: CheckState) -> None:
    assert host.memlock(release, limit).state is state


@pytest.mark.parametrize(
    ("files", "state", "left"),
    [
        ({"proc__meminfo": "MemTotal: 1 kB\nMemAvailable: 4194304 kB\n"}, CheckState.OK, "4096 MiB"),
        ({"proc__meminfo": "MemAvailable: 131072 kB\n"}, CheckState.WARNING, "128 MiB"),
        (
            {
                "proc__meminfo": "MemAvailable: 4194304 kB\n",
                "proc__self__cgroup": "0::/pod\n",
                "sys__fs__cgroup__pod__memory.max": "157286400",
                "sys__fs__cgroup__pod__memory.current": "52428800",
            },
            CheckState.WARNING,
            "100 MiB",
        ),
        (
            {
                "proc__meminfo": "MemAvailable: 4194304 kB\n",
                "proc__self__cgroup": "0::/\n",
                "sys__fs__cgroup__memory.max": "max",
                "sys__fs__cgroup__memory.current": "52428800",
            },
            CheckState.OK,
            "4096 MiB",
        ),
        ({}, CheckState.UNKNOWN, "memory unknown"),
    ],
    ids=["ample", "small-host", "small-pod", "unlimited-pod", "untold"],
)
def test_the_ring_is_held_against_the_memory_left_here(
    tmp_path: Path, files: dict[str, str], state: CheckState, left: str
) -> None:
    check = host.ring(made(tmp_path, **files), RING)
    assert check.state is state
    assert left in check.what


@pytest.mark.parametrize(
    ("text", "state", "kind"),
    [
        ("0::/x\n", CheckState.OK, "version 2"),
        ("9:name=systemd:/\n0::/\n", CheckState.OK, "versions 1 and 2"),
        ("4:memory:/x\n", CheckState.OK, "version 1"),
        ("", CheckState.WARNING, "none"),
    ],
)
def test_cgroups_are_told_by_version(tmp_path: Path, text: str, state: CheckState, kind: str) -> None:
    check = host.cgroups(made(tmp_path, proc__self__cgroup=text))
    assert check.state is state
    assert kind in check.what


def test_a_pod_without_host_pid_is_told_that_others_stay_dark(tmp_path: Path) -> None:
    namespaces(tmp_path, host.INITIAL_USER_NAMESPACE, 4026532501)
    check = host.container(Host(tmp_path))
    assert check.state is CheckState.LIMITED
    assert "hostPID" in (check.cure or "")


def test_the_root_of_a_user_namespace_is_refused(tmp_path: Path) -> None:
    namespaces(tmp_path, 4026532500, 4026532501)
    assert host.container(Host(tmp_path)).state is CheckState.REFUSED


def test_a_pod_with_host_pid_has_every_process_in_sight(tmp_path: Path) -> None:
    namespaces(tmp_path, host.INITIAL_USER_NAMESPACE, host.INITIAL_PID_NAMESPACE)
    found = made(tmp_path, proc__self__cgroup=f"0::/kubepods/pod1/{'a' * 64}\n")
    assert host.container(found) == Check(
        "container", CheckState.OK, "in a container, with all processes visible", None
    )
    assert "on the host" in host.container(made(tmp_path, proc__self__cgroup="0::/\n")).what


def test_a_loader_without_openssl_is_a_warning(tmp_path: Path) -> None:
    assert host.loader(made(tmp_path, etc__ld="")).state is CheckState.WARNING
    assert host.loader(made(tmp_path, **{"etc__ld.so.cache": "no cache at all"})).state is CheckState.WARNING
