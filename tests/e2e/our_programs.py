"""Our programs in other languages (go/, rust/), which take the same options, as the server or client under
test.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.certificates import Certificate
from tests.e2e.compare import BODY_CAP
from tests.e2e.judged import stored_truly
from tests.e2e.observations import Observation
from tests.e2e.processes import running
from tests.e2e.services import Caller, Echo, server_saw
from tests.e2e.spectap import Spectap, just_before


@contextmanager
def server(program: Path, folder: Path, certificate: Certificate, *options: str) -> Iterator[Echo]:
    log = folder / "server.jsonl"
    argv = [str(program), "server", "-log", str(log), *options]
    argv += ["-cert", str(certificate.certificate), "-key", str(certificate.key)]
    with running("our-server", argv, folder) as process:
        yield Echo(process, int(process.first_line()), log)


@contextmanager
def client(
    program: Path, folder: Path, port: int, certificate: Certificate, *options: str
) -> Iterator[Caller]:
    log = folder / "client.jsonl"
    argv = [str(program), "client", "-log", str(log), "-port", str(port), *options]
    argv += ["-ca", str(certificate.certificate)]
    with running("our-client", argv, folder, stdin=True) as process:
        yield Caller(process, log)


def stored_once(
    spectap: Spectap,
    server: Echo,
    by_client: list[Observation],
    tls: str,
    protocol: str = "h1",
    body_cap: int = BODY_CAP,
) -> None:
    """Each of these calls is one exchange, as both ends logged it, and there is no other."""
    stored = stored_truly(
        spectap,
        server.port,
        by_client,
        server_saw(server, by_client),
        tls=tls,
        protocol=protocol,
        body_cap=body_cap,
    )
    known = spectap.at_port(server.port, just_before(by_client))
    # Of the first calls' connection, which may be older than the probes, an answer may be seen alone.
    everything = [
        seen for seen in known if b"first" not in (seen.path or b"") and seen.completeness != "late-join"
    ]
    assert len(stored) == len(everything) == len(by_client)
