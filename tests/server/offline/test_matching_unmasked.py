"""`spectap match` and `coverage` judge unmasked exchanges: what they print is masked, from each place."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from agent.redact import unmasked
from agent.redact.printable import PrintableNames
from server import cli
from server.offline.matching import LINES
from server.offline.reports.formats import FORMATS
from tests.e2e.needles import found_in
from tests.har import document, entry

TOKEN = "ghp_Zk3mQ9tYb7Wd2LxV5nRc8HfJ4sGp6TaE1uKo"
NEEDLES = {"token": TOKEN.encode()}
SPEC = """
openapi: 3.0.3
info: {title: shop, version: '1'}
servers: [{url: 'https://shop.example/v1'}]
paths:
  /pets:
    post:
      parameters:
      - {name: kind, in: query, schema: {type: string, enum: [cat, dog]}}
      - {name: age, in: header, schema: {type: integer}}
      - {name: sid, in: cookie, schema: {type: integer}}
      requestBody:
        content:
          application/json: {schema: {$ref: '#/components/schemas/Pet'}}
          application/x-www-form-urlencoded: {schema: {$ref: '#/components/schemas/Pet'}}
          multipart/form-data: {schema: {$ref: '#/components/schemas/Pet'}}
          application/msgpack: {schema: {type: object}}
          '*/*': {schema: {type: object}}
      responses:
        '200':
          description: ok
          headers: {X-Count: {schema: {type: integer}}}
          content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}
  /pets/{id}:
    get:
      parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
      responses: {'200': {description: ok}}
components:
  schemas:
    Pet:
      type: object
      properties: {name: {type: string, maxLength: 5}}
      patternProperties: {'^gh': {type: object, patternProperties: {'^gh': {type: integer}}}}
