"""No secret of a call is in anything that spectap stores, returns or logs, while the call itself is.

The same secrets are planted over plain HTTP and TLS; every file and every response is searched.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.e2e import planted, services
from tests.e2e.certificates import Certificate
from tests.e2e.needles import database_images, files, found_in
from tests.e2e.observations import Observation, header
from tests.e2e.planted import SECRETS, SPECIFICATION, Planted
from tests.e2e.seen import Seen
from tests.e2e.services import Echo, server_saw
from tests.e2e.spectap import Spectap, agent, fetch, serving
from tests.leaks import by_class
from tests.server.assistant import everything, with_client

pytestmark = pytest.mark.root

PLACEHOLDER = b"redacted"
ITEM_PAGES = ("/apis", "/exchanges", "/deviations", "/workloads", "/agents")


@dataclass(frozen=True, slots=True)
class Aftermath:
    """The state at the end: the cases, their server's log, the stored exchanges, and every place to
    search.
    """

    cases: dict[str, Planted]
    by_server: dict[str, Observation]
    stored: dict[str, Seen]
    places: dict[str, bytes]


def plant(
    folder: Path, server: Echo, certificate: Certificate | None
) -> tuple[list[Planted], list[Observation]]:
    """Makes all planted calls to one server. Returns the client's observations."""
    cases = [*planted.planted(), planted.with_user_info(server.port)]
    name = "tls-caller" if certificate else "plain-caller"
    with services.caller(name, folder, server.port, certificate=certificate) as caller:
        return cases, caller.make([case.call for case in cases])


def answers(spectap: Spectap) -> dict[str, bytes]:
    """All responses of agent and server to any request."""
    server, watcher = spectap.server, spectap.agent
    urls = [f"{server.url}{page}" for page in ("/", "/metrics", "/healthz", "/readyz", "/openapi.json")]
    urls += [f"{watcher.status_url}/{page}" for page in ("metrics", "status", "healthz", "readyz")]
    urls.append(f"{server.url}/api/v1/ledger")
    for page in ITEM_PAGES:
        urls.append(f"{server.url}/api/v1{page}?limit=500")
    for api in server.items("/apis"):
        parts = ("", "/operations", "/spec")
        urls += [f"{server.url}/api/v1/apis/{api['id']}{part}" for part in parts]
    urls += [f"{server.url}/api/v1/exchanges/{item['id']}" for item in server.items("/exchanges")]
    assistant = with_client(f"{server.url}/mcp", everything)
    return {url: fetched(url) for url in urls} | {name: text.encode() for name, text in assistant.items()}


def fetched(url: str) -> bytes:
    try:
        return fetch(url)
    except HTTPError as error:
        with error:
            return error.read()


@pytest.fixture(scope="module")
def aftermath(folder: Path, certificate: Certificate) -> Aftermath:
    kept = folder / "kept"  # the output of spectap itself, without the logs of the programs under test
    kept.mkdir()
    with ExitStack() as stack:
        options = [word for line in planted.REPLY_HEADERS for word in ("--reply-header", line)]
        servers = {
            trusted: stack.enter_context(
                services.echo("tls" if trusted else "plain", folder, *options, certificate=trusted)
            )
            for trusted in (None, certificate)
        }
        with serving(kept) as store, agent(kept, store, "--log-level", "debug") as watcher:
            spectap = Spectap(store, watcher)
            cases: list[Planted] = []
            by_server: dict[str, Observation] = {}
            stored: dict[str, Seen] = {}
            for trusted, server in servers.items():
                upload(spectap, f"127.0.0.1:{server.port}")
                mine, seen = plant(folder, server, trusted)
                by_server |= server_saw(server, seen)
                parsable = {case.call.id for case in mine if case.parsable}
                stored |= spectap.of_port(server.port, [call for call in seen if call.id in parsable])
                cases += mine
            places = answers(spectap) | database_images(kept)
        places |= files(kept)
    return Aftermath({case.call.id: case for case in cases}, by_server, stored, places)


