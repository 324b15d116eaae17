"""Doctor's word on each process is what was captured of its calls, for a table of clients and servers.

The programs of all cases run while one agent captures their calls; the doctor is asked once, between them.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import go_programs, grpc_calls, java_programs, lighttpd, our_programs, rust_programs, services
from tests.e2e.calls import Call, echo_call, fresh_id, get_call
from tests.e2e.certificates import Certificate
from tests.e2e.observations import Observation
from tests.e2e.processes import Running, python, running
from tests.e2e.seen import Seen
from tests.e2e.services import Echo, server_saw
from tests.e2e.spectap import Spectap, just_before, watching
from tests.e2e.test_doctor import document

pytestmark = pytest.mark.root

EVERYTHING = os.environ.get("TIERS") == "all"
CALLS = 6  # of each case, before the doctor is asked and after
WORDS = {"all": {"seen"}, "some": set[str](), "none": {"dark", "unknown"}}
"""The doctor's right words, by the share of a process's calls that were captured there."""

Make = Callable[[int], list[Observation]]
"""Makes calls on a connection of this number: servers close one that is idle while the doctor works."""


@dataclass(frozen=True, slots=True)
class Word:
    """What the doctor says of a process: of its TLS library, or of plain HTTP."""

    of: str
    sight: str = "seen"


@dataclass(frozen=True, slots=True)
class Played:
    """A case's programs, how its calls are made, and the calls made."""

    server: Running
    client: Running | None
    make: Make
    made: list[Observation]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the programs run until the end."""

    stack: ExitStack
    folder: Path
    certificate: Certificate

    def call(self, server: services.AnyServer, language: str, *options: object, tls: bool = True) -> Played:
        """A client of this language calls the server."""
        certificate = self.certificate if tls else None
        client = self.stack.enter_context(
            services.caller(
                "caller", self.folder, server.port, *options, certificate=certificate, language=language
            )
        )
        return Played(server.process, client.process, lambda number: client.make(echoes(number)), [])


Start = Callable[[Stage], Played]


def echoes(connection: int) -> list[Call]:
    return [echo_call("doctor", connection, size=number * 300) for number in range(CALLS)]


def pair(server: str, client: str, *, tls: bool = True) -> Start:
    """A server and a client of these kinds."""

    def start(stage: Stage) -> Played:
        certificate = stage.certificate if tls else None
        serving = stage.stack.enter_context(services.any_server(server, stage.folder, certificate))
        return stage.call(serving, client, tls=tls)

    return start


def io_uring(stage: Stage) -> Played:
    serving = stage.stack.enter_context(services.echo("server", stage.folder))
    return stage.call(serving, "python", "--io-uring", tls=False)


def pyopenssl(stage: Stage) -> Played:
    serving = services.echo("server", stage.folder, "--pyopenssl", certificate=stage.certificate)
    return stage.call(stage.stack.enter_context(serving), "python", "--pyopenssl")


def gnutls(stage: Stage) -> Played:
    serving = lighttpd.serving("gnutls", stage.folder, stage.certificate)
    return stage.call(stage.stack.enter_context(serving), "python")


def ours(make: Callable[[Path], Path], *options: str) -> Start:
    """A server and a client of our programs in Go or Rust, which `make` builds, in a folder or elsewhere."""

    def start(stage: Stage) -> Played:
        program, certificate = make(stage.folder), stage.certificate
        server = stage.stack.enter_context(our_programs.server(program, stage.folder, certificate, *options))
        client = stage.stack.enter_context(
            our_programs.client(program, stage.folder, server.port, certificate, *options)
        )
        return Played(server.process, client.process, lambda number: client.make(echoes(number)), [])

    return start


def go(build: go_programs.Build) -> Start:
    return ours(build.make)


def rust(build: rust_programs.Build, *options: str) -> Start:
    return ours(lambda _folder: build.make(), *options)


def grpc(stage: Stage) -> Played:
    """Its client ends with its calls: the doctor is asked about the server."""
    server = stage.stack.enter_context(grpc_calls.serving(stage.folder, stage.certificate))
    options = ("--each", CALLS, "--ca", stage.certificate.certificate)

    def make(_connection: int) -> list[Observation]:
        return [one.seen for one in grpc_calls.by_grpcio(server.port, fresh_id("doctor"), *options)]

    return Played(server.process, None, make, [])


def java(how: str) -> Start:
    """A server in Java of this kind."""

    def start(stage: Stage) -> Played:
        java_programs.require()
        programs = java_programs.Programs.make(stage.folder, stage.certificate)
        process, port = stage.stack.enter_context(
            programs.server(java_programs.DISTRIBUTION, how, stage.folder)
        )
        return stage.call(Echo(process, port, stage.folder), "python")

    return start


def static(*flags: str) -> Start:
    """A client with OpenSSL linked in, built with these flags."""

    def start(stage: Stage) -> Played:
        program = services.static_client(stage.folder, *flags)
        server = stage.stack.enter_context(
            services.echo("server", stage.folder, certificate=stage.certificate)
        )
        argv = [str(program), str(server.port), str(stage.certificate.certificate)]
        client = stage.stack.enter_context(running("static", argv, stage.folder, stdin=True))

        def make(_connection: int) -> list[Observation]:
            calls = [get_call("doctor", "/bytes/3000") for _ in range(CALLS)]
            assert client.process.stdin is not None
            client.process.stdin.write(b"".join(call.target + b"\n" for call in calls))
            client.process.stdin.flush()
            return list(server_saw(server, map(services.bare, calls)).values())

        return Played(server.process, client, make, [])

    return start


def replaced(stage: Stage) -> Played:
    """The server runs a libssl that is no longer on disk."""
    library = next(Path("/usr/lib").glob("*/libssl.so.3"), None) or pytest.skip("no libssl.so.3 here")
    copy, log = stage.folder / "libssl.so.3", stage.folder / "server.jsonl"
    shutil.copy(library, copy)
    argv = ["env", f"LD_LIBRARY_PATH={stage.folder}", *python("echo", "--log", log, "--tls")]
    argv += [str(stage.certificate.certificate), str(stage.certificate.key)]
    process = stage.stack.enter_context(running("server", argv, stage.folder))
    port = int(process.first_line())
    copy.unlink()
    shutil.copy(library, copy)
    return stage.call(Echo(process, port, log), "python")


@dataclass(frozen=True, slots=True)
class Case:
    """What the doctor should say of the server and of the client."""

    name: str
    start: Start
    server: Word
    client: Word

    def __str__(self) -> str:
        return self.name


OPENSSL, GO, RUSTLS, PLAIN = Word("openssl"), Word("go"), Word("rustls"), Word("plain")
CASES = (
    Case("plain", pair("python", "python", tls=False), PLAIN, PLAIN),
    Case("memory", pair("asyncio", "node"), OPENSSL, OPENSSL),
    Case("gnutls", gnutls, Word("gnutls"), OPENSSL),
    Case("go", go(go_programs.STRIPPED), GO, GO),
    Case("boringssl", grpc, Word("boringssl"), Word("boringssl")),
    Case("static-stripped", static("-s"), OPENSSL, Word("openssl", "dark")),
    Case("replaced", replaced, OPENSSL, OPENSSL),
    Case("java", java("engine"), Word("java", "dark"), OPENSSL),
)
MORE = (
    *(
        Case(f"{server}-{client}", pair(server, client), OPENSSL, OPENSSL)
        for server, client in (
            ("python", "python"),
            ("nginx", "curl"),
            ("node", "python"),
            ("h2", "h2"),
            ("uvicorn", "httpx"),
            ("uvicorn", "aiohttp"),
            ("puma", "undici"),
        )
    ),
    Case("plain-nginx-node", pair("nginx", "node", tls=False), PLAIN, PLAIN),
    Case("io_uring", io_uring, PLAIN, Word("plain", "unknown")),
    Case("pyopenssl", pyopenssl, OPENSSL, OPENSSL),
    Case("static", static(), OPENSSL, OPENSSL),
    *(
        Case(how, java(how), word, OPENSSL)
        for how, word in (("netty-native", OPENSSL), ("conscrypt-engine", Word("boringssl")))
        if java_programs.LIBRARIES
    ),
    *(Case(f"go-{build}", go(build), GO, GO) for build in go_programs.OTHERS),
    Case("rustls", rust(rust_programs.RELEASE), RUSTLS, RUSTLS),
    *(
        Case(f"rustls-{build}-tls12", rust(build, "-tls12"), RUSTLS, RUSTLS)
        for build in (rust_programs.RELEASE, rust_programs.AWS)
    ),
)
CHOSEN = CASES + MORE * EVERYTHING


@dataclass(frozen=True, slots=True)
class Stand:
    """The table after the calls: the doctor's views by pid, and what the server has stored."""

    played: dict[Case, Played]
    lacking: dict[Case, str]
    """Why a case cannot be played here."""
    said: dict[int, list[dict[str, Any]]]
    stored: list[Seen]


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> Iterator[Stand]:
    with ExitStack() as stack:
        played, lacking = dict[Case, Played](), dict[Case, str]()
        for case in CHOSEN:
            try:
                played[case] = case.start(Stage(stack, tmp_path_factory.mktemp(case.name), certificate))
            except pytest.skip.Exception as lack:
                lacking[case] = str(lack)
        spectap = stack.enter_context(watching(tmp_path_factory.mktemp("doctor")))
        call_all(played, 1)
        asked = [str(pid) for one in played.values() for pid in pids(one)]
        programs = document(*(word for pid in asked for word in ("--pid", pid)))["programs"]
        call_all(played, 2)
        yield Stand(
            played,
            lacking,
            {pid: one["views"] for one in programs for pid in one["pids"]},
            settled(spectap, [made for one in played.values() for made in one.made]),
        )


