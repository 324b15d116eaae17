"""nginx with its own configuration, folder, port and log: a proxy for an echo backend, and static files.

Its log has one line per exchange; `observations` parses them. nginx does not log bodies, so their bytes are
None here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.certificates import Certificate
from tests.e2e.observations import Observation, Payload, peer
from tests.e2e.processes import Running, free_port, listening, running

CONFIGURATION = """
daemon off;
user root;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  client_body_buffer_size 1m; proxy_buffers 64 16k;
  keepalive_requests 1000000; keepalive_timeout 600s;
  log_format observed escape=default
    '$http_x_spectap_test\t$request_method\t$request_uri\t$status\t$content_length\t$body_bytes_sent\t$pid\t'
    '$remote_addr\t$remote_port\t$server_addr\t$server_port';
  access_log {folder}/observed.log observed;
  upstream backend {{ server 127.0.0.1:{backend}; keepalive 32; keepalive_requests 1000000; }}
  server {{
    listen {port}{listen}; listen [::]:{port}{listen};
    {tls}
    root {folder}/www;
    default_type application/json;
    location /static/ {{ sendfile off; output_buffers 2 32k; try_files /static/file =404; }}
    location /files/ {{ sendfile off; output_buffers 2 32k; }}
    location /sendfile/ {{ sendfile on; try_files /static/file =404; }}
    location ~ ^/spectap[.]test[.] {{ grpc_pass grpc://127.0.0.1:{grpc}; }}
    location / {{
      proxy_pass {scheme}://backend; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Host $http_host;
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    process: Running
    port: int
    folder: Path

    def observations(self) -> list[Observation]:
        log = self.folder / "observed.log"
        lines = log.read_bytes().split(b"\n")[:-1] if log.exists() else []
        return [_observation(line) for line in lines]


def _unescape(text: bytes) -> bytes:
    return re.sub(rb"\\x([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), text)


def _observation(line: bytes) -> Observation:
    words = [_unescape(word) for word in line.split(b"\t")]
    name, method, target, status, sent, answered, pid, ip, port, own_ip, own_port = words
    return Observation(
        end="server",
        id=name.decode(),
        method=method.decode(),
        target=target,
        status=int(status),
        request_headers=None,
        request=Payload(int(sent) if sent != b"-" else 0, None, None),
        response_headers=None,
        response=Payload(int(answered), None, None),
        local=peer(own_ip.decode(), int(own_port)),
        peer=peer(ip.decode(), int(port)),
        start_ns=None,
        end_ns=None,
        pid=int(pid),
    )


@contextmanager
def serving(
    name: str,
    folder: Path,
    backend: int,
    *,
    certificate: Certificate | None = None,
    http2: bool = False,
    workers: int = 2,
    static: bytes = b"",
    grpc: int = 1,
    backend_tls: bool = False,
) -> Iterator[Nginx]:
    """nginx on a free port, IPv4 and IPv6. `static` is the content of all of /static/… (read) and
    /sendfile/….

    gRPC calls to services of spectap.test are forwarded to the server at port `grpc`.
    """
    home, port = folder / name, free_port()
    (home / "www/static").mkdir(parents=True)
    (home / "www/static/file").write_bytes(static)
    listen, tls = "", ""
    if certificate is not None:
        listen = " ssl"
        tls = f"ssl_certificate {certificate.certificate}; ssl_certificate_key {certificate.key};"
    text = CONFIGURATION.format(
        folder=home,
        backend=backend,
        grpc=grpc,
        scheme="https" if backend_tls else "http",
        port=port,
        listen=listen + (" http2" if http2 else ""),
        tls=tls,
        workers=workers,
    )
    (home / "nginx.conf").write_text(text)
    argv = ["nginx", "-p", str(home), "-c", str(home / "nginx.conf"), "-e", "stderr"]
    with running(name, argv, folder) as process:
        process.wait_for(lambda: listening(port), "listening")
        yield Nginx(process, port, home)
