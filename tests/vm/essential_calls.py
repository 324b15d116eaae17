"""The essential calls under a real agent and server in the machine, with the backend that is named: prints,
as JSON, the backend in use and, by kind of call, how often calls are stored, and with which views.

`python -m tests.vm.essential_calls BACKEND [GO_PROGRAM]`
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e import our_programs, services
from tests.e2e.calls import echo_call
from tests.e2e.certificates import Certificate, make
from tests.e2e.observations import Observation
from tests.e2e.processes import wait_until
from tests.e2e.services import Caller
from tests.e2e.spectap import Server, by_id, command, serving, start_agent
from tests.vm.overheard import MEMORY, copied_libraries

CALLS = 6  # of each kind
PATIENCE = 480.0  # seconds: the machine is slow
VIEWS = 2


@dataclass(frozen=True, slots=True)
class Kind:
    """A server and a client in one language, with or without TLS."""

    language: str
    tls: bool


KINDS = {
    "HTTP/1.1": Kind("python", tls=False),
    "HTTP/1.1 by OpenSSL": Kind("python", tls=True),
    "HTTP/2 by OpenSSL": Kind("h2", tls=True),
}
GO = "HTTP/1.1 by Go"


def callers(stack: ExitStack, certificate: Certificate, go: str | None) -> Iterator[tuple[str, Caller]]:
    """A client of each kind, with a server to call."""
    for name, kind in KINDS.items():
        folder = MEMORY / name.replace("/", "-").replace(" ", "-")
        folder.mkdir()
        tls = certificate if kind.tls else None
        server = stack.enter_context(services.echo("server", folder, certificate=tls, language=kind.language))
        yield (
            name,
            stack.enter_context(
                services.caller("client", folder, server.port, certificate=tls, language=kind.language)
            ),
        )
    if go is not None:
        folder = MEMORY / "go"
        folder.mkdir()
        program = Path(shutil.copy(go, folder))
        serving = stack.enter_context(our_programs.server(program, folder, certificate))
        yield GO, stack.enter_context(our_programs.client(program, folder, serving.port, certificate))


@contextmanager
def capturing(server: Server, backend: str) -> Iterator[str]:
    """Captures by this backend; yields its title."""
    options = ("--backend", backend, "--exclude-pid", server.process.pid, "--no-step-down")
    agent = start_agent([command("spectap-agent")], MEMORY, server.url, *options)
    try:
        wait_until(agent.ready, f"readiness: {agent.process.output()[-2000:]}", PATIENCE)
        yield str(agent.status()["backend"])
    finally:
        agent.process.stop(PATIENCE)


def stored(server: Server, made: list[Observation]) -> dict[str, int]:
    """How many calls are stored how, once all views have arrived."""
    ids = {call.id for call in made}

    def all_views() -> bool:
        known = by_id(server.exchanges(), ids)
        return sum(len(seen.witnesses) for one in known.values() for seen in one) >= VIEWS * len(ids)

    wait_until(all_views, f"views of {len(ids)} calls", PATIENCE)
    known = by_id(server.settled().exchanges(), ids)
    said = Counter(
        "; ".join(
            f"{seen.status} {'+'.join(sorted(witness.side for witness in seen.witnesses))}" for seen in one
        )
        for one in known.values()
    )
    return dict(said)


def main() -> None:
    backend, *go = sys.argv[1:]
    copied_libraries()
    os.environ["LD_LIBRARY_PATH"] = str(MEMORY)
    with ExitStack() as stack:
        clients = dict(callers(stack, make(MEMORY), go[0] if go else None))
        server = stack.enter_context(serving(MEMORY))
        title = stack.enter_context(capturing(server, backend))
        made = {
            name: client.make([echo_call("essential", size=number * 900) for number in range(CALLS)])
            for name, client in clients.items()
        }
        found = {name: stored(server, calls) for name, calls in made.items()}
    sys.stdout.write(json.dumps({"backend": title, "stored": found}) + "\n")


if __name__ == "__main__":
    main()
