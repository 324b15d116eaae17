"""Recorded traffic of real processes: the same records on each read, and only true ones whatever the
damage.
"""

from __future__ import annotations

import gzip
import io
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from agent import cli, config
from agent.commands.read import write
from agent.events import Chunk, Closed, Event, Lost, Opened, ProcessSeen, Tick
from agent.http.connections import connections
from agent.http.messages import Body, BodyState, Completeness, Exchange, Headers
from agent.ledger import Bytes, Exchanges, Ledger
from agent.pipeline import turns
from agent.redact.policy import Policy
from agent.streams.table import Limits
from tests.agent.http.talks import seen_in
from tests.agent.recorded import FOLDER, KEY, NAMES, Harm, passed, pipeline, recorded, records, summary

CAP = 65536
ID = re.compile(rb'"id": "([a-z0-9-]+)"|([a-z0-9-]+)\|[0-9]+\|')
"""An id in a JSON body, or in a gRPC message."""

WHOLE = [name for name in NAMES if not name.endswith(("-late", "-loss"))]
"""Captured from the first byte: finding a message in the middle takes one that begins with a call."""

SMALL = Limits(connections=2, held_bytes=4096)
rates = st.sampled_from([0.0, 0.02, 0.2])
harms = st.builds(Harm, st.integers(0, 2**32), rates, rates, rates, rates, rates)
thorough = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # Hypothesis cannot simplify a seed
)


