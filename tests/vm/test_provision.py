"""A fresh Debian without a network is set up by vagrant/provision.sh, and captures its own demo."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm import machine
from tests.vm.machine import Kernel

PROJECT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(os.environ.get("TIERS") != "all", reason="TIERS=all runs it"),
    pytest.mark.skipif(shutil.which("mmdebstrap") is None, reason="mmdebstrap makes the fresh Debian"),
]
RELEASE = "bookworm"
INSIDE = ("systemd-sysv", "iproute2", "ca-certificates", "procps")
PATIENCE_S = 1500  # the CPU is emulated
APART = ("unshare", "--net", "--mount", "--fork")  # with no network but its own loopback
INSTALL = """
set -e
if ip route | grep .; then exit 1; fi
bash /usr/src/spectap/vagrant/provision.sh --offline /offline
systemd-analyze verify /usr/src/spectap/vagrant/*.service /usr/src/spectap/vagrant/*.socket
"""
DEMO = """
/opt/spectap/.venv/bin/spectap up --demo >/demo 2>&1 &
for second in $(seq 1200); do
    kill -0 $! || break
    ! grep -q ^deviation /demo || break
    sleep 1
done
/opt/spectap/.venv/bin/python -c '
from urllib.request import urlopen
for path in ("/", "/api/v1/deviations"):
    answer = urlopen("http://127.0.0.1:8080" + path, timeout=300)
    print("answered", path, answer.status, answer.read().decode())
'
kill -INT $!
wait $!
status=$?
cat /demo
exit $status
"""

SERVICES = """
set -e
bash /usr/src/spectap/vagrant/provision.sh --offline /offline
systemctl is-active spectap-demo.service spectap-page.socket
/opt/spectap/.venv/bin/python -c '
from urllib.request import urlopen
answer = urlopen("http://127.0.0.1:8180/", timeout=60)
print("answered", answer.status, answer.read().decode())
'
bash /usr/src/spectap/vagrant/provision.sh --offline /offline
systemctl is-active spectap-demo.service spectap-page.socket
bash /usr/src/spectap/vagrant/provision.sh --remove
systemctl is-active spectap-demo.service spectap-page.socket || ls /opt
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The root of a Debian with the checkout, and what --fetch collected for it."""
    root = tmp_path_factory.mktemp("fresh") / "root"
    included = f"--include={','.join(INSIDE)}"
    subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", included, RELEASE, root], check=True)
    checkout = root / "usr/src/spectap"
    checkout.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=PROJECT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", checkout], input=archive, check=True)
    subprocess.run([PROJECT / "vagrant/provision.sh", "--fetch", root / "offline"], check=True)
    (root / "out").mkdir()
    yield root
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def installed(fresh: Path) -> Path:
    """The same, set up there without a network; not in QEMU, whose emulated CPU is a tenth as fast."""
    words = f'mount -t proc proc {fresh}/proc && ip link set lo up && exec chroot {fresh} bash -c "$0"'
    done = subprocess.run([*APART, "sh", "-c", words, INSTALL], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "spectap: installed" in done.stdout
    return fresh


def newest() -> Kernel:
    found = machine.kernels()
    if not found:
        pytest.skip("no kernel was fetched (tests/vm/README.md)")
    return found[-1]


def test_a_fresh_debian_is_set_up_without_a_network(installed: Path) -> None:
    assert (installed / "opt/spectap/.venv/bin/spectap").exists()


def test_what_was_installed_captures_its_demo_and_answers_its_page_under_another_kernel(
    installed: Path,
) -> None:
    finished = machine.run(newest(), ["bash", "-c", DEMO], seconds=PATIENCE_S, root=installed)
    assert finished.status == 0, finished.output + finished.console
    assert "answered / 200 <!doctype html>" in finished.output
    assert "deviation, type: POST /v1/orders" in finished.output
    assert "through kprobes of the socket layer" in finished.output
    assert machine.crashes(finished.console) == []


def test_under_systemd_its_services_start_and_the_page_is_at_the_port_that_is_forwarded(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "script").write_text(SERVICES)
    subprocess.run([Path(__file__).parent / "booted", installed, tmp_path], check=True)
    printed = (tmp_path / "printed").read_text()
    assert (tmp_path / "status").read_text() == "0\n", printed
    running = "spectap: running: port 8180 of this machine has the page"
    assert printed.count(running) == 2  # also once the page was used
    assert "answered 200 <!doctype html>" in printed
    assert printed.splitlines()[-3:] == [
        "spectap: removed; what was captured stays in /var/lib/spectap and /var/lib/spectap-agent",
        "inactive",
        "inactive",
    ]


def test_packages_of_another_release_are_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "release").write_text("debian sid amd64\n")
    command = [str(PROJECT / "vagrant/provision.sh"), "--offline", str(tmp_path)]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"spectap: {tmp_path} is for debian sid amd64, and this is ")
    assert refused.stderr.count("\n") == 1


@pytest.mark.skipif(shutil.which("vagrant") is None, reason="vagrant reads its file")
def test_vagrant_finds_its_file_valid(tmp_path: Path) -> None:
    done = subprocess.run(
        ["vagrant", "validate", "--ignore-provider"],
        cwd=PROJECT / "vagrant",
        env={**os.environ, "VAGRANT_HOME": str(tmp_path), "VAGRANT_DOTFILE_PATH": str(tmp_path / "machines")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
