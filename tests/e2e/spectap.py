"""The product under test as a user runs it: `spectap server` and `spectap-agent run`, two processes.

`watching` starts both, waits until both are ready and stops them with SIGTERM. It fails if one of them does
not exit with 0 or an eBPF program stays behind.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

from tests.e2e import bpf_programs
from tests.e2e.observations import AGGREGATION_HEADER, Observation
from tests.e2e.processes import PATIENCE, Running, free_port, wait_until
from tests.e2e.seen import Seen, exchange
from tests.kept import cache_folder

MARGIN = timedelta(seconds=3)  # between the client's and the agent's clock readings for the same call
PAGE = 200  # items requested of a list at once
PATIENCE_TO_STOP = 180.0  # seconds; removing one uprobe takes 0.1 s, and a host has many
_opener = build_opener(ProxyHandler({}))


def command(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def fetch(url: str, data: bytes | None = None, content_type: str = "application/json") -> bytes:
    """The body of a 2xx answer. Raises HTTPError and URLError."""
    headers = {"Content-Type": content_type} if data is not None else {}
    with _opener.open(Request(url, data, headers), timeout=PATIENCE) as answer:
        body: bytes = answer.read()
        return body


def ready(url: str) -> bool:
    try:
        fetch(url)
    except (HTTPError, URLError, ConnectionError, TimeoutError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Server:
    """The analysis server, and requests to it."""

    process: Running
    url: str
    port: int
    data: Path

    def get(self, path: str, **filters: object) -> Any:
        query = f"?{urlencode(filters)}" if filters else ""
        return json.loads(fetch(f"{self.url}/api/v1{path}{query}"))

    def items(self, path: str, **filters: object) -> list[dict[str, Any]]:
        """All items of a list, page by page."""
        found, cursor = [], None
        while True:
            page = self.get(path, limit=PAGE, **filters, **({"cursor": cursor} if cursor else {}))
            found += page["items"]
            cursor = page["next"]
            if cursor is None:
                return found

    def exchanges(self, **filters: object) -> list[Seen]:
        return [exchange(item) for item in self.items("/exchanges", **filters)]

    def metrics(self) -> str:
        return fetch(f"{self.url}/metrics").decode()

    def settled(self) -> Server:
        """Returns itself once no view is held: everything delivered is visible."""
        wait_until(lambda: "spectap_server_views_held 0.0" in self.metrics().splitlines(), "settled views")
        return self


@dataclass(frozen=True, slots=True)
class Agent:
    process: Running
    status_url: str

    def ready(self) -> bool:
        return ready(f"{self.status_url}/readyz")

    def status(self) -> Any:
        return json.loads(fetch(f"{self.status_url}/status"))

    def metrics(self) -> str:
        return fetch(f"{self.status_url}/metrics").decode()

    def is_below_calls(self) -> bool:
        """Whether the backend sees what system calls do not show, as kprobes do."""
        return "kprobes" in self.status()["backend"]

    def bytes_in(self, bucket: str) -> int:
        """Bytes of streams in `bucket` of the agent's ledger (agent/ledger.py)."""
        return int(self.status()["ledger"]["bytes"].get(bucket, 0))

    def exchanges_in(self, bucket: str) -> int:
        return int(self.status()["ledger"]["exchanges"].get(bucket, 0))


@dataclass(frozen=True, slots=True)
class Spectap:
    server: Server
    agent: Agent
    _tried: dict[frozenset[int], list[Observation]] = field(default_factory=dict)

    def wait_for(
        self,
        condition: Callable[[list[Seen]], bool],
        what: str,
        patience: float = PATIENCE,
        **filters: object,
    ) -> list[Seen]:
        """The exchanges under `filters` once they satisfy `condition`."""

        def enough() -> list[Seen] | None:
            for part in (self.server.process, self.agent.process):
                assert part.alive(), f"{part.name} ended: {part.output()[-3000:]}"
            found = self.server.exchanges(**filters)
            return found if condition(found) else None

        return wait_until(enough, what, patience)

    def at_port(self, port: int, since: str) -> list[Seen]:
        """All exchanges with the server at `port` since a time."""
        return [seen for seen in self.server.exchanges(since=since) if seen.server and seen.server[1] == port]

    def of_port(self, port: int, calls: Iterable[Observation], witnesses: int = 2) -> dict[str, Seen]:
        """The exchanges of these calls to the server at `port`, by id, once each has this many views.

        Fails if an id occurs twice: an exchange is stored once, however many agents saw it.
        """
        made = list(calls)
        ids, since = {call.id for call in made}, just_before(made)

        def here(found: list[Seen]) -> dict[str, list[Seen]]:
            mine = [seen for seen in found if seen.server and seen.server[1] == port]
            return by_id(mine, ids)

        def complete(found: list[Seen]) -> bool:
            known = here(found)
            return known.keys() == ids and all(
                sum(len(seen.witnesses) for seen in one) >= witnesses for one in known.values()
            )

        try:
            found = here(self.wait_for(complete, f"{len(ids)} exchanges at port {port}", since=since))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.account(port, ids)}") from None
        twice = {name: [_summary(seen) for seen in one] for name, one in found.items() if len(one) > 1}
        assert not twice, f"stored more than once: {twice}"
        return {name: one[0] for name, one in found.items()}

    def views(
        self, calls: Iterable[Observation], pids: set[int], patience: float = PATIENCE
    ) -> dict[str, list[Seen]]:
        """The exchanges of these calls at any address, once each was captured in all of these processes."""
        made = list(calls)
        ids, since = {call.id for call in made}, just_before(made)

        def complete(found: list[Seen]) -> bool:
            known = by_id(found, ids)
            seen_in = (
                {witness.pid for seen in known.get(name, []) for witness in seen.witnesses} for name in ids
            )
            return all(pids <= where for where in seen_in)

        try:
            what = f"{len(ids)} exchanges seen in {pids}"
            found = self.wait_for(complete, what, patience, since=since)
            return by_id(found, ids)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.account(0, ids)}") from None

    def sees(self, calls: Iterable[Observation], pids: set[int], views: int = 1) -> bool:
        """Whether one of these calls, or of those before for the same processes, is seen in them all before
        long, in at least so many `views`: two where the other end is any of several processes. On a busy
        machine an agent lags.
        """
        tried = self._tried.setdefault(frozenset(pids), [])
        tried += calls
        if not tried:
            return False
        ids = {call.id for call in tried}

        def one_is_seen(found: list[Seen]) -> bool:
            witnesses = [
                [one for seen in same for one in seen.witnesses] for same in by_id(found, ids).values()
            ]
            return any(len(ones) >= views and pids <= {one.pid for one in ones} for ones in witnesses)

        try:
            return bool(self.wait_for(one_is_seen, "a call", patience=1, since=just_before(tried)))
        except AssertionError:
            return False

    def account(self, port: int, ids: set[str]) -> str:
        """What is stored instead, for the message of a failed wait."""
        found = by_id(self.server.exchanges(), ids)
        missing = sorted(ids - found.keys())
        stored = {name: [_summary(seen) for seen in one] for name, one in list(found.items())[:6]}
        return (
            f"port {port}: {len(found)} of {len(ids)} ids stored, missing {missing[:6]}; stored: "
            f"{json.dumps(stored, indent=1)}\nagent: {json.dumps(self.agent.status())}"
        )


