"""`spectap tokens`: lists, creates, rotates and revokes the tokens of clusters on a server."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Literal, TypedDict
from urllib.parse import quote

from server.analysis.json import JsonObject
from server.client.connection import Remote
from server.client.errors import AddressError, SpectapError
from server.offline import remote
from server.offline.tables import plain, print_table

EXIT_ERROR, EXIT_USAGE = 1, 64
GRACE_S = 86_400
Column = Literal["id", "name", "role", "cluster", "created", "last_used"]
COLUMNS: tuple[Column, ...] = ("id", "name", "role", "cluster", "created", "last_used")

Act = Callable[[argparse.Namespace, Remote], None]


class ListedToken(TypedDict):
    """A token in the server's list."""

    id: str
    name: str
    role: str
    cluster: str
    created: str
    last_used: str | None
    previous_until: str | None


class ShownSecret(ListedToken):
    """A token just created or rotated."""

    secret: str


class _Unknown(Exception):
    """There is no such token; one sentence with the cure."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`spectap tokens ACTION --server URL`."""
    parser = subparsers.add_parser(
        "tokens",
        description="Manages tokens with which the agents of a cluster deliver to a server that several"
        " clusters share. A secret is printed once: the server keeps only its digest.",
        epilog="Exit status: 0 when done, 1 when the server refuses it, 64 for a usage error.",
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")

    def add(name: str, act: Act, help: str) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
        remote.add_options(action, "admin")
        action.add_argument("--json", action="store_true", help="print JSON")
        action.set_defaults(run=_run, act=act)
        return action

    listing = add("list", _list, "list the tokens, newest first, without secrets")
    listing.add_argument("--cluster", metavar="NAME", help="only the tokens of this cluster")
    creating = add("create", _create, "create a token and print its secret")
    creating.add_argument("name", metavar="NAME", help="what people call it")
    creating.add_argument(
        "--cluster", required=True, metavar="NAME", help="the cluster for which its holders deliver"
    )
    rotating = add("rotate", _rotate, "give a token another secret and print that")
    rotating.add_argument(
        "--grace-s",
        type=int,
        default=GRACE_S,
        metavar="N",
        help="seconds that the previous secret stays valid; 0 ends it at once (default: %(default)s)",
    )
    revoking = add("revoke", _revoke, "end a token at once")
    for parser in (rotating, revoking):
        parser.add_argument("token", metavar="TOKEN", help="its id or its name")


def _run(parsed: argparse.Namespace) -> int:
    act: Act = parsed.act
    try:
        with remote.connected(parsed) as server:
            act(parsed, server)
    except AddressError as error:
        return _fail(parsed, error, EXIT_USAGE)
    except (_Unknown, SpectapError) as error:
        return _fail(parsed, error, EXIT_ERROR)
    return 0


def _fail(parsed: argparse.Namespace, error: Exception, status: int) -> int:
    sys.stderr.write(f"spectap tokens {parsed.action}: {error}\n")
    return status


def _list(parsed: argparse.Namespace, server: Remote) -> None:
    asked = {"cluster": parsed.cluster} if parsed.cluster else {}
    found: list[ListedToken] = [*server.items("/tokens", asked)]
    if parsed.json:
        _print(json.dumps(found, ensure_ascii=False, indent=2))
    elif not found:
        _print("no tokens; create one: spectap tokens create NAME --cluster NAME --server URL")
    else:
        print_table(COLUMNS, ([one[name] for name in COLUMNS] for one in found))


def _create(parsed: argparse.Namespace, server: Remote) -> None:
    made = _sent(server, "/tokens", {"name": parsed.name, "cluster": parsed.cluster})
    _print_secret(parsed, made, f"created {made['id']} for the agents of the cluster {made['cluster']}")


def _rotate(parsed: argparse.Namespace, server: Remote) -> None:
    made = _sent(server, f"{_path(server, parsed.token)}/rotate", {"grace_s": parsed.grace_s})
    until = made["previous_until"]
    ends = f"the previous secret is valid until {until}" if until else "the previous secret has ended"
    _print_secret(parsed, made, f"rotated {made['id']}; {ends}")


def _sent(server: Remote, path: str, asked: JsonObject) -> ShownSecret:
    content, kind = json.dumps(asked).encode(), {"content-type": "application/json"}
    made: ShownSecret = server.send("POST", path, content, kind).json()
    return made


def _print_secret(parsed: argparse.Namespace, made: ShownSecret, text: str) -> None:
    """The secret alone goes to standard output, ready for a file."""
    if parsed.json:
        _print(json.dumps(made, ensure_ascii=False))
        return
    sys.stderr.write(f"{plain(text)}; its secret is not shown again\n")
    _print(plain(made["secret"]))


def _revoke(parsed: argparse.Namespace, server: Remote) -> None:
    path = _path(server, parsed.token)
    server.send("DELETE", path)
    id = path.rpartition("/")[2]
    _print(json.dumps({"revoked": id}) if parsed.json else f"{id} is revoked")


def _path(server: Remote, token: str) -> str:
    """The path of the token with this id, or else this name."""
    found: list[ListedToken] = [*server.items("/tokens")]
    for one in sorted(found, key=lambda one: one["id"] != token):
        if token in (one["id"], one["name"]):
            return f"/tokens/{quote(one['id'], safe='')}"
    raise _Unknown(f"no token {plain(token)}: see `spectap tokens list`")


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
