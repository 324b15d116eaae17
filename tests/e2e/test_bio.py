"""OpenSSL through BIOs, which do without SSL_read and SSL_write: each call is stored once and true."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import services
from tests.e2e.calls import get_call
from tests.e2e.certificates import Certificate
from tests.e2e.observations import AGGREGATION_HEADER
from tests.e2e.processes import PATIENCE, free_port, listening, running
from tests.e2e.seen import Seen
from tests.e2e.spectap import Spectap, by_id, watching

pytestmark = pytest.mark.root

CALLS = 5
SOURCE = Path(__file__).parent / "programs" / "bio_client.c"


@pytest.fixture(scope="module")
def spectap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spectap]:
    with watching(tmp_path_factory.mktemp("bio")) as started:
        yield started


def stored(spectap: Spectap, ids: set[str]) -> dict[str, Seen]:
    """The exchanges of these calls, once each was seen at both ends."""

    def both(found: list[Seen]) -> bool:
        known = by_id(found, ids)
        return sum(len(seen.witnesses) for one in known.values() for seen in one) >= 2 * len(ids)

    known = by_id(spectap.wait_for(both, f"{len(ids)} calls"), ids)
    assert {name: len(one) for name, one in known.items()} == dict.fromkeys(ids, 1)
    return {name: one[0] for name, one in known.items()}


def check(seen: Seen, port: int, client: str, server: str) -> None:
    names = {one["side"]: one["process"]["name"] for one in seen.raw["witnesses"]}
    assert names == {"client": client, "server": server}
    assert (seen.server, seen.tls, seen.status, seen.completeness) == (
        ("127.0.0.1", port),
        "openssl",
        200,
        "complete",
    )


@pytest.mark.parametrize("serves", ["-www", "-WWW"])
def test_s_server_is_seen(spectap: Spectap, tmp_path: Path, certificate: Certificate, serves: str) -> None:
    port = free_port()
    argv = ["env", "-C", str(tmp_path), "openssl", "s_server", serves, "-accept", f"127.0.0.1:{port}"]
    argv += ["-cert", str(certificate.certificate), "-key", str(certificate.key), "-quiet"]
    calls = [get_call(f"bio{serves.lower()}", "/files") for _ in range(CALLS)]
    (tmp_path / "files").mkdir()
    for call in calls:
        (tmp_path / "files" / call.id).write_text(f"the file of {call.id}\n")
    with running("s_server", argv, tmp_path) as process:
        process.wait_for(lambda: listening(port), "s_server")
        base, options = f"https://127.0.0.1:{port}", ("--cacert", certificate.certificate)
        made = {call.id: services.curl(tmp_path, base, [call], *options)[0] for call in calls}
    for name, seen in stored(spectap, set(made)).items():
        check(seen, port, "curl", "openssl")
        assert seen.response is not None
        assert made[name].response is not None
        assert seen.response.size == made[name].response.size  # type: ignore[union-attr]


def test_a_client_through_a_chain_of_bios_is_seen(
    spectap: Spectap, tmp_path: Path, certificate: Certificate
) -> None:
    program = tmp_path / "bio_client"
    linked = ["-l:libssl.so.3", "-l:libcrypto.so.3"]
    subprocess.run(["gcc", "-O1", "-o", program, SOURCE, *linked], check=True, timeout=PATIENCE)
    calls = [get_call("bio-client", "/bytes/500") for _ in range(CALLS)]
    with services.any_server("python", tmp_path, certificate) as server:
        for call in calls:
            words = [f"127.0.0.1:{server.port}", call.target.decode(), f"{AGGREGATION_HEADER}: {call.id}"]
            answer = subprocess.run([program, *words], capture_output=True, check=True, timeout=PATIENCE)
            assert answer.stdout.startswith(b"HTTP/1.1 200")
        for seen in stored(spectap, {call.id for call in calls}).values():
            check(seen, server.port, "bio_client", "python")
