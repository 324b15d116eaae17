"""The nginx that is captured: one worker that answers 12 bytes, plain and over TLS, with HTTP/2 too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.load import FIRST, comes_first
from tests.e2e.certificates import make
from tests.e2e.processes import free_port, listening, running

CONFIGURATION = """
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 1000000000; keepalive_timeout 600s;
  default_type text/plain;
  server {{
    listen 127.0.0.1:{plain};
    listen 127.0.0.1:{tls} ssl http2;
    ssl_certificate {certificate}; ssl_certificate_key {key};
    location / {{ return 200 "hello world\\n"; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Front:
    plain: str
    tls: str

    def url(self, kind: str) -> str:
        """Of "plain" or "tls"."""
        return {"plain": self.plain, "tls": self.tls}[kind]


@contextmanager
def fronting(folder: Path) -> Iterator[Front]:
    home, plain = folder / "nginx", free_port()
    tls = next(port for port in iter(free_port, None) if port != plain)
    home.mkdir()
    made = make(home)
    text = CONFIGURATION.format(folder=home, plain=plain, tls=tls, certificate=made.certificate, key=made.key)
    (home / "nginx.conf").write_text(text)
    argv = [*FIRST, "nginx", "-p", str(home), "-c", str(home / "nginx.conf"), "-e", "stderr"]
    with running("nginx", argv, folder) as process:
        comes_first(process.pid)
        process.wait_for(lambda: listening(plain) and listening(tls), "listening")
        yield Front(f"http://127.0.0.1:{plain}/", f"https://127.0.0.1:{tls}/")
