"""The load: h2load with one thread, HTTP/1.1 or HTTP/2, at full speed or paced, and its report."""

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
"""The load is scheduled before other processes, so that they cost less precision."""

_FINISHED = re.compile(r"finished in ([\d.]+)(s|ms|us), ([\d.]+) req/s")
_REQUESTS = re.compile(r"requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded")
_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


@dataclass(frozen=True, slots=True)
class Done:
    """The report of h2load. `latencies_us` is sorted, and empty if latencies were not requested."""

    succeeded: int
    per_second: float
    seconds: float
    latencies_us: tuple[int, ...]

    def percentile(self, share: float) -> float:
        """A percentile of the latencies in µs."""
        return float(self.latencies_us[min(len(self.latencies_us) - 1, int(share * len(self.latencies_us)))])


def comes_first(pid: int) -> None:
    """Gives the session of `pid` priority over all others. On kernels that share CPUs among sessions
    (sched(7)), niceness alone counts only within a session.
    """
    with suppress(FileNotFoundError, PermissionError):  # another kind of kernel, or not root
        Path(f"/proc/{pid}/autogroup").write_text("-20")


def flat_out(url: str, seconds: int, *, http2: bool = False) -> Done:
    return _run(url, ["-D", str(seconds)], http2)


def requests(url: str, count: int, *, http2: bool = False, per_second: float | None = None) -> Done:
    """Makes a number of requests, at full speed or at a rate."""
    paced = [] if per_second is None else ["--rps", f"{per_second / CLIENTS:.3f}"]
    return _run(url, ["-n", str(count), *paced], http2)


def paced(url: str, seconds: int, per_second: int, log: Path) -> Done:
    """Makes requests at a rate for some seconds, with the latency of each."""
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
