"""TLS libraries but the distribution's OpenSSL: each call is stored once, with both ends and their peers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import pytest

from tests.e2e import grpc_calls, lighttpd, nginx, services
from tests.e2e.calls import echo_call, fresh_id, get_call
from tests.e2e.certificates import Certificate
from tests.e2e.compare import disagreements
from tests.e2e.judged import stored_truly, unexpected
from tests.e2e.observations import AGGREGATION_HEADER, Observation
from tests.e2e.processes import PATIENCE, environment, free_port, listening, running, wait_until
from tests.e2e.seen import Seen
from tests.e2e.services import server_saw
from tests.e2e.spectap import Spectap, just_before, watching

pytestmark = pytest.mark.root

EITHER = frozenset({"gnutls", "openssl"})  # at the two ends of a call


@pytest.fixture(scope="module")
def spectap(folder: Path) -> Iterator[Spectap]:
    with watching(folder) as started:
        yield started


@pytest.mark.parametrize("protocol", ["h1", "h2"])
def test_calls_to_a_server_on_gnutls_are_stored_once_and_true(
    spectap: Spectap, protocol: str, tmp_path: Path, certificate: Certificate
) -> None:
    options: list[object] = ["--cacert", certificate.certificate]
    options += ["--http2", "--parallel", "--parallel-max", 8] if protocol == "h2" else ["--http1.1"]
    calls = [
        *(echo_call("gnutls", size=number % 7 * 4000) for number in range(24)),
        get_call("gnutls", "/echo"),
    ]
    with lighttpd.serving("gnutls", tmp_path, certificate) as server:
        by_client = services.curl(tmp_path, f"https://127.0.0.1:{server.port}", calls, *options)
        by_server = server_saw(server, by_client)
        stored_truly(spectap, server.port, by_client, by_server, tls=EITHER, protocol=protocol)
        everything = spectap.at_port(server.port, just_before(by_client))
    assert len(everything) == len(calls)


@pytest.mark.parametrize("server", ["gnutls", "openssl"])
def test_wget_is_seen_from_its_gnutls(
    spectap: Spectap, server: str, tmp_path: Path, certificate: Certificate
) -> None:
    with (
        lighttpd.serving("front", tmp_path, certificate)
        if server == "gnutls"
        else services.echo("front", tmp_path, certificate=certificate) as serving
    ):
        by_client = []
        for call in [get_call("wget", "/bytes/30000") for _ in range(5)]:
            saved = tmp_path / f"{call.id}.answer"
            argv = ["wget", "--quiet", "--no-proxy", f"--ca-certificate={certificate.certificate}"]
            argv += ["--header", f"{AGGREGATION_HEADER}: {call.id}", "-O", str(saved)]
            url = f"https://127.0.0.1:{serving.port}{call.target.decode()}"
            by_client.append(services.one_shot(tmp_path, [*argv, url], call, saved))
        by_server = server_saw(serving, by_client)
        libraries = frozenset({"gnutls", server})
        stored_truly(spectap, serving.port, by_client, by_server, tls=libraries)


def test_gits_http2_calls_are_seen_from_its_gnutls(
    spectap: Spectap, tmp_path: Path, certificate: Certificate
) -> None:
    """Debian's git uses the libcurl that is built with GnuTLS."""
    name = fresh_id("git")
    with nginx.serving("git", tmp_path, 1, certificate=certificate, http2=True) as front:
        repository = front.folder / f"www/files/{name}.git"
        git(tmp_path, "init", "--bare", repository)
        git(repository, "update-server-info")
        url = f"https://127.0.0.1:{front.port}/files/{name}.git"
        git(
            tmp_path,
            "-c",
            f"http.extraHeader={AGGREGATION_HEADER}: {name}",
            "ls-remote",
            url,
            trust=certificate,
        )

        def mine(found: list[Seen]) -> list[Seen]:
            return [seen for seen in found if name.encode() in (seen.path or b"")]

        log = wait_until(front.observations, "nginx's log")
        stored = mine(
            spectap.wait_for(
                lambda found: sum(len(seen.witnesses) for seen in mine(found)) >= 2 * len(log), "git's calls"
            )
        )
    assert len(stored) == len(log) >= 2
    wrong = [
        text
        for seen in stored
        for one in log
        if seen.path == one.target.partition(b"?")[0]
        for text in [*disagreements(seen, [one]), *unexpected(seen, EITHER, "h2")]
    ]
    assert not wrong


def git(where: Path, *arguments: object, trust: Certificate | None = None) -> None:
    trusted = {"GIT_SSL_CAINFO": str(trust.certificate)} if trust else {}
    subprocess.run(
        ["git", *map(str, arguments)],
        check=True,
        cwd=where,
        env=environment() | trusted,
        timeout=PATIENCE,
        capture_output=True,
    )


def test_gnutls_own_client_and_server_are_seen_from_both_ends(
    spectap: Spectap, tmp_path: Path, certificate: Certificate
) -> None:
    port = free_port()
    argv = ["gnutls-serv", "--http", "--port", str(port)]
    argv += ["--x509certfile", str(certificate.certificate), "--x509keyfile", str(certificate.key)]
    calls = [get_call("gnutls-cli", "/any") for _ in range(4)]
    with running("gnutls-serv", argv, tmp_path) as server:
        server.wait_for(lambda: listening(port), "listening")
        by_client = [services.gnutls_cli(port, call, certificate) for call in calls]
        stored = spectap.of_port(port, by_client)
    wrong = [
        text
        for one in by_client
        for text in [
            *disagreements(stored[one.id], [one], bodies=False),
            *unexpected(stored[one.id], "gnutls"),
        ]
    ]
    assert not wrong
    assert all(one.id.encode() in (one.response.data or b"") for one in by_client if one.response)


