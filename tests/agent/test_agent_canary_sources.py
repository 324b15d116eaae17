"""JSON secrets are masked from every source: HTTP/1.1, HTTP/2, HAR, audit logs, telemetry, JSON logs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent import cli, config, reading
from agent.events import Clock
from agent.ledger import Ledger
from agent.pipeline import Pipeline, turns
from agent.probes import decode
from agent.probes.abi import parse
from agent.redact.policy import Policy
from agent.redact.redactor import Redactor
from agent.streams.table import Limits
from agent.views import Origin
from agent.wire import Record, pack_record
from tests import har
from tests.bench.traffic import Call, over_http2, raw_events
from tests.e2e.needles import found_in
from tests.secret_bodies import CLASSES
from tests.telemetry import common, telemetry

SECRET = "Trombone-Parapet-8814"
AUDIT_LOG = Path(__file__).parents[1] / "data/audit/kube-apiserver.jsonl"
DOCUMENTS = [made(SECRET) for documents in CLASSES.values() for made in documents.values()]


def _call(document: Any) -> Call:
    body = json.dumps(document).encode()
    fields = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    request = b"POST /things HTTP/1.1\r\nHost: h\r\n" + fields + body
    return Call(request, b"HTTP/1.1 400 Bad Request\r\n" + fields + body)


def _captured(calls: list[Call]) -> list[Record]:
    stages = Pipeline(Origin("a", "n", None), Policy(), Redactor(Policy(), bytes(32)), Ledger(), Limits())
    stages.process(Clock(0, "boot"))
    facts = (fact for raw in raw_events(calls) if (fact := decode.fact(*parse(raw))) is not None)
    return [record for turn in turns(facts) for record in stages.process(*turn).records]


def _read(path: Path, content: bytes) -> list[Record]:
    path.write_bytes(content)
    parsed = cli.parser().parse_args(["read", str(path), "--key-file", str(path.with_name("key"))])
    return list(reading.records([path], config.settings(parsed), Policy(), Ledger()))


def _har() -> bytes:
    return har.document(*(har.entry("POST", body=one, answer=one) for one in DOCUMENTS))


def _telemetry() -> bytes:
    bodies = [common(json.dumps(one).encode(), Content_Type="application/json") for one in DOCUMENTS]
    return b"".join(telemetry("POST", asked=body, answered=body) + b"\n" for body in bodies)


def _audit_log() -> bytes:
    event = json.loads(AUDIT_LOG.read_bytes().splitlines()[0])
    event |= {"stage": "ResponseComplete", "level": "RequestResponse", "verb": "create"}
    event["responseStatus"] = {"code": 400}
    lines = [
        event | {"auditID": f"a-{number}", "requestObject": {"spec": one}, "responseObject": {"spec": one}}
        for number, one in enumerate(DOCUMENTS)
    ]
    return "\n".join(map(json.dumps, lines)).encode()


def _log(**more: Any) -> bytes:
    typed = {"content-type": "application/json"}
    lines = [
        {"request": {"method": "POST", "url": "http://h/things", "headers": typed, "body": json.dumps(one)}}
        | {"response": {"status": 400, "headers": typed, "body": one}, **more}
        for one in DOCUMENTS
    ]
    return "\n".join(map(json.dumps, lines)).encode()


def _access_log(**more: Any) -> bytes:
    lines = [
        {"request_method": "POST", "request_uri": "/things", "status": 400, **more}
        | {"request_body": json.dumps(one), "response_body": json.dumps(one)}
        for one in DOCUMENTS
    ]
    return "\n".join(map(json.dumps, lines)).encode()


SOURCES: dict[str, Callable[[Path], list[Record]]] = {
    "HTTP/1.1": lambda path: _captured([_call(one) for one in DOCUMENTS]),
    "HTTP/2": lambda path: _captured(over_http2([_call(one) for one in DOCUMENTS])),
    "HAR": lambda path: _read(path, _har()),
    "telemetry": lambda path: _read(path, _telemetry()),
    "audit log": lambda path: _read(path, _audit_log()),
    "NDJSON": lambda path: _read(path, _log()),
    "Kong": lambda path: _read(path, _log(latencies={"request": 1})),
    "nginx": lambda path: _read(path, _access_log(remote_addr="10.0.0.7")),
    "Apache": lambda path: _read(path, _access_log(vhost="h")),
}


@pytest.mark.parametrize("source", SOURCES)
def test_no_secret_beside_its_name_is_in_a_record_of_any_source(source: str, tmp_path: Path) -> None:
    records = SOURCES[source](tmp_path / "traffic")
    assert len(records) == len(DOCUMENTS)
    for record, document in zip(records, DOCUMENTS, strict=True):
        assert found_in({"secret": SECRET.encode()}, {"sent": json.dumps(document).encode()})
        assert record.request is not None
        assert record.response is not None
        assert record.request.body.data
        assert record.response.body.data
        assert found_in({"secret": SECRET.encode()}, {"record": pack_record(record)}) == []


def test_a_password_in_the_absolute_path_of_telemetry_is_in_no_record(tmp_path: Path) -> None:
    (record,) = _read(tmp_path / "traffic", telemetry(path=f"https://u:{SECRET}@h/pets/7") + b"\n")
    assert record.request is not None
    assert record.request.path.endswith(b"@h/pets/7")
    assert found_in({"secret": SECRET.encode()}, {"record": pack_record(record)}) == []


@pytest.mark.parametrize("name", ["remote_addr", "vhost"])
def test_secrets_of_an_access_log_are_in_no_record(name: str, tmp_path: Path) -> None:
    line = {
        "request": f"GET http://u:{SECRET}@h/pets?api_key={SECRET} HTTP/1.1",
        "query": f"token={SECRET}",
        "http_user_agent": f"curl/8 password={SECRET}",
        "request_headers": {"Authorization": f"Bearer {SECRET}", "Cookie": f"sid={SECRET}"},
        "response_headers": {"Set-Cookie": f"sid={SECRET}"},
        "status": 200,
        name: "10.0.0.7",
    }
    (record,) = _read(tmp_path / "traffic", json.dumps(line).encode())
    assert record.request is not None
    assert record.request.path == b"/pets"
    assert found_in({"secret": SECRET.encode()}, {"record": pack_record(record)}) == []


def test_what_follows_a_line_end_in_a_header_of_a_har_is_in_no_record(tmp_path: Path) -> None:
    call = har.entry(headers={"User-Agent": f"curl/8\r\nX-Odd: {SECRET}"})
    (record,) = _read(tmp_path / "traffic", har.document(call))
    assert record.consumer.user_agent is not None
    assert record.consumer.user_agent.startswith("curl/8")
    assert found_in({"secret": SECRET.encode()}, {"record": pack_record(record)}) == []