def _summary(seen: Seen) -> str:
    """With all that pairing views depends on."""
    sizes = [content.size for content in (seen.request, seen.response) if content is not None]
    message = f"tls={seen.tls} {seen.completeness} {seen.status} {sizes}"
    return f"{seen.client}->{seen.server} {message} {list(seen.witnesses)}"


def just_before(calls: Iterable[Observation]) -> str:
    """A time just before the first of these calls, in the form of the API's filters."""
    start = min(call.start_ns for call in calls if call.start_ns is not None)
    return (datetime.fromtimestamp(start / 1e9, UTC) - MARGIN).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def by_id(found: list[Seen], ids: set[str]) -> dict[str, list[Seen]]:
    """The exchanges whose path ends in one of these ids."""
    grouped: dict[str, list[Seen]] = {}
    for seen in found:
        name = (seen.path or b"").rsplit(b"/", 1)[-1].decode("latin-1")
        if name in ids:
            grouped.setdefault(name, []).append(seen)
    return grouped


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    port = free_port()
    url, data = f"http://127.0.0.1:{port}", folder / "spectap"
    argv = [command("spectap"), "server", "--listen", f"127.0.0.1:{port}", "--data", str(data)]
    process = Running("spectap-server", argv, folder)
    try:
        process.wait_for(lambda: ready(f"{url}/readyz"), "readiness")
        yield Server(process, url, port, data)
    finally:
        code = process.stop(PATIENCE_TO_STOP)
    assert code == 0, f"the server ended with {code}: {process.output()[-3000:]}"


def start_agent(program: list[str], folder: Path, url: str, *options: object, name: str = "agent") -> Agent:
    """Starts an agent that reports to the server at `url`, and does not wait for it. `name` distinguishes
    agents of a folder.
    """
    port = free_port()
    argv = [*program, "run", "--server", url, "--log-json", "--status-listen", f"127.0.0.1:{port}"]
    argv += ["--aggregation-header", AGGREGATION_HEADER, "--key-file", str(folder / "agent.key")]
    argv += ["--spool", str(folder / f"{name}-spool"), "--cache", str(cache_folder())]
    process = Running(f"spectap-{name}", [*argv, *map(str, options)], folder)
    return Agent(process, f"http://127.0.0.1:{port}")


@contextmanager
def agent(
    folder: Path,
    server: Server,
    *options: object,
    program: list[str] | None = None,
    name: str = "agent",
) -> Iterator[Agent]:
    """An agent that reports to `server`. Asserts afterwards that it exited with 0 and left no eBPF
    program.
    """
    before = bpf_programs.loaded()
    options = ("--exclude-pid", server.process.pid, *options)
    argv = program or [command("spectap-agent")]
    started = start_agent(argv, folder, server.url, *options, name=name)
    process = started.process
    try:
        process.wait_for(started.ready, "readiness")
        assert bpf_programs.loaded() - before, "the agent says it is ready and has no eBPF program loaded"
        yield started
    finally:
        code = process.stop(PATIENCE_TO_STOP)
    assert code == 0, f"the agent ended with {code}: {process.output()[-3000:]}"
    wait_until(lambda: not bpf_programs.loaded() - before, "the agent's eBPF programs to be gone")


@contextmanager
def watching(folder: Path, *options: object) -> Iterator[Spectap]:
    """Server and agent, ready; `options` go to the agent."""
    with serving(folder) as server, agent(folder, server, *options) as watcher:
        yield Spectap(server, watcher)
