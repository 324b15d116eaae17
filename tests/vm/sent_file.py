"""nginx sends a file by SSL_sendfile under the agent's capture, in the machine: prints, as JSON, the captured
responses, and how many connections the kernel encrypted.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
import sys
import threading
from pathlib import Path

from agent.events import Chunk, Closed, Opened
from agent.http.connections import connections
from agent.ledger import Ledger
from agent.probes.kernel import CaptureFilters, KernelSource
from agent.probes.programs import Sizes
from agent.streams.conversation import Dismissed
from agent.streams.table import Limits
from tests.agent.probes.watch import BACKEND
from tests.e2e.certificates import Certificate, make
from tests.vm.overheard import BODY_CAP, LIBRARIES, MEMORY, copied_libraries

PORT = 8443
TARGETS = ("/file", "/answer") * 4
FILE_BYTES = 200_000
ANSWERED = "answered"
CONFIGURATION = """
daemon off; master_process off; user root; pid {folder}/nginx.pid; error_log stderr;
events {{ }}
http {{
  access_log off; sendfile on;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {made.certificate}; ssl_certificate_key {made.key};
    ssl_conf_command Options KTLS;
    location /file {{ root {folder}; }}
    location /answer {{ return 200 "{answered}"; }}
  }}
}}
"""


def nginx(made: Certificate) -> subprocess.Popen[bytes]:
    (MEMORY / "file").write_bytes(b"a line of a file\n" * (FILE_BYTES // 17) + b"a" * (FILE_BYTES % 17))
    (MEMORY / "nginx.conf").write_text(
        CONFIGURATION.format(folder=MEMORY, port=PORT, made=made, answered=ANSWERED)
    )
    argv = ["nginx", "-p", str(MEMORY), "-c", str(MEMORY / "nginx.conf"), "-e", "stderr"]
    return subprocess.Popen(argv, env={**os.environ, "LD_LIBRARY_PATH": str(MEMORY)})


def call() -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", PORT, context=context)
    for target in TARGETS:
        connection.request("GET", target)
        connection.getresponse().read()
    connection.close()


def answers(source: KernelSource, server: int) -> list[object]:
    """The bytes captured from `server`, from when its library is probed until its connection is closed."""
    table = connections(Limits(), BODY_CAP, Ledger())
    caller = threading.Thread(target=call, daemon=True)
    found: list[object] = []
    for event in source.events():
        if not caller.ident and any(
            file.path == str(MEMORY / LIBRARIES[0]) for file in source.watching.libraries
        ):
            caller.start()
        if not isinstance(event, Opened | Chunk | Closed) or event.connection.pid != server:
            continue  # or of a socket, which has none
        if isinstance(event, Closed):
            source.ask_to_stop()
        for fact in table.feed(event):
            response = None if isinstance(fact, Dismissed) else fact[1].response
            found.append(response and [response.status, response.body.size, response.body.state])
    return found


def main() -> None:
    copied_libraries()
    source = KernelSource(CaptureFilters(body_cap=BODY_CAP), Sizes(), None, BACKEND)
    source.attach()
    serving = nginx(make(MEMORY))
    try:
        found = answers(source, serving.pid)
    finally:
        serving.kill()
    encrypted = Path("/proc/net/tls_stat").read_text().split()
    sent = int(encrypted[encrypted.index("TlsTxSw") + 1])
    sys.stdout.write(json.dumps({"answers": found, "encrypted": sent}) + "\n")


if __name__ == "__main__":
    main()
