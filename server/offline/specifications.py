"""`spectap specs`: lists, adds, fetches, shows and removes a server's specifications."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, TypedDict
from urllib.parse import quote, urlencode

from server.analysis.json import JsonObject
from server.analysis.specs.document.bundle import bundle, from_folder
from server.analysis.specs.document.text import parse
from server.analysis.specs.model import SpecError
from server.client.connection import Remote, token_in
from server.client.errors import AddressError, SpectapError
from server.offline import remote, spec, values
from server.offline.tables import plain, print_table

EXIT_ERROR, EXIT_USAGE = 1, 64
Column = Literal["id", "title", "version", "api", "host", "uploaded"]
COLUMNS: tuple[Column, ...] = ("id", "title", "version", "api", "host", "uploaded")
FILE = 'Content-Disposition: form-data; name="file"; filename="%s"'
TARGET = {
    "--api": ("ID", "id of the API it describes"),
    "--host": ("HOST", "host of the API, with a port if needed (default: from its server URLs)"),
    "--workload": ("NAMESPACE/NAME", "workload that serves the API"),
    "--cluster": ("NAME", "cluster of that host or workload (default: any)"),
    "--base-path": ("/PATH", "replaces the base path of its server URLs"),
}

Act = Callable[[argparse.Namespace, Remote], None]


class ListedSpecification(TypedDict):
    """A specification in the server's list."""

    id: str
    title: str
    version: str
    api: str
    host: str | None
    uploaded: str
    operations: int