"""
URL = "http://shop.example/v1/pets"
OK: dict[str, Any] = {"answer": {"name": "Bo"}}


def typed(kind: str, text: str) -> dict[str, Any]:
    found = entry("POST", URL, **OK)
    found["request"]["headers"].append({"name": "Content-Type", "value": kind})
    found["request"]["postData"] = {"mimeType": kind, "text": text}
    return found


def multipart(name: str, value: str) -> str:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n--b--\r\n'


FORM = "application/x-www-form-urlencoded"
PRINTED: dict[str, dict[str, Any]] = {
    "path segment": entry("GET", f"http://shop.example/v1/other/{TOKEN}"),
    "path segment, encoded": entry("GET", f"http://shop.example/v1/other/%67{TOKEN[1:]}"),
    "path parameter": entry("GET", f"{URL}/{TOKEN}"),
    "host": entry("GET", f"http://{TOKEN}.example/v1/pets/7"),
    "query name": entry("POST", f"{URL}?{TOKEN}=1", **OK),
    "header name": entry("POST", URL, headers={TOKEN: "1"}, **OK),
    "response header name": entry("POST", URL, answer_headers={TOKEN: "1"}, **OK),
    "JSON key": entry("POST", URL, body={TOKEN: {"a": 1}}, **OK),
    "JSON key above a difference": entry("POST", URL, body={TOKEN: {TOKEN: "x"}}, **OK),
    "JSON key with slashes": entry("POST", URL, body={f"a/{TOKEN}~": 1}, **OK),
    "answered JSON key": entry("POST", URL, answer={TOKEN: {TOKEN: "x"}}),
    "form name": typed(FORM, f"{TOKEN}=1"),
    "multipart name": typed("multipart/form-data; boundary=b", multipart(TOKEN, "1")),
    "path of no operation": entry("PATCH", f"http://shop.example/v1/{TOKEN}/x"),
    "content type": typed(f"application/{TOKEN}", "x"),
}
"""Names that a report has: each would be printed as it is without masks."""

KEPT: dict[str, dict[str, Any]] = {
    "query value": entry("POST", f"{URL}?kind={TOKEN}", **OK),
    "header value": entry("POST", URL, headers={"Age": TOKEN}, **OK),
    "response header value": entry("POST", URL, answer_headers={"X-Count": TOKEN}, **OK),
    "cookie value": entry("POST", URL, headers={"Cookie": f"sid={TOKEN}"}, **OK),
    "cookie name": entry("POST", URL, headers={"Cookie": f"{TOKEN}=1"}, **OK),
    "user-info": entry("GET", f"http://u:{TOKEN}@shop.example/v1/pets/x"),
    "authorization": entry("GET", f"{URL}/x", headers={"Authorization": f"Bearer {TOKEN}"}),
    "body value": entry("POST", URL, body={"name": TOKEN}, answer={"name": TOKEN}),
    "form value": typed(FORM, f"name={TOKEN}"),
    "multipart value": typed("multipart/form-data; boundary=b", multipart("name", TOKEN)),
    "text": typed("text/plain", TOKEN),
    "media type parameter": typed(f"application/msgpack; key={TOKEN}", "x"),
    "JSON that is none": typed("application/json", f'{{"name": {TOKEN}'),
    "method": entry(TOKEN.replace("_", "-"), f"{URL}/7"),
    "fragment": entry("GET", f"{URL}/x#{TOKEN}"),
    "user agent": entry("GET", f"{URL}/7", headers={"User-Agent": f"shop/{TOKEN} -- {TOKEN}"}),
    "redirect": entry("GET", f"{URL}/x", 301, answer_headers={"Location": f"/{TOKEN}"}),
}
"""Values, of which a report says no more than that they differ."""


def matched(folder: Path, call: dict[str, Any], output: str) -> None:
    (folder / "traffic.har").write_bytes(document(call))
    (folder / "openapi.yaml").write_text(SPEC)
    given = [str(folder / "traffic.har"), "--spec", str(folder / "openapi.yaml"), "--any-host", "-o", output]
    assert cli.main(["match", *given, "--unknown-headers", "report"]) in (0, 2)


@pytest.mark.parametrize("place", [*PRINTED, *KEPT])
def test_no_output_has_a_secret_from_any_place(
    place: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for output in (LINES, *FORMATS):
        matched(tmp_path, (PRINTED | KEPT)[place], output)
        out, err = capfd.readouterr()
        assert out or err
        assert found_in(NEEDLES, {"output": out.encode(), "messages": err.encode()}) == []


@pytest.mark.parametrize("place", [*PRINTED, *KEPT])
def test_no_coverage_report_has_a_secret_from_any_place(
    place: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "traffic.har").write_bytes(document((PRINTED | KEPT)[place]))
    (tmp_path / "openapi.yaml").write_text(SPEC)
    given = [str(tmp_path / "traffic.har"), "--spec", str(tmp_path / "openapi.yaml"), "--any-host"]
    given += ["--aggregation-header", "age", "--keywords"]
    grouped = [["--json", "--by", by] for by in ("user_agent", "test", "aggregation")]
    for chosen in (*grouped, ["--csv"], []):
        assert cli.main(["coverage", *given, *chosen]) == 0
        out, err = capfd.readouterr()
        assert out
        assert found_in(NEEDLES, {"output": out.encode(), "messages": err.encode()}) == []


@pytest.mark.parametrize("place", PRINTED)
def test_what_is_printed_is_masked_no_earlier_than_that(
    place: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PrintableNames, "_place", lambda _, where, place: place)
    monkeypatch.setattr(PrintableNames, "path", lambda _, path: (path, frozenset()))
    monkeypatch.setattr(unmasked, "_authority", lambda raw: raw)
    monkeypatch.setattr(unmasked.Unmasked, "_masked_type", lambda _, raw: raw.decode())
    matched(tmp_path, PRINTED[place], LINES)
    out, _ = capfd.readouterr()
    assert found_in(NEEDLES, {"output": out.replace("%67", "g").encode()}), out


def test_values_are_judged_that_redaction_would_have_masked(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = base64.b64encode(bytes(range(48))).decode()
    matched(tmp_path, entry("POST", URL, body={"name": secret}, **OK), LINES)
    (found,) = json.loads(capfd.readouterr().out)["deviations"]
    assert (found["kind"], found["pointer"]) == ("bounds", "/name")