@pytest.mark.parametrize("protocol", ["h1", "h2"])
def test_pyopenssl_is_seen_at_both_ends_in_the_openssl_that_cryptography_contains(
    spectap: Spectap, protocol: str, tmp_path: Path, certificate: Certificate
) -> None:
    language = "h2" if protocol == "h2" else "python"
    by_pyopenssl: dict[str, Any] = {"certificate": certificate, "language": language}
    with (
        services.echo("server", tmp_path, "--pyopenssl", **by_pyopenssl) as server,
        services.caller("caller", tmp_path, server.port, "--pyopenssl", **by_pyopenssl) as caller,
    ):
        probed = {server.process.pid, caller.process.pid}
        wait_until(lambda: spectap.sees(caller.make([echo_call("first")]), probed), "probes in both")
        by_client = caller.make(
            [echo_call("pyopenssl", number % 4, size=number * 900) for number in range(24)]
        )
        by_server = server_saw(server, by_client)
        stored_truly(spectap, server.port, by_client, by_server, tls="openssl", protocol=protocol)
    assert any(path.endswith("/_rust.abi3.so") for path in probed_files(spectap))


def probed_files(spectap: Spectap) -> list[str]:
    return [watched["path"] or "" for watched in spectap.agent.status()["watching"]]


@pytest.mark.parametrize("protocol", ["h1", "h2"])
def test_openssl_1_1_is_seen_in_libcurl(
    spectap: Spectap, protocol: str, tmp_path: Path, certificate: Certificate
) -> None:
    pytest.importorskip("pycurl", reason="the last wheel of pycurl with OpenSSL 1.1 is for Python 3.12")
    is_h2 = protocol == "h2"
    with (
        services.echo("backend", tmp_path) as backend,
        nginx.serving("front", tmp_path, backend.port, certificate=certificate, http2=is_h2) as front,
        services.caller(
            "curl", tmp_path, front.port, *(["--http2"] * is_h2), certificate=certificate, language="curl"
        ) as caller,
    ):
        probed = {caller.process.pid}
        wait_until(
            lambda: spectap.sees(caller.make([echo_call("first")]), probed, views=2),
            "probes in libcurl and nginx",
        )
        by_client = caller.make([echo_call("openssl-1-1", size=number * 900) for number in range(24)])
        by_server = server_saw(front, by_client)
        stored_truly(spectap, front.port, by_client, by_server, tls="openssl", protocol=protocol)
    assert any("/libssl-" in path and ".so.1.1" in path for path in probed_files(spectap))


def test_openssl_linked_in_statically_is_seen_by_its_symbols(
    spectap: Spectap, tmp_path: Path, certificate: Certificate
) -> None:
    program = services.static_client(tmp_path)
    with services.echo("server", tmp_path, certificate=certificate) as server:

        def made() -> list[Observation]:
            calls = [get_call("static", "/bytes/3000") for _ in range(6)]
            targets = [call.target.decode() for call in calls]
            client = [str(program), str(server.port), str(certificate.certificate), *targets]
            subprocess.run(client, stdin=DEVNULL, check=True, capture_output=True, timeout=PATIENCE)
            return list(server_saw(server, map(services.bare, calls)).values())

        def from_both_ends() -> bool:
            known = spectap.at_port(server.port, just_before(made()))
            return any(len(seen.witnesses) == 2 for seen in known)

        wait_until(from_both_ends, "probes in the client")
        calls = made()
        stored_truly(spectap, server.port, calls, {call.id: call for call in calls}, tls="openssl")
    assert str(program) in probed_files(spectap)


@contextmanager
def grpc_over_tls(server: str, folder: Path, certificate: Certificate) -> Iterator[int]:
    """The port of grpcio's own server, or of nginx in front of it."""
    if server == "grpcio":
        with grpc_calls.serving(folder, certificate) as serving:
            yield serving.port
        return
    with (
        grpc_calls.serving(folder) as backend,
        nginx.serving("front", folder, 1, http2=True, certificate=certificate, grpc=backend.port) as front,
    ):
        yield front.port


@pytest.mark.parametrize("server", ["grpcio", "nginx"])
def test_grpcs_boringssl_is_seen_though_it_has_no_symbols(
    spectap: Spectap, server: str, tmp_path: Path, certificate: Certificate
) -> None:
    with grpc_over_tls(server, tmp_path, certificate) as port:

        def made() -> list[grpc_calls.Made]:
            options = ("--each", 4, "--ca", certificate.certificate)
            return grpc_calls.by_grpcio(port, fresh_id("grpc"), *options)

        def from_both_ends() -> bool:
            known = spectap.at_port(port, just_before(one.seen for one in made()))
            return any(len(seen.witnesses) == 2 for seen in known)

        wait_until(from_both_ends, "probes at both ends")
        calls = made()
        stored = spectap.of_port(port, [one.seen for one in calls])
    assert grpc_calls.wrong(stored, calls) == []
    views = {tuple(sorted(witness.side for witness in seen.witnesses)) for seen in stored.values()}
    assert views == {("client", "server")}
    assert {seen.server for seen in stored.values()} == {("127.0.0.1", port)}
