"""The units under a systemd of the test's own: what they may not do, and that it is enough."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request

import pytest

from tests.e2e.processes import free_port, wait_until
from tests.served import served

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SERVER, AGENT = "spectap-server.service", "spectap-agent.service"
TELEMETRY = ROOT / "examples/gateway/telemetry.jsonl"


def hidden() -> bool:
    """Whether a user of no group cannot reach the commands."""
    return not all(path.stat().st_mode & 1 for path in Path(sys.prefix).parents)


pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="a systemd of its own takes root"),
    pytest.mark.skipif(not Path("/lib/systemd/systemd").exists(), reason="there is no systemd"),
    pytest.mark.skipif(
        hidden(), reason="the checkout is in a folder of one user, which the units cannot read"
    ),
]


@dataclass(frozen=True)
class Booted:
    """A running systemd and the address of its server."""

    folder: Path
    url: str

    def answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}{path}") as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def exchanges(self) -> str:
        """The stored exchanges, as JSON."""
        token = (self.folder / "etc/admin").read_text()
        request = Request(f"{self.url}/api/v1/exchanges", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request) as answer:
            return str(answer.read())

    def status(self, unit: str) -> dict[str, str]:
        """/proc/PID/status of a unit's process."""
        marks = (b"INVOCATION_ID=", f"SPECTAP_LISTEN={self.url.removeprefix('http://')}".encode())
        command = unit.removesuffix(".service").removesuffix("-server").encode()
        for one in Path("/proc").glob("[0-9]*"):
            try:
                environment, argv = (one / "environ").read_bytes(), (one / "cmdline").read_bytes()
            except OSError:
                continue
            if all(mark in environment for mark in marks) and b"/bin/" + command + b"\0" in argv:
                return dict(re.findall(r"^(\w+):\s*(.*)$", (one / "status").read_text(), flags=re.MULTILINE))
        raise AssertionError(f"no process of {unit}")

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in self.folder.glob("*.log"))


@contextmanager
def booted(folder: Path, units: Sequence[str]) -> Iterator[Booted]:
    """Runs units whose settings are those of `etc`, with ports of their own."""
    (folder / "units").mkdir()
    (folder / "etc").mkdir(mode=0o700)
    for unit in (AGENT, SERVER):
        source = (ROOT / unit.split("-")[1].removesuffix(".service") / "systemd" / unit).read_text()
        (folder / "units" / unit).write_text(source.replace("ProtectHome=yes", "ProtectHome=read-only"))
    for token in ("ingest", "admin"):
        (folder / "etc" / token).write_text(secrets.token_hex(32))
        (folder / "etc" / token).chmod(0o600)
    listen, status = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    (folder / "etc/server.env").write_text(f"SPECTAP_LISTEN={listen}\n")
    (folder / "etc/agent.env").write_text(
        f"SPECTAP_LISTEN={listen}\nSPECTAP_SERVER=http://{listen}\nSPECTAP_STATUS_LISTEN={status}\n"
    )
    systemd = subprocess.Popen([HERE / "boot", folder, sys.prefix, *units])
    try:
        yield Booted(folder, f"http://{listen}")
    finally:
        systemd.kill()
        systemd.wait()
        remove_groups(systemd.pid)


def remove_groups(pid: int) -> None:
    mounts = Path("/proc/mounts").read_text()
    (at, *_) = re.findall(r"^\S+ (\S+) cgroup2 ", mounts, flags=re.MULTILINE)
    top = Path(at) / f"spectap-systemd-{pid}"
    events = top / "cgroup.events"
    wait_until(lambda: not events.exists() or "populated 0" in events.read_text(), "the end of its processes")
    for group in sorted(top.rglob("*/"), reverse=True):
        if group.is_dir():
            group.rmdir()
    top.rmdir()


def test_the_server_needs_no_more_than_its_unit_gives(tmp_path: Path) -> None:
    with booted(tmp_path, [SERVER]) as systemd:
        wait_until(lambda: systemd.answers("/readyz"), "the server")
        token = ["--token-file", str(tmp_path / "etc/ingest"), "--key-file", str(tmp_path / "key")]
        send = [f"{sys.prefix}/bin/spectap", "import", str(TELEMETRY), "--server", systemd.url, *token]
        sent = subprocess.run(send, capture_output=True, text=True)
        assert sent.stdout == "8 records read: 8 new, 0 already stored\n", sent.stderr + systemd.logs()
        found = systemd.status(SERVER)
    assert int(found["Uid"].split()[0]) >= 61184  # systemd's range of dynamic users
    assert (int(found["CapEff"], 16), int(found["CapBnd"], 16)) == (0, 0)
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")


def test_the_agent_captures_with_what_its_unit_gives(tmp_path: Path) -> None:
    with (
        booted(tmp_path, [SERVER, AGENT]) as systemd,
        served(HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)) as port,
    ):
        wait_until(lambda: systemd.answers("/readyz?agent=1"), "an agent that captures")
        with pytest.raises(HTTPError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/called-by-the-test")
        wait_until(lambda: "/called-by-the-test" in systemd.exchanges(), "the call")
        found = systemd.status(AGENT)
        log = systemd.logs()
    assert found["CapBnd"] == found["CapEff"]
    assert int(found["CapEff"], 16).bit_count() == 7
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    assert "packets" not in log
