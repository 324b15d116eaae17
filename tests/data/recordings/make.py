"""Makes the recordings beside this file again: real processes, captured by `spectap-agent record` as root.

`.venv/bin/python -m tests.data.recordings.make [NAME…]` writes NAME.gz and its summary NAME.txt; with
`--summaries` it only updates the summaries, after an intended change of the parsers.

Only the traffic of one port is recorded, made by the end-to-end tests' own programs with words and numbers in
it. Facts about the machine are replaced before a recording is stored: paths of executables, control groups,
the boot id, processes other than the two ends.
"""

from __future__ import annotations

import argparse
import gzip
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from agent.events import Chunk, Clock, Event, ProcessGone, ProcessSeen
from agent.sources.recording import Recording, RecordingWriter
from tests.agent import recorded
from tests.agent.recorded import KEY
from tests.e2e import grpc_calls, nginx, services
from tests.e2e.calls import Call, echo_call, get_call
from tests.e2e.certificates import Certificate
from tests.e2e.certificates import make as make_certificate
from tests.e2e.processes import Running
from tests.e2e.services import Caller
from tests.e2e.spectap import PATIENCE_TO_STOP, command

HERE = Path(__file__).parent
BOOT = "00000000-0000-0000-0000-000000000000"
SMALL_RING = 1  # MiB
OVERFLOW = 120  # calls with FLOOD bytes in each direction: more than the small ring holds
FLOOD = 12_000


class Recorder:
    """`spectap-agent record` on one port, from ready to stopped."""

    def __init__(self, folder: Path, port: int, *options: object) -> None:
        key = folder / "key"
        key.write_bytes(KEY)
        key.chmod(0o600)
        self.file = folder / "recording"
        argv = [command("spectap-agent"), "record", str(self.file), "--port", str(port)]
        argv += ["--key-file", str(key), "--agent", "recorder", "--node", "node", "--cluster", "tests"]
        self._process = Running("recorder", [*argv, *map(str, options)], folder)

    def ready(self) -> None:
        log = self._process.stderr
        self._process.wait_for(lambda: "INFO    recording\n" in log.read_text(), "recording")

    def stop(self) -> None:
        self._process.process.send_signal(signal.SIGINT)
        code = self._process.stop(PATIENCE_TO_STOP)
        assert code == 0, self._process.output()

    def pause(self, paused: bool) -> None:
        self._process.process.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)


@contextmanager
def recording(name: str, folder: Path, port: int, *options: object) -> Iterator[Recorder]:
    """Stores the traffic within as NAME.gz."""
    recorder = Recorder(folder, port, *options)
    try:
        recorder.ready()
        yield recorder
    finally:
        recorder.stop()
    keep(recorder.file, HERE / f"{name}.gz", folder / "scrubbed")


def keep(made: Path, kept: Path, between: Path) -> None:
    """The recording without facts about this machine, compressed."""
    with made.open("rb") as file:
        source = Recording(file, str(made))
        events = list(source.events())
    ends = {event.pid for event in events if isinstance(event, Chunk) and event.pid is not None}
    writer = RecordingWriter(between, source.header)
    for event in events:
        scrubbed = scrub(event, ends)
        if scrubbed is not None:
            writer.write(scrubbed)
    writer.close()
    kept.write_bytes(gzip.compress(between.read_bytes(), 9, mtime=0))
    between.unlink()


def scrub(event: Event, ends: set[int]) -> Event | None:
    if isinstance(event, Clock):
        return replace(event, boot_id=BOOT)
    if isinstance(event, ProcessSeen):
        program = f"/usr/bin/{Path(event.executable).name}" if event.executable else None
        return replace(event, executable=program, cgroup=None) if event.pid in ends else None
    if isinstance(event, ProcessGone) and event.pid not in ends:
        return None
    return event


def h1(folder: Path, certificate: Certificate | None = None) -> None:
    name = "h1-tls" if certificate else "h1"
    paths = ["/echo", "/chunked", "/gzip", "/status/404", "/status/204", "/status/304", "/close"]
    calls = [echo_call(name, number % 3, path, 300) for number, path in enumerate(paths * 3)]
    calls += [get_call(name, "/echo", number % 3) for number in range(6)]
    heads = [get_call(name, "/echo"), get_call(name, "/bytes/9000")]
    calls += [Call(call.id, "HEAD", call.target, call.headers) for call in heads]
    calls.append(get_call(name, "/bytes/70000"))
    with (
        services.echo("server", folder, certificate=certificate) as server,
        recording(name, folder, server.port),
        services.caller("caller", folder, server.port, certificate=certificate) as caller,
    ):
        caller.make(calls)