class _Wrong(Exception):
    """The request cannot be fulfilled; one sentence with the cure."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`spectap specs ACTION --server URL`."""
    parser = subparsers.add_parser(
        "specs",
        description="Manages the specifications of a server. Stored exchanges of an API are re-validated"
        " shortly after one of its specifications is added or removed.",
        epilog="Exit status: 0 when done, 1 when something cannot be read or the server refuses it,"
        " 64 for a usage error.",
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")

    def add(name: str, act: Act, help: str) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
        remote.add_options(action, "admin")
        action.set_defaults(run=_run, act=act)
        return action

    listing = add("list", _list, "list the specifications, newest first")
    listing.add_argument("--cluster", metavar="NAME", help="only those of this cluster's APIs")
    adding = add("add", _add, "upload a specification with all local files it refers to")
    adding.add_argument("file", type=values.path, metavar="FILE", help=spec.WHAT)
    spec.add_root(adding)
    fetching = add("fetch", _fetch, "have the server fetch a specification from a running service")
    fetching.add_argument(
        "url", metavar="URL", help="URL of the document, or of the service (well-known paths are tried)"
    )
    fetching.add_argument(
        "--service-token-file", type=Path, metavar="FILE", help="file with a bearer token for the service"
    )
    fetching.add_argument(
        "--insecure", action="store_true", help="do not check the certificate of the service"
    )
    for parser in (adding, fetching):
        for option, (metavar, text) in TARGET.items():
            check = values.base_path if option == "--base-path" else values.text
            parser.add_argument(option, type=check, metavar=metavar, help=text)
    adding.add_argument(
        "--replace", action="store_true", help="with --api: replace all specifications of the API"
    )
    showing = add("show", _show, "print a specification as it was uploaded")
    removing = add("remove", _remove, "remove a specification; counts and exchanges stay")
    for parser in (showing, removing):
        parser.add_argument("id", metavar="ID", help="as `spectap specs list` shows it")
    for parser in (listing, adding, fetching, showing, removing):
        parser.add_argument("--json", action="store_true", help="print JSON")


def _run(parsed: argparse.Namespace) -> int:
    act: Act = parsed.act
    try:
        with remote.connected(parsed) as server:
            act(parsed, server)
    except AddressError as error:
        return _fail(parsed, error, EXIT_USAGE)
    except BrokenPipeError:
        raise
    except (_Wrong, SpecError, spec.SpecMissing, SpectapError, OSError) as error:
        return _fail(parsed, error, EXIT_ERROR)
    return 0


def _fail(parsed: argparse.Namespace, error: Exception, status: int) -> int:
    place = f"{parsed.file}: " if isinstance(error, SpecError) else ""
    sys.stderr.write(f"spectap specs {parsed.action}: {place}{error}\n")
    return status


def _list(parsed: argparse.Namespace, server: Remote) -> None:
    found: list[ListedSpecification] = [
        *server.items("/specs", {"cluster": parsed.cluster} if parsed.cluster else {})
    ]
    if parsed.json:
        _print(json.dumps(found, ensure_ascii=False, indent=2))
    elif not found:
        _print("no specifications; add one: spectap specs add FILE --server URL")
    else:
        print_table(COLUMNS, ([one[name] for name in COLUMNS] for one in found))


def _add(parsed: argparse.Namespace, server: Remote) -> None:
    if parsed.replace and parsed.api is None:
        raise AddressError("--replace needs --api to know whose specifications to replace")
    if parsed.replace and (parsed.host or parsed.workload or parsed.cluster):
        raise AddressError("--replace uses --api alone: leave out --host, --workload and --cluster")
    content, kind, root = packed(*spec.located(parsed.file, parsed.spec_root))
    asked = _target(parsed) | ({"root": root} if root else {})
    method, path = "POST", "/specs"
    if parsed.replace:
        method, path = "PUT", f"/apis/{quote(asked.pop('api'), safe='')}/spec"
    answer = server.send(method, f"{path}?{urlencode(asked)}", content, {"content-type": kind})
    _print_added(parsed, answer.json())


def packed(folder: Path, name: str) -> tuple[bytes, str, str | None]:
    """The document to send: (content, its type, the root file of several).

    Raises SpecError.
    """
    files: dict[str, bytes] = {}
    read = from_folder(folder)

    def kept(path: str) -> bytes:
        files[path] = read(path)
        return files[path]

    bundle(name, kept)
    if len(files) > 1:
        return *_form(files), name
    raw = files[name]
    return raw, f"application/{'json' if raw.lstrip()[:1] == b'{' else 'yaml'}", None


def _form(files: Mapping[str, bytes]) -> tuple[bytes, str]:
    """Files as the parts of a form, named by their paths (RFC 7578)."""
    boundary = os.urandom(16).hex()
    parts = [
        f"--{boundary}\r\n{FILE % _quoted(path)}\r\n\r\n".encode() + raw + b"\r\n"
        for path, raw in files.items()
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _quoted(path: str) -> str:
    if any(char in path for char in '"\\\r\n'):
        raise SpecError(path, "a file name contains quotes, backslashes or line breaks: rename the file")
    return path


def _fetch(parsed: argparse.Namespace, server: Remote) -> None:
    asked: JsonObject = {"url": parsed.url, "verify": not parsed.insecure, **_target(parsed)}
    if parsed.service_token_file is not None:
        asked["token"] = token_in(parsed.service_token_file, "--service-token-file")
    answer = server.send(
        "POST", "/specs/fetch", json.dumps(asked).encode(), {"content-type": "application/json"}
    )
    _print_added(parsed, answer.json())


def _target(parsed: argparse.Namespace) -> dict[str, str]:
    names = [option.removeprefix("--").replace("-", "_") for option in TARGET]
    return {name: value for name in names if (value := getattr(parsed, name)) is not None}


def _print_added(parsed: argparse.Namespace, kept: ListedSpecification) -> None:
    said = f"{kept['title']} {kept['version']}, {kept['operations']:,} operations"
    text = f"{kept['id']}: {said}; the API {kept['api']} is validated by it"
    _print(json.dumps(kept, ensure_ascii=False) if parsed.json else plain(text))


def _show(parsed: argparse.Namespace, server: Remote) -> None:
    one = _known(server, parsed.id)
    raw = server.get(f"/apis/{quote(one['api'], safe='')}/spec", {"spec": one["id"]}).content
    if parsed.json:
        raw = json.dumps(parse(raw), ensure_ascii=False, indent=2).encode()
    sys.stdout.flush()
    sys.stdout.buffer.write(raw if raw.endswith(b"\n") else raw + b"\n")
    sys.stdout.buffer.flush()


def _remove(parsed: argparse.Namespace, server: Remote) -> None:
    one = _known(server, parsed.id)
    server.send("DELETE", f"/specs/{quote(one['id'], safe='')}")
    text = f"{one['id']}: {one['title']} {one['version']} is removed"
    _print(json.dumps({"removed": one["id"]}) if parsed.json else plain(text))


def _known(server: Remote, id: str) -> ListedSpecification:
    """The listed specification with this id."""
    found: Iterator[ListedSpecification] = server.items("/specs")
    one = next((one for one in found if one["id"] == id), None)
    if one is None:
        raise _Wrong(f"no specification {id}: see `spectap specs list`")
    return one


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
