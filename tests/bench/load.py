"""The load: h2load, one thread, HTTP/1.1 or HTTP/2, flat out or paced; its own account of what it did."""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.processes import environment

CLIENTS = 16
TIMEOUT = 300  # seconds
FIRST = ("nice", "-n", "-20")
"""What is measured comes before whatever else this machine does: neighbours cost less precision so."""

_FINISHED = re.compile(r"finished in ([\d.]+)(s|ms|us), ([\d.]+) req/s")
_REQUESTS = re.compile(r"requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded")
_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


@dataclass(frozen=True, slots=True)
class Done:
    """What h2load did. `latencies_us` is sorted, and empty where they were not asked for."""

    succeeded: int
    per_second: float
    seconds: float
    latencies_us: tuple[int, ...]

    def percentile(self, share: float) -> float:
        """Of the latencies, in µs."""
        return float(self.latencies_us[min(len(self.latencies_us) - 1, int(share * len(self.latencies_us)))])


def comes_first(pid: int) -> None:
    """The session of `pid` comes before all others. Where the kernel shares CPUs among sessions (sched(7)),
    niceness by itself only counts within one."""
    with suppress(FileNotFoundError, PermissionError):  # not that kind of kernel; not root
        Path(f"/proc/{pid}/autogroup").write_text("-20")


def flat_out(url: str, seconds: int, *, http2: bool = False) -> Done:
    return _run(url, ["-D", str(seconds)], http2)


def requests(url: str, count: int, *, http2: bool = False, per_second: float | None = None) -> Done:
    """So many requests, flat out or at a rate."""
    paced = [] if per_second is None else ["--rps", f"{per_second / CLIENTS:.3f}"]
    return _run(url, ["-n", str(count), *paced], http2)


def paced(url: str, seconds: int, per_second: int, log: Path) -> Done:
    """At a rate for a while, with the time that each request took."""
    log.unlink(missing_ok=True)
    rate = ["--rps", f"{per_second / CLIENTS:.3f}", "-n", str(seconds * per_second), f"--log-file={log}"]
    done = _run(url, rate, False)
    taken = sorted(int(line.rsplit(b"\t", 1)[1]) for line in log.read_bytes().splitlines())
    return Done(done.succeeded, done.per_second, done.seconds, tuple(taken))


def _run(url: str, options: list[str], http2: bool) -> Done:
    protocol = ["-m", "8"] if http2 else ["--h1"]
    command = [*FIRST, "h2load", "-t", "1", "-c", str(CLIENTS), *protocol, *options, url]
    told = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=TIMEOUT, env=environment()
    ).stdout
    finished, counted = _FINISHED.search(told), _REQUESTS.search(told)
    assert finished is not None, told[-2000:]
    assert counted is not None, told[-2000:]
    seconds = float(finished[1]) * _UNITS[finished[2]]
    return Done(int(counted[1]), float(finished[3]), seconds, ())
