"""The `spectap rebuild` command."""

from __future__ import annotations

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.cli import main
from tests.har import document, entry
from tests.server.analysis.rebuild.traffic import validate
from tests.server.analysis.specs.spec_calls import document as spec_document
from tests.server.analysis.specs.spec_calls import operation, parameter

PETS = [entry(url=f"http://shop.example/pets/{i}?full=true", answer={"id": i}) for i in range(12)]
OTHER = entry(url="http://bank.example/accounts", answer=[])


@pytest.fixture
def rebuild(tmp_path: Path) -> Any:
    """Runs the command on entries. Returns its exit status."""

    def run(entries: list[Any], *options: str) -> int:
        (tmp_path / "a.har").write_bytes(document(*entries))
        return main(["rebuild", f"--key-file={tmp_path / 'key'}", str(tmp_path / "a.har"), *options])

    return run


def test_calls_of_paths_beyond_the_bound_are_counted(
    rebuild: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.analysis.rebuild.path_operations.MOST_LEAVES", 2)
    monkeypatch.setattr("server.analysis.rebuild.path_operations.MOST_OPERATIONS", 2)
    words = [
        "pets",
        "owners",
        "shops",
        "orders",
        "bills",
        "carts",
        "users",
        "rooms",
        "beds",
        "doors",
        "keys",
        "cars",
    ]
    assert rebuild([entry(url=f"http://shop.example/{word}", answer={word: 1}) for word in words]) == 0
    told = capsys.readouterr()
    left = int(re.findall(r"(\d+) calls left out: an API has more operations", told.err)[0])
    assert left == len(words) - sum(f"/{word}:" in told.out for word in words)


def test_a_file_of_one_api_becomes_a_valid_document(rebuild: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert rebuild(PETS) == 0
    found = yaml.safe_load(capsys.readouterr().out)
    validate(found)
    assert found["info"] == {"title": "shop.example", "version": "1.0.0"}
    assert found["servers"] == [{"url": "http://shop.example"}]
    assert found["paths"]["/pets/{petId}"]["get"]["x-spectap"]["count"] == 12


def test_audit_events_without_bodies_leave_no_claim_of_any(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    event = {
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/pods",
        "verb": "create",
        "responseStatus": {"code": 201},
        "requestReceivedTimestamp": "2026-03-01T12:00:00.250000Z",
    }
    log = tmp_path / "audit.jsonl"
    log.write_text("".join(json.dumps({**event, "auditID": str(number)}) + "\n" for number in range(9)))
    assert main(["rebuild", f"--key-file={tmp_path / 'key'}", str(log)]) == 0
    found = yaml.safe_load(capsys.readouterr().out)
    validate(found)
    post = found["paths"]["/api/v1/pods"]["post"]
    assert post["x-spectap"]["count"] == 9
    assert "requestBody" not in post
    assert "content" not in post["responses"]["201"]


def test_hosts_that_accepted_nothing_are_no_apis(rebuild: Any, capsys: pytest.CaptureFixture[str]) -> None:
    probes = [entry(url=f"http://10.0.0.{n}/.env", status=404) for n in range(3)]
    assert rebuild([*probes, *PETS]) == 0
    said = capsys.readouterr()
    assert yaml.safe_load(said.out)["info"]["title"] == "shop.example"
    assert "3 records of other hosts were left out" in said.err
    assert rebuild([*probes, *PETS], "--host", "10.0.0.1") == 0
    assert yaml.safe_load(capsys.readouterr().out)["paths"] == {}
    assert rebuild(probes[:1]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["info"]["title"] == "10.0.0.0"


def test_json_a_title_and_no_evidence(rebuild: Any, tmp_path: Path) -> None:
    assert rebuild(PETS, "-o", str(tmp_path / "spec.json"), "--title", "Pets", "--no-evidence") == 0
    text = (tmp_path / "spec.json").read_text()
    assert json.loads(text)["info"]["title"] == "Pets"
    assert "x-spectap" not in text
    assert rebuild(PETS, "-o", str(tmp_path / "spec"), "--json") == 0
    assert json.loads((tmp_path / "spec").read_text())["paths"]


def test_several_apis_need_a_choice(rebuild: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rebuild([*PETS, OTHER]) == 1
    assert "--host" in (said := capsys.readouterr().err)
    assert "bank.example, shop.example" in said
    assert rebuild([*PETS, OTHER], "--host", "bank.example", "-o", str(tmp_path / "bank.yaml")) == 0
    assert [*yaml.safe_load((tmp_path / "bank.yaml").read_text())["paths"]] == ["/accounts"]
    assert rebuild([*PETS, OTHER], "-o", f"{tmp_path}/all/") == 0
    assert rebuild([*PETS, OTHER], "-o", f"{tmp_path}/apis") == 0
    for folder in ("all", "apis"):
        found = sorted(path.name for path in (tmp_path / folder).iterdir())
        assert found == ["bank.example.yaml", "shop.example.yaml"]
    assert rebuild([*PETS, OTHER], "-o", f"{tmp_path}/apis.yaml") == 1
    assert not (tmp_path / "apis.yaml").exists()


def test_requests_without_answers_are_documented(rebuild: Any, capsys: pytest.CaptureFixture[str]) -> None:
    asked = entry("POST", url="http://shop.example/orders?dry=true", body={"sku": "a", "count": 2})
    del asked["response"], asked["startedDateTime"]
    assert rebuild([asked]) == 0
    found = yaml.safe_load(capsys.readouterr().out)
    validate(found)
    post = found["paths"]["/orders"]["post"]
    assert [one["name"] for one in post["parameters"]] == ["dry"]
    assert set(post["requestBody"]["content"]) == {"application/json"}


@pytest.mark.parametrize(
    ("entries", "options", "reason"),
    [
        ([], [], "no traffic"),
        (PETS, ["--host", "bank.example"], "shop.example"),
        (PETS, ["-o", "/dev/null/spec.yaml"], "cannot write"),
        (PETS, ["--spec", "/nonexistent"], "No such file"),
        (PETS, ["--spec", "/dev"], "holds none of"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    rebuild: Any, capsys: pytest.CaptureFixture[str], entries: list[Any], options: list[str], reason: str
) -> None:
    assert rebuild(entries, *options) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("spectap rebuild: ")
    assert reason in said


def test_an_existing_specification_stays_and_what_is_new_is_added(
    rebuild: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pet = {"type": "object", "properties": {"name": {"type": "string", "nullable": True}}}
    answer = {
        "description": "One.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}},
    }
    named = {"parameters": [parameter("name", "path", {})]}
    known = spec_document(
        {"/pets/{name}": {"get": operation(responses={"200": answer}), "delete": operation(), **named}},
        openapi="3.0.3",
        components={"schemas": {"Pet": pet}},
    )
    (tmp_path / "known.json").write_text(json.dumps(known))
    more = [
        *PETS,
        entry(url="http://shop.example/pets/1", status=404, answer={"error": "x"}),
        entry("POST", url="http://shop.example/pets", status=201, answer={"id": 1}),
    ]
    assert rebuild(more, "--spec", str(tmp_path / "known.json"), "--no-evidence") == 0
    found = yaml.safe_load(capsys.readouterr().out)
    validate(found)
    assert [*found["paths"]] == ["/pets/{name}", "/pets"]
    get = found["paths"]["/pets/{name}"]["get"]
    assert get["responses"]["200"] == answer
    assert get["responses"]["404"]["content"]["application/json"]
    assert [one["name"] for one in get["parameters"] if one["in"] == "query"] == ["full"]
    assert found["components"]["schemas"]["Pet"] == {
        "type": "object",
        "properties": {"name": {"type": ["string", "null"]}, "id": {"type": "integer"}},
    }
    assert "delete" in found["paths"]["/pets/{name}"]


def test_swagger_2_is_extended_as_openapi_3_1_and_that_is_said(
    rebuild: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = {"name": "name", "in": "path", "required": True, "type": "string"}
    said = {"get": {"parameters": [named], "responses": {"200": {"description": "One."}}}}
    known = {"swagger": "2.0", "info": {"title": "t", "version": "1"}, "paths": {"/{name}": said}}
    (tmp_path / "known.json").write_text(json.dumps({**known, "basePath": "/pets"}))
    more = [*PETS, entry("POST", url="http://shop.example/pets", status=201, answer={"id": 1})]
    assert rebuild(more, "--spec", str(tmp_path / "known.json")) == 0
    shown = capsys.readouterr()
    assert "is Swagger 2.0; the output is OpenAPI 3.1" in shown.err
    found = yaml.safe_load(shown.out)
    validate(found)
    assert (found["openapi"][:3], found["servers"]) == ("3.1", [{"url": "/pets"}])
    assert [*found["paths"]] == ["/{name}", "/pets"]
    get = found["paths"]["/{name}"]["get"]
    assert get["responses"]["200"] == {"description": "One."}
    assert [one["name"] for one in get["parameters"]] == ["name", "full"]


def test_openapi_32_describes_the_events_of_a_stream(
    rebuild: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    streamed = entry(url="http://shop.example/feed")
    streamed["response"]["content"] = {
        "mimeType": "text/event-stream",
        "text": "".join(f'id: {n}\ndata: {{"pet": {n}, "token": "tok-{n}-xyzzy"}}\n\n' for n in range(20)),
    }
    streamed["response"]["headers"] = [{"name": "content-type", "value": "text/event-stream"}]
    assert rebuild([streamed], "--openapi", "3.2", "-o", str(tmp_path / "new.json")) == 0
    text = (tmp_path / "new.json").read_text()
    found = json.loads(text)
    validate(found)
    assert "xyzzy" not in text
    content = found["paths"]["/feed"]["get"]["responses"]["200"]["content"]["text/event-stream"]
    data = content["itemSchema"]["properties"]["data"]["contentSchema"]["properties"]
    assert {name: part["type"] for name, part in data.items()} == {"pet": "integer", "token": "string"}
    capsys.readouterr()
    matched = ("--spec", str(tmp_path / "new.json"), str(tmp_path / "a.har"))
    assert main(["match", f"--key-file={tmp_path / 'key'}", *matched]) == 0
    assert '"deviations": []' in capsys.readouterr().out
    assert rebuild([streamed]) == 0
    older = yaml.safe_load(capsys.readouterr().out)
    described = older["paths"]["/feed"]["get"]["responses"]["200"]["content"]["text/event-stream"]
    assert (older["openapi"], described["schema"]) == ("3.1.1", {"type": "string"})


def test_an_extended_document_has_the_version_asked_for(rebuild: Any, tmp_path: Path) -> None:
    versions = ("3.0.3", "3.1", "3.1.1"), ("3.1.0", "3.1", "3.1.0"), ("3.1.0", "3.2", "3.2.0")
    for old, version, written in (*versions, ("3.2.1", "3.1", "3.2.1"), ("3.2.1", "3.2", "3.2.1")):
        (tmp_path / "old.json").write_text(json.dumps(spec_document({"/x": {"get": operation()}}, old)))
        given = ("--spec", str(tmp_path / "old.json"), "--openapi", version)
        assert rebuild(PETS, *given, "-o", str(tmp_path / "new.json")) == 0
        found = json.loads((tmp_path / "new.json").read_text())
        validate(found)
        assert found["openapi"] == written


@pytest.mark.parametrize("chosen", [(), ("--host=shop.example",), ("--host=shop.example:443",)])
def test_a_host_with_its_own_port_is_the_host_without_it(
    rebuild: Any, capsys: pytest.CaptureFixture[str], chosen: tuple[str, ...]
) -> None:
    urls = [f"https://shop.example{port}/pets/{i}" for i in range(6) for port in ("", ":443")]
    assert rebuild([entry(url=url, answer={"id": 1}) for url in urls], *chosen) == 0
    found = yaml.safe_load(capsys.readouterr().out)
    assert found["info"]["title"] == "shop.example"
    assert found["paths"]["/pets/{petId}"]["get"]["x-spectap"]["count"] == 12


def test_another_port_is_another_api(rebuild: Any, capsys: pytest.CaptureFixture[str]) -> None:
    urls = ["http://shop.example/pets", "http://shop.example:443/pets", "http://shop.example:8080/pets"]
    assert rebuild([entry(url=url, answer=[]) for url in urls]) == 1
    assert "(shop.example, shop.example:443, shop.example:8080)" in capsys.readouterr().err


def test_hosts_whose_names_become_alike_have_files_of_their_own(rebuild: Any, tmp_path: Path) -> None:
    alike = [
        entry(url=f"http://{host}/{n}") for n, host in enumerate(("shop:8080", "shop_8080", "Shop.8080"))
    ]
    assert rebuild(alike, "-o", f"{tmp_path}/all/") == 0
    found = {
        path.name: yaml.safe_load(path.read_text())["info"]["title"] for path in (tmp_path / "all").iterdir()
    }
    assert sorted(found.values()) == ["shop.8080", "shop:8080", "shop_8080"]


def test_a_file_that_cannot_be_written_keeps_what_it_held(rebuild: Any, tmp_path: Path) -> None:
    held = tmp_path / "spec.yaml"
    held.write_text("before")
    (tmp_path / "spec.yaml.part").symlink_to("/dev/full")  # where the new one is written first
    assert rebuild(PETS, "-o", str(held)) == 1
    assert held.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir() if "spec.yaml" in path.name] == ["spec.yaml"]


def test_a_device_is_written_to_and_not_replaced(rebuild: Any, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        text = pool.submit(pipe.read_text)
        assert rebuild(PETS, "-o", str(pipe)) == 0
        assert yaml.safe_load(text.result())["paths"]
    assert pipe.is_fifo()


def test_operations_of_which_no_call_was_accepted_are_named_and_not_described(
    rebuild: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    deleted = [entry("DELETE", f"http://shop.example/pets/{i}", status=403) for i in range(3)]
    logins = [entry("POST", "http://shop.example/login", status=401) for _ in range(2)]
    scans = [entry(url=f"http://shop.example/{name}", status=404) for name in (".env", "wp-login.php")]
    assert rebuild([*PETS, *deleted, *logins, *scans]) == 0
    said = capsys.readouterr()
    assert [*yaml.safe_load(said.out)["paths"]] == ["/pets/{petId}"]
    assert said.err == (
        "spectap rebuild: not described, because no call was accepted:"
        " DELETE /pets/{petId} (403: 3), POST /login (401: 2)\n"
    )


def test_of_many_refused_operations_the_most_called_are_named(
    rebuild: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    guesses = [entry(url=f"http://shop.example/{name}", status=401) for name in "abcdefg"]
    assert rebuild([*PETS, *guesses, guesses[-1]]) == 0
    said = capsys.readouterr().err
    assert "GET /g (401: 2), GET /a (401: 1), " in said
    assert said.endswith(" and 2 more\n")


def test_records_that_were_not_learned_are_counted_by_reason(
    rebuild: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = entry(
        url="http://shop.example/pets/3/?full=true", status=301, answer_headers={"Location": "/pets/3"}
    )
    assert rebuild([*PETS, moved]) == 0
    assert "records not learned: 1, redirected to the same path" in capsys.readouterr().err