def upload(spectap: Spectap, host: str) -> None:
    fetch(f"{spectap.server.url}/api/v1/specs?host={host}", json.dumps(SPECIFICATION).encode())


def cases_named(aftermath: Aftermath, case: str) -> list[tuple[Planted, Seen]]:
    """The plain and the TLS call of a case."""
    found = [(one, aftermath.stored[name]) for name, one in aftermath.cases.items() if one.case == case]
    assert len(found) == 2
    return found


def test_the_servers_under_test_received_every_secret(aftermath: Aftermath) -> None:
    """The positive control: each secret did travel in the call that is documented to carry it."""
    never = []
    for name, case in aftermath.cases.items():
        log = aftermath.by_server[name]
        heads = [b"%s: %s" % pair for pair in (*(log.request_headers or ()), *(log.response_headers or ()))]
        parts = {"request": log.request, "response": log.response}
        bodies = {which: part.data or b"" for which, part in parts.items() if part}
        places = {"head": b"\n".join([log.target, *heads]), **bodies}
        gone = [secret for secret in case.secrets if not found_in({secret: SECRETS[secret]}, places)]
        never += [(case.case, secret) for secret in gone]
    assert never == []
    assert {secret for case in aftermath.cases.values() for secret in case.secrets} == set(SECRETS)


def test_no_secret_is_found_in_anything_that_spectap_keeps_says_or_logs(
    aftermath: Aftermath, capsys: pytest.CaptureFixture[str]
) -> None:
    found = found_in(SECRETS, aftermath.places)
    kinds = {secret: case.kind for case in aftermath.cases.values() for secret in case.secrets}
    leaked = {sentence.partition(" is in ")[0] for sentence in found}
    with capsys.disabled():
        sys.stdout.write("\n" + by_class(kinds.values(), map(kinds.__getitem__, leaked)) + "\n")
    shown = "\n".join(found[:40])
    assert not found, f"{len(found)} places:\n{shown}"


def test_the_search_looked_where_the_calls_are(aftermath: Aftermath) -> None:
    """Otherwise finding nothing would prove nothing: the calls' ids are in each kind of place."""
    ids = {name: name.encode() for name in aftermath.cases}
    where = {text.split(" is in ", 1)[1].rsplit(",", 1)[0] for text in found_in(ids, aftermath.places)}
    assert any(place.endswith("(rows)") for place in where)
    assert any("/api/v1/exchanges?" in place for place in where)
    assert any("/api/v1/exchanges/" in place for place in where)
    kinds = [name for name, text in aftermath.places.items() if text and name.startswith("spectap-agent.std")]
    assert kinds, "the agent logged something"


@pytest.mark.parametrize(
    ("case", "name", "start"),
    [
        ("basic", "Authorization", b"Basic "),
        ("bearer", "Authorization", b"Bearer "),
        ("jwt", "Authorization", b"Bearer "),
        ("cookie", "Cookie", b"theme="),
        ("api-key-header", "X-Api-Key", b""),
        ("pieces", "X-Api-Key", b""),
    ],
)
def test_a_masked_request_header_keeps_its_name_and_scheme(
    aftermath: Aftermath, case: str, name: str, start: bytes
) -> None:
    for _, seen in cases_named(aftermath, case):
        assert seen.request is not None
        value = header(seen.request.headers, name)
        assert value is not None
        assert value.startswith(start)
        assert PLACEHOLDER in value


@pytest.mark.parametrize("name", ["Set-Cookie", "X-Auth-Token"])
def test_a_masked_response_header_keeps_its_name(aftermath: Aftermath, name: str) -> None:
    for _, seen in cases_named(aftermath, "reply-headers"):
        assert seen.response is not None
        value = header(seen.response.headers, name)
        assert value is not None
        assert PLACEHOLDER in value
        if name == "Set-Cookie":
            assert value.startswith(b"session=")
            assert b"httponly" in value.lower()