def read(name: str, folder: Path) -> bytes:
    """Reads as `spectap-agent read` does."""
    key = folder / "key"
    if not key.exists():
        key.write_bytes(KEY)
        key.chmod(0o600)
    options = cli.parser().parse_args(["read", str(FOLDER / f"{name}.gz"), "--key-file", str(key)])
    out = io.BytesIO()
    (file,) = options.files
    write(file, config.settings(options), Policy(), out)
    return out.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_gives_the_records_that_it_gave_when_it_was_made(name: str) -> None:
    assert summary(name) == (FOLDER / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_gives_the_same_records_bit_for_bit(name: str, tmp_path: Path) -> None:
    first = read(name, tmp_path)
    assert first
    assert first == read(name, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_it_does_not_matter_how_many_events_are_taken_at_a_time(name: str) -> None:
    events, one, several = recorded(name)[1], Ledger(), Ledger()
    made = pipeline(name, several)
    found = [record for turn in turns(events) for record in made.process(*turn).records]
    found += made.finish().records
    assert found == list(records(pipeline(name, one), events))
    assert several.as_map() == one.as_map()


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_tells_nothing_of_the_machine_it_was_made_on(name: str) -> None:
    header, events = recorded(name)
    assert (header.agent, header.node, header.cluster) == ("recorder", "node", "tests")
    seen = [event for event in events if isinstance(event, ProcessSeen)]
    assert {event.cgroup for event in seen} == {None}
    assert {str(Path(event.executable or "").parent) for event in seen} == {"/usr/bin"}
    ends = {a.ip for event in events if isinstance(event, Chunk) for a in (event.local, event.peer) if a}
    assert ends == {"127.0.0.1"}


def test_the_recordings_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 300 * 1024


@pytest.mark.parametrize("name", NAMES)
@thorough
@given(harm=harms, cap=st.sampled_from([0, 100, CAP]))
@example(harm=Harm(57, 0.2, late=0.02), cap=0)  # h1-loss: requests read after their responses
def test_whatever_is_lost_late_doubled_or_cut_no_body_is_on_a_wrong_request_and_no_byte_unaccounted(
    name: str, harm: Harm, cap: int
) -> None:
    watch(harm.to(recorded(name)[1]), Limits(), cap)


@pytest.mark.parametrize("name", NAMES)
@thorough
@given(harm=harms)
@example(harm=Harm(2977313086, 0.2, 0.05, 0.02, 0.05, 0.05))  # h1-tls: evicted twice before a late request
def test_nor_in_tables_that_are_far_too_small(name: str, harm: Harm) -> None:
    watch(harm.to(recorded(name)[1]), SMALL, CAP)


@pytest.mark.parametrize("name", WHOLE)
@settings(thorough, max_examples=6)
@given(harm=st.builds(Harm, st.integers(0, 2**32), twice=rates, cut=rates))
def test_what_is_only_doubled_or_cut_gives_the_exchanges_it_gave_before(name: str, harm: Harm) -> None:
    events = recorded(name)[1]
    assert told(watch(harm.to(events), Limits(), CAP)) == told(watch(list(events), Limits(), CAP))


@pytest.mark.parametrize("name", ["h1", "h1-tls"])
@settings(thorough, max_examples=6)
@given(harm=st.builds(Harm, st.integers(0, 2**32), twice=rates, late=rates, cut=rates))
def test_nor_does_it_matter_in_http1_what_is_late(name: str, harm: Harm) -> None:
    events = recorded(name)[1]
    assert told(watch(harm.to(events), Limits(), CAP)) == told(watch(list(events), Limits(), CAP))


@pytest.mark.parametrize("name", NAMES)
@settings(thorough, max_examples=6)
@given(harm=harms)
def test_every_exchange_is_a_record(name: str, harm: Harm) -> None:
    ledger, events = Ledger(), harm.to(recorded(name)[1])
    made = sum(1 for _ in records(pipeline(name, ledger), events))
    assert ledger.exchanges[Exchanges.REDACTION_FAILED] == 0
    assert made == len(watch(events, Limits(), Policy().body_limit))


def watch(events: list[Event], limits: Limits, cap: int) -> list[Exchange]:
    """The exchanges of these events, each checked; so are the ledger and what is held at every step."""
    ledger, exchanges, now = Ledger(), [], 0
    table = connections(limits, cap, ledger)
    for event in events:
        if isinstance(event, Tick):
            now = event.time_ns
            exchanges += [seen.exchange for seen in seen_in(table.tick(now))]
        elif isinstance(event, (Opened, Chunk, Closed)):
            now = event.time_ns
            exchanges += [seen.exchange for seen in seen_in(table.feed(event))]
        elif isinstance(event, Lost) and event.what in set(Bytes):
            ledger.bytes[event.what] += event.count
        assert len(table) <= limits.connections
        assert table.held <= limits.held_bytes or len(table) == 1
    exchanges += [seen.exchange for seen in seen_in(table.finish(now))]
    assert table.held == 0
    assert sum(ledger.bytes.values()) == passed(events)
    for exchange in exchanges:
        check(exchange, cap)
    return exchanges


def check(exchange: Exchange, cap: int) -> None:
    """Headers and bodies contain the path's id and no other."""
    ids: set[bytes] = set()
    if exchange.request is not None:
        ids.add(exchange.request.target.partition(b"?")[0].rsplit(b"/", 1)[-1])
        ids |= carried(exchange.request.headers, exchange.request.body, cap)
    if exchange.response is not None:
        ids |= carried(exchange.response.headers, exchange.response.body, cap)
    assert len(ids) <= 1, exchange.completeness
    if exchange.completeness is Completeness.COMPLETE:
        assert exchange.request is not None
        assert exchange.response is not None
        assert exchange.request.body.state is exchange.response.body.state is BodyState.COMPLETE


def carried(headers: Headers, body: Body, cap: int) -> set[bytes]:
    assert len(body.data) <= cap
    text = body.data
    if (b"content-encoding", b"gzip") in headers:
        text = gzip.decompress(text) if text and body.state is BodyState.COMPLETE else b""
    found = {json or message for json, message in ID.findall(text)}
    return found | {value for name, value in headers if name == b"x-spectap-test"}


def told(exchanges: list[Exchange]) -> list[tuple[object, ...]]:
    """Everything except times, in any order: which view settles first may differ."""
    return sorted(
        (
            (
                one.request and (one.request.target, one.request.headers, one.request.body.data),
                one.response and (one.response.status, one.response.headers, one.response.body.data),
                one.completeness,
                one.grpc and (one.grpc.status, one.grpc.request_messages, one.grpc.response_messages),
            )
            for one in exchanges
        ),
        key=repr,
    )
