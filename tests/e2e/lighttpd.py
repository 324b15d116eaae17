"""lighttpd with TLS by GnuTLS, HTTP/1.1 and HTTP/2, in front of an echo backend, which keeps the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.e2e.certificates import Certificate
from tests.e2e.observations import Observation
from tests.e2e.processes import Running, free_port, listening, running
from tests.e2e.services import Echo, echo

CONFIGURATION = """
server.port = {port}
server.bind = "127.0.0.1"
server.document-root = "{folder}"
server.modules = ("mod_gnutls", "mod_proxy")
server.max-keep-alive-requests = 100000
server.max-keep-alive-idle = 600
ssl.engine = "enable"
ssl.pemfile = "{certificate}"
ssl.privkey = "{key}"
proxy.server = ("" => (("host" => "127.0.0.1", "port" => {backend})))
"""


@dataclass(frozen=True, slots=True)
class Lighttpd:
    process: Running
    port: int
    backend: Echo

    def observations(self) -> list[Observation]:
        """What the backend logged, without what is true of the connection behind only."""
        return [
            replace(
                seen, local=None, peer=None, pid=self.process.pid, request_headers=None, response_headers=None
            )
            for seen in self.backend.observations()
        ]


@contextmanager
def serving(name: str, folder: Path, certificate: Certificate) -> Iterator[Lighttpd]:
    port = free_port()
    with echo(f"{name}-backend", folder) as backend:
        text = CONFIGURATION.format(
            port=port,
            folder=folder,
            certificate=certificate.certificate,
            key=certificate.key,
            backend=backend.port,
        )
        (folder / f"{name}.conf").write_text(text)
        argv = ["/usr/sbin/lighttpd", "-D", "-f", str(folder / f"{name}.conf")]
        with running(name, argv, folder) as process:
            process.wait_for(lambda: listening(port), "listening")
            yield Lighttpd(process, port, backend)