@pytest.mark.parametrize(
    ("case", "pointer"),
    [
        ("json", ("user", "password")),
        ("json", ("list", 0, "access_token")),
        ("json-escaped", ("password",)),
        ("gzip-request", ("password",)),
        ("gzip-answer", ("password",)),
        ("pieces", ("password",)),
        ("chunked", ("password",)),
    ],
)
def test_a_masked_json_field_is_a_text_still_and_its_neighbours_are_untouched(
    aftermath: Aftermath, case: str, pointer: tuple[Any, ...]
) -> None:
    for one, seen in cases_named(aftermath, case):
        part = seen.response if case in ("gzip-answer", "chunked") else seen.request
        assert part is not None
        assert part.data is not None
        document = json.loads(part.data)
        value = document
        for step in pointer:
            value = value[step]
        assert PLACEHOLDER.decode() in value
        if case == "json":
            assert (document["count"], document["user"]["name"]) == (3, "ada")
        if case == "chunked":
            assert one.call.body is not None
            assert document["more"] == json.loads(one.call.body)["more"]


@pytest.mark.parametrize("case", ["query", "query-encoded", "query-twice"])
def test_a_masked_query_keeps_its_names_and_other_values(aftermath: Aftermath, case: str) -> None:
    for one, seen in cases_named(aftermath, case):
        assert seen.query is not None
        assert PLACEHOLDER in seen.query
        sent = one.call.target.partition(b"?")[2]
        assert seen.query.partition(b"=")[0] == sent.partition(b"=")[0]
        assert (b"page=2" in seen.query) == (b"page=2" in sent)


def test_a_masked_path_segment_leaves_the_others(aftermath: Aftermath) -> None:
    for one, seen in cases_named(aftermath, "path"):
        assert seen.path is not None
        before, masked, after = seen.path[1:].split(b"/")
        assert (before, after.decode()) == (b"echo", one.call.id)
        assert PLACEHOLDER in masked


def test_a_masked_form_keeps_its_names_and_other_values(aftermath: Aftermath) -> None:
    for _, seen in cases_named(aftermath, "form"):
        assert seen.request is not None
        assert seen.request.data is not None
        assert seen.request.data.startswith(b"user=ada&password=")
        assert seen.request.data.endswith(b"&remember=yes")


def test_a_credential_is_told_by_scheme_and_fingerprint(aftermath: Aftermath) -> None:
    """The same caller has the same fingerprint over plain HTTP and TLS; another caller has another."""
    fingerprints = {}
    for case, scheme in (
        ("basic", "basic"),
        ("bearer", "bearer"),
        ("jwt", "bearer"),
        ("api-key-header", None),
    ):
        found = [credential(seen) for _, seen in cases_named(aftermath, case)]
        assert found[0] == found[1]
        assert scheme is None or found[0][0].lower() == scheme
        fingerprints[case] = found[0][1]
    assert all(fingerprints.values())
    assert len(set(fingerprints.values())) == len(fingerprints)


def credential(seen: Seen) -> tuple[str, str]:
    consumer = seen.raw["consumer"]
    return consumer["credential_scheme"], consumer["credential"]


def test_each_verdict_is_there_though_values_are_masked(aftermath: Aftermath) -> None:
    judged = {name: case for name, case in aftermath.cases.items() if case.verdicts is not None}
    wrong = [
        (case.case, aftermath.stored[name].raw["deviations"], aftermath.stored[name].verdict, case.verdicts)
        for name, case in judged.items()
        if aftermath.stored[name].verdict not in (case.verdicts or ())
    ]
    assert wrong == []


def test_facts_of_a_json_web_token_are_kept_without_it(aftermath: Aftermath) -> None:
    for _, seen in cases_named(aftermath, "jwt"):
        assert seen.raw["consumer"]["facts"]["jwt.alg"] == "HS256"
