"""`spectap spec`: the specification of an API, and the versions of its learned document."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from server.analysis.printable import printable
from server.client.errors import NotOnServer
from server.offline import remote, spec, values
from server.offline.lists import output
from server.offline.lists.chosen import api_id
from server.offline.lists.columns import Column, attribute
from server.offline.lists.command import typed

if TYPE_CHECKING:
    from server.client.connection import Remote
    from server.client.models import VersionChange

EXIT_BREAKING = 2
Act = Callable[[argparse.Namespace, "Remote"], int]
COLUMNS: Sequence[Column[VersionChange]] = (
    attribute("breaking", key=True),
    attribute("operation", shrinks=True, key=True),
    attribute("part", shrinks=True),
    attribute("what", shrinks=True),
)
STATUS = (
    "Exit status: 0 when done, 1 when something cannot be read or the server refuses it, 64 for a usage"
    " error."
)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`spectap spec ACTION API`."""
    parser = subparsers.add_parser(
        "spec",
        description="Works on one API, by its name or id. `spectap specs` manages all specifications.",
        epilog=STATUS,
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")

    def add(name: str, act: Act, help: str, status: str = STATUS) -> argparse.ArgumentParser:
        action = actions.add_parser(
            name,
            help=help,
            description=f"{help[0].upper()}{help[1:]}.",
            epilog=status,
        )
        remote.add_options(action, "admin")
        action.add_argument(
            "api", metavar="API", type=values.text, help="name or id, as `spectap apis` shows it"
        )
        action.set_defaults(run=_run, act=act)
        return action

    getting = add("get", _get, "print the specification of an API as it was uploaded")
    which = getting.add_mutually_exclusive_group()
    which.add_argument("--spec", metavar="ID", help="this one, as `spectap specs list` shows it (the newest)")
    which.add_argument("--learned", action="store_true", help="the document that was learned from traffic")
    getting.add_argument("--version", metavar="VERSION", help="with --learned: this version (the newest)")
    putting = add("put", _put, "replace all specifications of an API by one, with all files it refers to")
    putting.add_argument("file", type=values.path, metavar="FILE", help=spec.WHAT)
    spec.add_root(putting)
    spec.add_base_path(putting)
    breaking = STATUS.replace("1 when", "2 if a change breaks clients, 1 when")
    comparing = add("diff", _diff, "list what changed in the learned document of an API", breaking)
    comparing.add_argument("before", nargs="?", metavar="FROM", help="a version (the last but one)")
    comparing.add_argument("after", nargs="?", metavar="TO", help="a version (the newest)")
    comparing.add_argument(
        "-o", dest="output", choices=output.FORMATS, default="table", help="output (default: %(default)s)"
    )


def _run(parsed: argparse.Namespace) -> int:
    from server.analysis.specs.model import SpecError

    act: Act = parsed.act
    try:
        return remote.run(parsed, lambda server: act(parsed, server))
    except BrokenPipeError:
        raise
    except SpecError as error:
        sys.stderr.write(f"spectap spec: {parsed.file}: {error}\n")
    except (spec.SpecMissing, OSError) as error:
        sys.stderr.write(f"spectap spec: {error}\n")
    return remote.EXIT_ERROR


def _path(server: Remote, api: str, rest: str) -> str:
    return f"/apis/{quote(api_id(server, api), safe='')}/{rest}"


def _get(parsed: argparse.Namespace, server: Remote) -> int:
    if parsed.learned:
        asked = {"version": parsed.version} if parsed.version else {}
        raw = server.get(_path(server, parsed.api, "reconstructed"), asked).content
    else:
        asked = {"spec": parsed.spec} if parsed.spec else {}
        raw = server.get(_path(server, parsed.api, "spec"), asked).content
    if output.is_terminal():
        lines = raw.decode(errors="replace").splitlines()
        sys.stdout.writelines(f"{printable(line.expandtabs())}\n" for line in lines)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(raw if raw.endswith(b"\n") else raw + b"\n")
        sys.stdout.buffer.flush()
    return 0


def _put(parsed: argparse.Namespace, server: Remote) -> int:
    from server.offline.specifications import packed

    content, kind, root = packed(*spec.located(parsed.file, parsed.spec_root))
    asked = {"root": root, "base_path": parsed.base_path}
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    path = _path(server, parsed.api, "spec")
    kept = server.send("PUT", f"{path}?{query}", content, {"content-type": kind}).json()
    text = f"{kept['id']}: {kept['title']} {kept['version']}, {kept['operations']:,} operations"
    sys.stdout.write(printable(f"{text}; the API {kept['api']} is validated by it alone") + "\n")
    return 0


def _diff(parsed: argparse.Namespace, server: Remote) -> int:
    from server.client.models import VersionChange

    path = _path(server, parsed.api, "reconstructed")
    before, after = parsed.before, parsed.after
    if after is None:
        known = [one["version"] for one in server.items(f"{path}/versions", limit=2)]
        if not known or (before is None and len(known) < 2):
            raise NotOnServer(f"{printable(parsed.api)} has no two versions of a learned document to compare")
        before, after = before or known[1], known[0]
    found: dict[str, Any] = server.get(f"{path}/diff", {"from": before, "to": after}).json()
    if parsed.output in ("json", "yaml"):
        output.write_document(parsed.output, found)
    else:
        output.write_rows(parsed.output, COLUMNS, typed(found["changes"], VersionChange), str)
        sys.stdout.flush()
        count = len(found["changes"])
        sys.stderr.write(
            printable(f"{before} to {after}: {count:,} change{'' if count == 1 else 's'}") + "\n"
        )
    return EXIT_BREAKING if found["breaking"] else 0
