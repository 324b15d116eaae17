"""WebSocket connections of real programs: both ends count the same, and no secret leaves the node."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.wire import WebSocket, WebSocketHalf
from tests.e2e.certificates import Certificate
from tests.e2e.needles import database_images, files, found_in
from tests.e2e.processes import Running, python, running
from tests.e2e.seen import Seen
from tests.e2e.spectap import Spectap, by_id, fetch, watching
from tests.e2e.stored_records import stored_records
from tests.secret_bodies import CLASSES

pytestmark = pytest.mark.root

SECRET = "Trombone-Parapet-8814"
HELLO = "are you there"
REASON = "enough"
BOTH = {"client", "server"}
SECRETS = [json.dumps(made(SECRET)) for documents in CLASSES.values() for made in documents.values()][:60]


@dataclass(frozen=True, slots=True)
class Talk:
    """One connection as its client is asked to make it."""

    name: str
    parts: list[str | list[str] | int]
    close: int = 1000
    compressed: bool = False

    def line(self, way: str) -> bytes:
        asked = {"path": f"/feed/{self.name}-{way}", "parts": self.parts, "close": self.close}
        return json.dumps({**asked, "compressed": self.compressed}).encode() + b"\n"


TALKS = [
    Talk("short", ['{"colour": "red"}', "hello", 300, ['{"colour":', ' "blue"', "}"]], close=4001),
    Talk("long", [70_000, "x" * 66_000, *["{}"] * 50], close=-1001),
    Talk("planted", [*SECRETS]),
    Talk("compressed", ['{"note": "words and words"}', *SECRETS[:20], 5000], compressed=True),
]
WAYS = ("plain", "tls")


def texts(parts: list[str | list[str] | int]) -> list[str]:
    """The text messages."""
    return ["".join(part) for part in parts if not isinstance(part, int)]


def expected(talk: Talk) -> tuple[WebSocketHalf, WebSocketHalf]:
    """What the client and the server send, without compression. A Ping is answered, a Close frame too; an
    empty frame ends a fragmented text.
    """
    fragments = sum(len(part) for part in talk.parts if isinstance(part, list))
    binary = [part for part in talk.parts if isinstance(part, int)]
    asks = [] if talk.close > 0 else [f"close {-talk.close}"]
    sent = [len(text) for text in (*texts(talk.parts), *asks)]
    back = sum(map(len, texts(talk.parts))) + sum(binary) + len(HELLO)
    messages = len(sent) - len(asks)
    closing = 2 + len(REASON) * (talk.close > 0)
    client = WebSocketHalf(
        frames=len(talk.parts) + len(asks) + fragments + 2,
        text=len(sent),
        binary=len(binary),
        pings=1,
        pongs=0,
        compressed=0,
        bytes=sum(sent) + sum(binary) + len(HELLO) + closing,
        unseen=0,
    )
    server = WebSocketHalf(len(talk.parts) + 2, messages, len(binary), 0, 1, 0, back + closing, 0)
    return client, server


def both_ends(seen: Seen) -> bool:
    return {witness.side for witness in seen.witnesses} == BOTH


@dataclass(frozen=True, slots=True)
class Aftermath:
    stored: dict[str, Seen]
    views: dict[str, list[WebSocket]]
    places: dict[str, bytes]


@pytest.fixture(scope="module")
def aftermath(folder: Path, certificate: Certificate) -> Aftermath:
    kept = folder / "kept"  # the output of spectap itself, without the logs of the programs under test
    kept.mkdir()
    tls: dict[str, list[object]] = {"plain": [], "tls": ["--tls", certificate.certificate, certificate.key]}
    ca: dict[str, list[object]] = {"plain": [], "tls": ["--ca", certificate.certificate]}
    ids = {f"{talk.name}-{way}" for talk in TALKS for way in WAYS}
    with ExitStack() as stack:
        ports = {
            way: stack.enter_context(running(f"{way}-server", python("websocket_server", *tls[way]), folder))
            for way in WAYS
        }
        with watching(kept, "--websocket", "--log-level", "debug") as spectap:
            for way in WAYS:
                port = ports[way].first_line()
                argv = python("websocket_caller", "--port", port, *ca[way])
                with running(f"{way}-caller", argv, folder, stdin=True) as caller:
                    talk_as(way, caller)
            stored = of(spectap, ids)
            url = spectap.server.url
            places = {
                f"{url}{path}{one.id}": fetch(f"{url}{path}{one.id}")
                for path in ("/api/v1/exchanges/", "/exchanges/")
                for one in stored.values()
            }
            places |= database_images(kept)
            records = stored_records(kept)
    found: dict[str, list[WebSocket]] = {name: [] for name in ids}
    for record in records:
        name = record.request.path.rpartition(b"/")[2].decode() if record.request else ""
        if name in found and record.websocket is not None:
            found[name].append(record.websocket)
    return Aftermath(stored, found, places | files(kept))


def size(part: str | list[str] | int) -> int:
    return part if isinstance(part, int) else sum(map(len, part))


def talk_as(way: str, caller: Running) -> None:
    """Makes all connections, and checks that each message came back."""
    assert caller.process.stdin is not None
    caller.process.stdin.write(b"".join(talk.line(way) for talk in TALKS))
    caller.process.stdin.flush()

    def answers() -> list[dict[str, Any]] | None:
        lines = caller.stdout.read_text().splitlines()
        return [json.loads(line) for line in lines] if len(lines) == len(TALKS) else None

    found = caller.wait_for(answers, "the ends of all connections")
    assert [answer["received"] for answer in found] == [[size(part) for part in talk.parts] for talk in TALKS]


def of(spectap: Spectap, ids: set[str]) -> dict[str, Seen]:
    def complete(found: list[Seen]) -> bool:
        known = by_id(found, ids)
        return known.keys() == ids and all(both_ends(seen) for one in known.values() for seen in one)

    known = by_id(spectap.wait_for(complete, "all connections from both ends"), ids)
    assert {name: len(one) for name, one in known.items()} == dict.fromkeys(ids, 1)
    return {name: one[0] for name, one in known.items()}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("talk", [talk for talk in TALKS if not talk.compressed], ids=lambda talk: talk.name)
def test_both_ends_count_what_the_programs_sent(aftermath: Aftermath, talk: Talk, way: str) -> None:
    client, server = expected(talk)
    closed_by = "client" if talk.close > 0 else "server"
    found = aftermath.views[f"{talk.name}-{way}"]
    assert len(found) == 2
    for view in found:
        assert (view.client, view.server) == (client, server)
        assert (view.close_code, view.closed_by) == (abs(talk.close), closed_by)
    shown = aftermath.stored[f"{talk.name}-{way}"]
    assert (shown.status, shown.completeness, shown.raw["upgraded"]) == (101, "complete", "websocket")
    assert shown.raw["websocket"]["client"]["frames"] == client.frames


@pytest.mark.parametrize("way", WAYS)
def test_compressed_messages_are_counted_at_both_ends(aftermath: Aftermath, way: str) -> None:
    (talk,) = [talk for talk in TALKS if talk.compressed]
    one, other = aftermath.views[f"{talk.name}-{way}"]
    assert (one.client, one.server) == (other.client, other.server)
    for half in (one.client, one.server):
        assert half.compressed == half.text + half.binary == len(talk.parts)
        assert half.unseen == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["short", "compressed"])
def test_json_texts_are_kept_of_both_ends(aftermath: Aftermath, name: str, way: str) -> None:
    (talk,) = [talk for talk in TALKS if talk.name == name]
    harmless = [text for text in texts(talk.parts) if text.startswith("{") and SECRET not in text]
    shown = aftermath.stored[f"{name}-{way}"].raw["websocket"]["texts"]
    for side in BOTH:
        kept = [one["data"]["text"] for one in shown if one["sender"] == side]
        assert [text for text in kept if text in harmless] == harmless


def test_no_secret_of_a_text_is_kept_shown_or_logged(aftermath: Aftermath) -> None:
    wanted = {"secret": SECRET.encode()}
    assert found_in(wanted, {"what the client sent": TALKS[2].line("tls")})
    assert found_in(wanted, aftermath.places) == []
    for way in WAYS:
        shown = aftermath.stored[f"planted-{way}"].raw["websocket"]["texts"]
        assert len(shown) > len(SECRETS)  # of both ends: masked, not dropped