def call_all(played: dict[Case, Played], connection: int) -> None:
    for one in played.values():
        one.made.extend(one.make(connection))


def settled(spectap: Spectap, made: list[Observation]) -> list[Seen]:
    """What is stored of these calls, once each is there and no view waits for another."""
    ids, since = {call.id for call in made}, just_before(made)

    def there(found: list[Seen]) -> bool:
        return ids <= {name_of(seen) for seen in found}

    spectap.wait_for(there, f"{len(ids)} calls", since=since)
    return [seen for seen in spectap.server.settled().exchanges(since=since) if name_of(seen) in ids]


def name_of(seen: Seen) -> str:
    return (seen.path or b"").rsplit(b"/", 1)[-1].decode("latin-1")


def pids(played: Played) -> list[int]:
    ends = (played.server, played.client)
    return [pid for end in ends if end is not None for pid in family(end)]


def family(process: Running) -> list[int]:
    """The process and its children, such as nginx's workers."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [process.pid, *map(int, children)]


def captured(stand: Stand, calls: list[Observation], end: Running, of: str) -> tuple[str, set[str]]:
    """How many of the calls were captured at this end, plain ones or of TLS, and by which libraries. A server
    may pass the calls on to another in plaintext.
    """
    members, ids = set(family(end)), {call.id for call in calls}
    seen = [
        one
        for one in stand.stored
        if name_of(one) in ids
        and (one.tls is None) == (of == PLAIN.of)
        and members & {witness.pid for witness in one.witnesses}
    ]
    count = len({name_of(one) for one in seen})
    share = "all" if count == len(ids) else "some" if count else "none"
    return share, {one.tls or PLAIN.of for one in seen}


@pytest.mark.parametrize("case", CHOSEN, ids=str)
def test_the_doctor_says_of_each_process_what_was_captured(stand: Stand, case: Case) -> None:
    if case in stand.lacking:
        pytest.skip(stand.lacking[case])
    played = stand.played[case]
    for end, word in ((played.server, case.server), (played.client, case.client)):
        if end is None:
            continue
        share, libraries = captured(stand, played.made, end, word.of)
        for pid in family(end):
            views = {view["of"]: view for view in stand.said[pid]}
            found = views[word.of]
            assert found["sight"] == word.sight, found
            assert found["sight"] in WORDS[share], f"{share} captured: {json.dumps(views, indent=1)}"
            assert (found["cure"] is None) == (word.sight == "seen")
        assert libraries <= {case.server.of, case.client.of}
