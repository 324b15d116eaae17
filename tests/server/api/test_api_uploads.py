"""Specifications in several files, and specifications fetched from a running service."""

from __future__ import annotations

import gzip
import html
import io
import json
import random
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from server import cli, fetching
from server.analysis.specs.load import load
from server.api import bundles
from server.api.errors import Problem
from server.config import ServerSettings, digest
from server.fetching import FetchFailed
from tests.served import served
from tests.server.records import record
from tests.server.running import Client, serving

ROOT = """
openapi: 3.1.0
info: {title: Shop, version: '1'}
paths:
  /users/{id}:
    get:
      responses:
        '200': {description: ok, content: {application/json: {schema: {$ref: schemas/User.yaml}}}}
"""
USER = "type: object\nproperties: {id: {type: integer}}"
FILES = {"api/openapi.yaml": ROOT, "api/schemas/User.yaml": USER, "README.md": "hello"}
ZIP = {"content-type": "application/zip"}


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path, load) as client:
        yield client


def zipped(files: Mapping[str, str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return out.getvalue()


def deviations(client: Client) -> list[tuple[str, str]]:
    return [(one["kind"], one["pointer"]) for one in client.items("/deviations")]


def test_an_archive_is_one_specification(real: Client) -> None:
    answer = real.http.post("/api/v1/specs?host=shop.local:8080", content=zipped(FILES), headers=ZIP)
    assert answer.status_code == 201, answer.text
    real.send(record(0))
    assert deviations(real) == [("type", "/id")]
    address = f"/api/v1/apis/{answer.json()['api']}/spec"
    kept = json.loads(real.http.get(address, follow_redirects=True).content)
    assert kept["x-bundled"]["User"]["type"] == "object"


def test_files_of_a_form_are_one_specification(real: Client) -> None:
    files = [("file", (path, text.encode())) for path, text in FILES.items()]
    answer = real.http.post("/api/v1/specs", params={"host": "shop.local:8080"}, files=files)
    assert answer.status_code == 201, answer.text
    real.send(record(0))
    assert deviations(real) == [("type", "/id")]


def test_which_file_to_begin_in_can_be_said(real: Client) -> None:
    files = {"a.yaml": ROOT, "b.yaml": ROOT.replace("Shop", "Other"), "schemas/User.yaml": USER}
    params = {"host": "h"}
    answer = real.http.post("/api/v1/specs", params=params, content=zipped(files), headers=ZIP)
    assert (answer.status_code, "root=" in answer.json()["detail"]) == (422, True)
    params["root"] = "b.yaml"
    answer = real.http.post("/api/v1/specs", params=params, content=zipped(files), headers=ZIP)
    assert answer.json()["title"] == "Other"


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"api/schemas/User.yaml": "type: [\n"}, "api/schemas/User.yaml line 2"),
        ({"api/openapi.yaml": ROOT.replace("schemas/User", "../../etc/User")}, "/paths/~1users~1{id}"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_what_is_stored_stays(
    real: Client, changed: dict[str, str], where: str
) -> None:
    good = real.http.post("/api/v1/specs?host=h", content=zipped(FILES), headers=ZIP).json()
    answer = real.http.post("/api/v1/specs?host=h", content=zipped({**FILES, **changed}), headers=ZIP)
    assert answer.status_code == 422
    assert answer.json()["where"].startswith(where)
    assert [one["id"] for one in real.items("/specs")] == [good["id"]]


def test_what_is_no_archive_or_too_much_of_one_is_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def status(raw: bytes) -> int:
        return client.http.post("/api/v1/specs?host=h", content=raw, headers=ZIP).status_code

    assert status(b"PK nonsense") == 422
    assert status(zipped(FILES)[:-30]) == 422
    broken = bytearray(zipped(FILES))
    broken[60:90] = b"\xff" * 30
    assert status(bytes(broken)) == 422
    monkeypatch.setattr(bundles, "MAX_SPEC", 100_000)
    assert status(zipped({"openapi.yaml": "x" * 100_001})) == 413
    assert status(zipped({f"{i}.yaml": "" for i in range(1001)})) == 413


METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


@pytest.mark.parametrize("method", METHODS[2:])
def test_an_archive_is_not_unpacked_by_methods_that_know_no_bound(client: Client, method: int) -> None:
    beyond_the_bound = zipped({"openapi.yaml": "\0" * (bundles.MAX_SPEC + 1)}, method)
    answer = client.http.post("/api/v1/specs?host=h", content=beyond_the_bound, headers=ZIP)
    assert (answer.status_code, "deflate" in answer.json()["detail"]) == (422, True), answer.text


def test_an_archives_files_are_counted_before_its_directory_is_read() -> None:
    with pytest.raises(Problem, match="more than 1000 files"):
        bundles.unzipped(bundles.ENTRY * 1001 + b"no end of the directory")


@pytest.mark.parametrize("method", METHODS)
def test_whatever_is_damaged_in_an_archive_is_a_refusal(method: int) -> None:
    whole = zipped(FILES, method)
    for seed in range(500):
        with suppress(Problem):
            bundles.unzipped(harmed(whole, random.Random(seed)))


def harmed(raw: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, a few removed."""
    found = bytearray(raw)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(found))
        if chance.random() < 0.7:
            found[at] = chance.randrange(256)
        else:
            del found[at : at + chance.randint(1, 40)]
    return bytes(found)


@contextmanager
def service(answers: Mapping[str, tuple[int, dict[str, str], bytes]]) -> Iterator[tuple[str, list[Any]]]:
    """(URL, the requests' paths and Authorization) of a service with these answers."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["authorization"]))
            status, headers, body = answers.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with served(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}", asked


DOCUMENT = json.dumps({"openapi": "3.1.0", "info": {"title": "Live", "version": "2"}, "paths": {}}).encode()


def asking(client: Client, url: str, **said: Any) -> Any:
    return client.http.post("/api/v1/specs/fetch", json={"url": url, **said})


def test_a_document_is_fetched_where_it_usually_is_and_describes_its_service(real: Client) -> None:
    with service({"/openapi/v2": (200, {}, DOCUMENT)}) as (url, asked):
        answer = asking(real, url, token="secret")
    assert (answer.status_code, answer.json()["title"]) == (201, "Live")
    assert asked == [("/openapi.json", "Bearer secret"), ("/openapi/v2", "Bearer secret")]
    (api,) = real.items("/apis")
    assert api["hosts"] == [url.removeprefix("http://")]


def test_a_redirect_is_followed_within_the_service_alone(real: Client) -> None:
    answers = {
        "/old": (302, {"location": "/new"}, b""),
        "/new": (200, {}, DOCUMENT),
        "/away": (302, {"location": "http://127.0.0.1:1/new"}, b""),
        "/nowhere": (302, {"location": "http://xn--a/"}, b""),
        "/round": (302, {"location": "/round"}, b""),
    }
    with service(answers) as (url, _):
        assert asking(real, url + "/old").status_code == 201
        for path, said in (
            ("/away", "another host"),
            ("/nowhere", "cannot be reached"),
            ("/round", "more than 3 times"),
            ("/no", "HTTP 404"),
        ):
            answer = asking(real, url + path)
            assert (answer.status_code, said in answer.json()["detail"]) == (502, True)


def test_what_is_fetched_is_bounded_and_no_secret_is_shown(
    real: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with service({"/big": (200, {}, b" " * 2000), "/no": (200, {}, b"the secret of the service")}) as (
        url,
        _,
    ):
        answer = asking(real, url + "/no")
        assert (answer.status_code, "secret" in answer.text) == (422, False)
        monkeypatch.setattr("server.api.specs.MAX_SPEC", 1000)
        assert "larger than 1000" in asking(real, url + "/big").json()["detail"]
    assert real.items("/specs") == []


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("ftp://h/x", 422),
        ("file:///etc/passwd", 422),
        ("http://user:secret@127.0.0.1/x", 422),
        ("http://169.254.169.254/latest", 422),
        ("http://[::ffff:169.254.169.254]/latest", 422),
        ("http://[fd00:ec2::254]/latest", 422),
        ("http://168.63.129.16/", 422),
        ("http://100.100.100.200/", 422),
        ("http://127.0.0.1:1/openapi.json", 502),
        ("http://", 422),
        ("http://[::1", 422),
        ("http://127.0.0.1:99999999/", 422),
        ("http://127.0.0.1:0/", 422),
        ("http://127.0.0.1/a\r\nb", 422),
        ("http://127.0.0.1/a\tb", 422),
        (f"http://{'a' * 64}.invalid/", 502),
        ("http://...../", 502),
        ("http://\u2025/", 422),
        ("http://xn--a/", 422),
    ],
)
def test_where_nothing_is_fetched_from(client: Client, url: str, status: int) -> None:
    answer = asking(client, url)
    assert answer.status_code == status, answer.text
    assert "secret" not in answer.text


@pytest.mark.parametrize("token", ["t\u00f6ken", "a\r\nb", "a b"])
def test_a_token_that_no_header_can_hold_is_refused_and_not_shown(client: Client, token: str) -> None:
    answer = asking(client, "http://127.0.0.1:1/x", token=token)
    assert (answer.status_code, answer.json()["detail"].startswith("token:")) == (422, True)
    assert token not in answer.text


def test_a_coding_that_was_not_asked_for_is_not_undone(real: Client) -> None:
    bomb = gzip.compress(b" " * 10_000_000 + DOCUMENT)
    with service({"/x": (200, {"content-encoding": "gzip"}, bomb)}) as (url, _):
        answer = asking(real, url + "/x")
    assert (answer.status_code, "coding" in answer.json()["detail"]) == (502, True)


def test_only_the_admin_fetches(tmp_path: Path) -> None:
    tokens = digest("i" * 20), digest("a" * 20)
    with serving(tmp_path, load, ingest_token=tokens[0], admin_token=tokens[1]) as client:
        assert asking(client, "http://127.0.0.1:1/").status_code == 401
        client.http.headers["authorization"] = f"Bearer {'i' * 20}"
        assert asking(client, "http://127.0.0.1:1/").status_code == 403


def test_a_slow_document_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "TOTAL_S", -1.0)
    with (
        service({"/x": (200, {}, DOCUMENT)}) as (url, _),
        pytest.raises(FetchFailed, match="took longer"),
    ):
        fetching.fetched(url + "/x", 10_000)


def test_the_servers_policy_is_read_from_options_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[ServerSettings] = []

    def serve(settings: ServerSettings) -> int:
        found.append(settings)
        return 0

    monkeypatch.setattr("server.run.serve", serve)
    monkeypatch.setenv("SPECTAP_IGNORE_PARAMETER", "utm_*,x-*")
    monkeypatch.setenv("SPECTAP_UNKNOWN_FIELDS", "ignore")
    assert cli.main(["server", "--unknown-headers", "report", "--ignore-header", "x-b3-*"]) == 0
    policy = found[0].policy
    assert (policy.fields, policy.parameters, policy.headers) == (False, True, True)
    assert policy.ignored_parameters == ("utm_*", "x-*")
    assert policy.ignored_headers == ("x-b3-*",)
    monkeypatch.setenv("SPECTAP_UNKNOWN_FIELDS", "perhaps")
    with pytest.raises(SystemExit) as end:
        cli.main(["server"])
    assert end.value.code == 64


def test_what_is_not_judged_of_a_specification_is_in_the_answer_the_list_the_log_and_on_its_page(
    real: Client, caplog: pytest.LogCaptureFixture
) -> None:
    schema = {"type": "string", "pattern": "(?=x)"}
    get = {"responses": {"200": {"description": "", "content": {"application/json": {"schema": schema}}}}}
    info = {"title": "t", "version": "1"}
    raw = json.dumps({"openapi": "3.1.0", "info": info, "paths": {"/x": {"get": get}}})
    answer = real.http.post("/api/v1/specs?host=h", content=raw).json()
    (warning,) = answer["warnings"]
    assert warning.endswith(
        "/schema/pattern: the linear-time engine cannot run this pattern; it is not validated"
    )
    assert [one["warnings"] for one in real.items("/specs")] == [[warning]]
    assert repr(warning) in caplog.text
    assert html.escape(warning) in real.http.get(f"/apis/{answer['api']}/spec").text
