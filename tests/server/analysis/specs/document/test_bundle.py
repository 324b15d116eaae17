"""Documents in several files: which references are resolved, and which are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.analysis.specs.document import bundle
from server.analysis.specs.document.bundle import from_folder, from_memory
from server.analysis.specs.load import load, load_files
from server.analysis.specs.model import SpecError
from server.analysis.specs.specification import Specification
from tests.server.analysis.specs.spec_calls import body, call, found

ROOT = """
openapi: 3.0.3
info: {title: t, version: '1'}
paths:
  /pets: {$ref: 'paths/pets.yaml#/all'}
components:
  schemas:
    Id: {type: integer}
"""
PETS = """
all:
  get:
    parameters: [{$ref: ../common.json#/Page}]
    responses:
      '200':
        description: ok
        content: {application/json: {schema: {$ref: ../schemas/Pet.yaml}}}
"""
PET = """
type: object
required: [id]
properties:
  id: {$ref: '../openapi.yaml#/components/schemas/Id'}
  friend: {$ref: Pet.yaml}
  home: {$ref: '#/x-home'}
  example: {$ref: 'Name.yaml'}
example: {$ref: nowhere.yaml}
x-home: {type: string, maxLength: 3}
"""
FILES = {
    "openapi.yaml": ROOT,
    "paths/pets.yaml": PETS,
    "schemas/Pet.yaml": PET,
    "schemas/Name.yaml": "type: string",
    "common.json": json.dumps({"Page": {"name": "page", "in": "query", "schema": {"type": "integer"}}}),
}


def of(files: dict[str, str], root: str = "openapi.yaml") -> Specification:
    return load_files(root, from_memory({path: text.encode() for path, text in files.items()}))


def refused(files: dict[str, str]) -> tuple[str, str]:
    with pytest.raises(SpecError) as caught:
        of(files)
    return caught.value.where, caught.value.reason


def test_files_judge_as_one_document() -> None:
    pets = of(FILES)
    answer = {"id": 1, "friend": {"id": 2, "home": "abc", "example": "x"}}
    assert pets.match(call(path=b"/pets", query=b"page=1", answer=body(answer))).verdict == "conforming"
    wrong = {"id": "1", "friend": {"id": 2, "home": "abcd", "example": 7}}
    assert found(pets.match(call(path=b"/pets", query=b"page=x", answer=body(wrong)))) == [
        ("bounds", "response.body", "/friend/home"),
        ("type", "query", "page"),
        ("type", "response.body", "/friend/example"),
        ("type", "response.body", "/id"),
    ]


def test_a_bundle_read_again_is_the_same_specification() -> None:
    pets = of(FILES)
    again = load(json.dumps(pets.document).encode())
    assert [one.key for one in again.operations] == ["GET /pets"]
    assert found(again.match(call(path=b"/pets", answer=body({})))) == [
        ("missing-field", "response.body", "/id")
    ]


def test_a_document_of_one_file_stays_as_it_is() -> None:
    assert set(of({"openapi.yaml": ROOT.replace("{$ref: 'paths/pets.yaml#/all'}", "{}")}).document) == {
        "openapi", "info", "paths", "components",
    }  # fmt: skip


def test_a_map_of_names_may_be_a_file_of_its_own() -> None:
    root = """
openapi: 3.0.3
info: {title: t, version: '1'}
paths: {$ref: paths/_index.yaml}
components: {schemas: {$ref: schemas/_index.yaml}}
"""
    index = "/pets: {$ref: 'pets.yaml#/all'}"
    pets = PETS.replace("../schemas/Pet.yaml", "../openapi.yaml#/components/schemas/Pet")
    files = {**FILES, "openapi.yaml": root, "paths/_index.yaml": index, "paths/pets.yaml": pets}
    files["schemas/_index.yaml"] = "Pet: {$ref: Pet.yaml}\nId: {type: integer}"
    assert found(of(files).match(call(path=b"/pets", answer=body({"id": "x"})))) == [
        ("type", "response.body", "/id")
    ]


CHOICE = """
oneOf: [{$ref: Cat.yaml}, {$ref: Dog.yaml}]
discriminator: {propertyName: kind, mapping: {hound: Dog.yaml}}
"""


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        ({"kind": "Cat", "lives": 9}, []),
        ({"kind": "Cat", "lives": "x"}, ["type"]),
        ({"kind": "hound", "barks": True}, []),
        ({"kind": "hound", "barks": 1}, ["type"]),
    ],
)
def test_a_discriminator_knows_schemas_by_their_files(value: Any, kinds: list[str]) -> None:
    files = {
        **FILES,
        "schemas/Pet.yaml": CHOICE,
        "schemas/Cat.yaml": "required: [kind]\nproperties: {kind: {}, lives: {type: integer}}",
        "schemas/Dog.yaml": "required: [kind]\nproperties: {kind: {}, barks: {type: boolean}}",
    }
    judgement = of(files).match(call(path=b"/pets", answer=body(value)))
    assert [kind for kind, _, _ in found(judgement)] == kinds


def test_files_that_lead_to_one_another_end() -> None:
    files = {**FILES, "schemas/Pet.yaml": "$ref: Other.yaml", "schemas/Other.yaml": "$ref: Pet.yaml"}
    assert "without end" in of(files).warnings[0]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("type: madeup", "schemas/Pet.yaml#/type: not a JSON type"),
        ("$ref: Name.yaml#/none", "schemas/Pet.yaml#/$ref: $ref to /x-bundled/Name/none, which is not"),
    ],
)
def test_a_warning_names_the_file_of_its_place(text: str, warning: str) -> None:
    assert of({**FILES, "schemas/Pet.yaml": text}).warnings[0].startswith(warning)


@pytest.mark.parametrize(
    ("changed", "where", "reason"),
    [
        ({"schemas/Pet.yaml": None}, "schemas/Pet.yaml", "not among those"),
        ({"schemas/Pet.yaml": "type: [\n"}, "schemas/Pet.yaml line 2", "not YAML"),
        ({"schemas/Pet.yaml": "$ref: https://example.org/x.yaml"}, "schemas/Pet.yaml#/$ref", "URL"),
        ({"schemas/Pet.yaml": "$ref: /etc/passwd"}, "schemas/Pet.yaml#/$ref", "absolute"),
        ({"schemas/Pet.yaml": "$ref: ../../x.yaml"}, "schemas/Pet.yaml#/$ref", "outside"),
        ({"schemas/Pet.yaml": "$ref: ..\\x.yaml"}, "schemas/Pet.yaml#/$ref", "absolute"),
    ],
)
def test_what_cannot_be_brought_together_is_refused_with_file_and_place(
    changed: dict[str, str | None], where: str, reason: str
) -> None:
    files = {path: text for path, text in {**FILES, **changed}.items() if text is not None}
    found_where, found_reason = refused(files)
    assert found_where == where
    assert reason in found_reason


def test_the_number_and_size_of_files_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MAX_FILES", 2)
    assert "more than 2 files" in refused(FILES)[1]
    monkeypatch.setattr(bundle, "MAX_FILES", 10)
    monkeypatch.setattr(bundle, "MAX_BYTES", 300)
    assert "files are larger than" in refused(FILES)[1]


@pytest.mark.parametrize("circle", [True, False])
def test_a_bomb_of_maps_that_are_files_ends(circle: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MAX_NODES", 10_000)
    files = {**FILES, "schemas/Pet.yaml": "properties: {$ref: m0.yaml}"}
    for i in range(12):
        following = 0 if circle else i + 1
        lines = [f"k{k}: {{properties: {{$ref: m{following}.yaml}}}}" for k in range(10)]
        files[f"schemas/m{i}.yaml"] = "\n".join(lines)
    files["schemas/m12.yaml"] = "k: {}"
    assert ("without end" if circle else "more than 10000 values") in refused(files)[1]


def test_a_folder_gives_its_files_and_no_link_leads_out(tmp_path: Path) -> None:
    folder = tmp_path / "spec"
    for path, text in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    assert load_files("openapi.yaml", from_folder(folder)).title == "t"
    (tmp_path / "secret.yaml").write_text("type: string")
    (folder / "schemas/Name.yaml").unlink()
    (folder / "schemas/Name.yaml").symlink_to(tmp_path / "secret.yaml")
    with pytest.raises(SpecError, match="outside"):
        load_files("openapi.yaml", from_folder(folder))
    (folder / "schemas/Name.yaml").unlink()
    with pytest.raises(SpecError, match="cannot be read"):
        load_files("openapi.yaml", from_folder(folder))