def h2(folder: Path, certificate: Certificate | None = None) -> None:
    """Node's client with six streams at once, and nginx."""
    name = "h2-tls" if certificate else "h2"
    calls = [echo_call(name, number % 2, size=number % 7 * 700) for number in range(40)]
    calls += [get_call(name, "/bytes/70000"), *(get_call(name, "/echo") for _ in range(5))]
    language, options = ("h2", []) if certificate else ("node", ["--http2", 6])
    with (
        services.echo("backend", folder) as backend,
        nginx.serving("front", folder, backend.port, http2=True, certificate=certificate) as front,
        recording(name, folder, front.port),
        services.caller(
            "caller", folder, front.port, *options, certificate=certificate, language=language
        ) as caller,
    ):
        caller.make(calls)


def ends(folder: Path) -> None:
    """HTTP/2 with trailers, resets from both ends, GOAWAY, and a connection that began by Upgrade."""
    paths = ["/echo", "/trailers", "/hang", "/echo", "/reset", "/trailers", "/goaway", "/echo"]
    with services.echo("server", folder, language="h2") as server, recording("h2-ends", folder, server.port):
        with services.caller("caller", folder, server.port, language="h2") as caller:
            caller.make([echo_call("ends", path=path, size=600) for path in paths * 2])
        services.curl(folder, f"http://127.0.0.1:{server.port}", [get_call("ends", "/echo")], "--http2")


def grpc(folder: Path) -> None:
    with grpc_calls.serving(folder) as server, recording("grpc", folder, server.port):
        grpc_calls.by_grpcio(server.port, "grpc", "--each", 4, "--cancel")


def late(folder: Path, language: str) -> None:
    """Connections that were used before the recorder started, and again afterwards."""
    name = "h1-late" if language == "python" else "h2-late"

    def some(caller: Caller) -> None:
        caller.make([echo_call(name, number % 2, size=number * 40) for number in range(12)])

    with (
        services.echo("server", folder, language=language) as server,
        services.caller("caller", folder, server.port, language=language) as caller,
    ):
        some(caller)
        with recording(name, folder, server.port):
            some(caller)


def loss(folder: Path, language: str) -> None:
    """More than a small ring holds while nobody reads it, between calls that are captured completely."""
    name = "h1-loss" if language == "python" else "h2-loss"
    with (
        services.echo("server", folder, language=language) as server,
        recording(name, folder, server.port, "--ring-mib", SMALL_RING) as recorder,
        services.caller("caller", folder, server.port, language=language) as caller,
    ):
        caller.make([echo_call(name, number % 2, size=200) for number in range(6)])
        recorder.pause(True)
        try:
            caller.make([echo_call(name, number % 2, size=FLOOD) for number in range(OVERFLOW)])
        finally:
            recorder.pause(False)
        caller.make([echo_call(name, number % 2, size=200) for number in range(10)])


def main() -> None:
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        certificate = make_certificate(temporary)
        kinds: dict[str, Callable[[Path], None]] = {
            "h1": h1,
            "h1-tls": lambda folder: h1(folder, certificate),
            "h2": h2,
            "h2-tls": lambda folder: h2(folder, certificate),
            "h2-ends": ends,
            "grpc": grpc,
            "h1-late": lambda folder: late(folder, "python"),
            "h2-late": lambda folder: late(folder, "h2"),
            "h1-loss": lambda folder: loss(folder, "python"),
            "h2-loss": lambda folder: loss(folder, "h2"),
        }
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(kinds)}")
        parser.add_argument("--summaries", action="store_true", help="make only the summaries again")
        options = parser.parse_args()
        for name in options.names or kinds:
            folder = temporary / name
            folder.mkdir()
            if not options.summaries:
                kinds[name](folder)
            (HERE / f"{name}.txt").write_text(recorded.summary(name))


if __name__ == "__main__":
    main()
