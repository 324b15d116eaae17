"""libcurl by pycurl, whose wheel brings OpenSSL 1.1: makes calls as caller.py does, over one connection."""

from __future__ import annotations

import argparse
import os
import sys
import time
from io import BytesIO
from pathlib import Path

import pycurl

from tests.e2e.calls import Call, from_line
from tests.e2e.observations import Observation, Payload, peer
from tests.e2e.programs.echo import Log


def make(curl: pycurl.Curl, call: Call, options: argparse.Namespace) -> Observation:
    body, start_ns = BytesIO(), time.time_ns()
    curl.setopt(pycurl.URL, f"https://127.0.0.1:{options.port}{call.target.decode()}")
    curl.setopt(pycurl.HTTPHEADER, [b"Expect:", *(b"%s: %s" % pair for pair in call.headers)])
    curl.setopt(pycurl.WRITEDATA, body)
    curl.setopt(pycurl.CUSTOMREQUEST, call.method)
    if call.body is not None:
        curl.setopt(pycurl.POSTFIELDS, call.body)
    curl.perform()
    return Observation(
        end="client",
        id=call.id,
        method=call.method,
        target=call.target,
        status=curl.getinfo(pycurl.RESPONSE_CODE),
        request_headers=call.headers,
        request=Payload.of(call.body or b""),
        response_headers=None,
        response=Payload.of(body.getvalue()),
        local=peer(curl.getinfo(pycurl.LOCAL_IP), curl.getinfo(pycurl.LOCAL_PORT)),
        peer=peer(curl.getinfo(pycurl.PRIMARY_IP), curl.getinfo(pycurl.PRIMARY_PORT)),
        start_ns=start_ns,
        end_ns=time.time_ns(),
        pid=os.getpid(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--http2", action="store_true")
    options = parser.parse_args()
    version = pycurl.CURL_HTTP_VERSION_2TLS if options.http2 else pycurl.CURL_HTTP_VERSION_1_1
    curl, log = pycurl.Curl(), Log(options.log)
    curl.setopt(pycurl.CAINFO, options.ca)
    curl.setopt(pycurl.HTTP_VERSION, version)
    curl.setopt(pycurl.NOPROXY, "*")
    for line in sys.stdin.buffer:
        log.write(make(curl, from_line(line), options))


if __name__ == "__main__":
    main()
