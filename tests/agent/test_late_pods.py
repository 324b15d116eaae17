"""From events to records: pods that become known late, and pods that opted out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from agent import late_pods
from agent.events import Chunk, Clock, Closed, Direction, Event, Opened, PodsWatched, ProcessSeen, Role, Tick
from agent.late_pods import HOLD_NS
from agent.ledger import Attribution, Exchanges, Ledger
from agent.pipeline import Pipeline
from agent.redact.policy import Policy
from agent.redact.redactor import Redactor
from agent.streams.table import Limits
from agent.views import Origin
from agent.wire import Record, pack_record
from tests.agent.identity.test_pods import POD, process
from tests.agent.test_pipeline import CLIENT, KEY, REQUEST, RESPONSE, SERVER, chunk

ALL, ANNOTATED = PodsWatched(1, unknown=True, others=True), PodsWatched(1, unknown=False, others=False)
CALL: tuple[Event, ...] = (
    Opened(2, KEY, SERVER, CLIENT, Role.SERVER),
    chunk(10, Direction.RECEIVED, REQUEST),
    chunk(20, Direction.SENT, RESPONSE),
    Closed(30, KEY),
)
HOST = ProcessSeen(1, 42, 1, "cartd", "/cartd", "/system.slice/cart.service")
OPTED_OUT = replace(POD, captured=False)


class Node:
    def __init__(self) -> None:
        self.ledger = Ledger()
        origin = Origin("agent-1", "node-1", None)
        self._pipeline = Pipeline(origin, Policy(), Redactor(Policy(), b"k" * 32), self.ledger, Limits())

    def records(self, *events: Event) -> list[Record]:
        return self._pipeline.process(*events).records

    def rest(self) -> list[Record]:
        return self._pipeline.finish().records


@pytest.fixture
def node() -> Node:
    return Node()


def pods(records: Iterable[Record]) -> list[str | None]:
    return [record.server.pod if record.server else None for record in records]


def test_a_call_of_a_known_pod_leaves_at_once_with_its_name(node: Node) -> None:
    assert pods(node.records(Clock(0, "boot"), ALL, process(), POD, *CALL)) == ["cart-1"]
    assert node.ledger.pods == {}


def test_a_call_of_a_pod_that_is_described_a_little_later_waits_for_its_name(node: Node) -> None:
    assert node.records(Clock(0, "boot"), ALL, process(), *CALL, Tick(HOLD_NS)) == []
    assert pods(node.records(replace(POD, time_ns=HOLD_NS), Tick(HOLD_NS + 1))) == ["cart-1"]
    assert node.ledger.pods == node.ledger.exchanges == {}


def test_after_two_seconds_it_leaves_as_unknown_and_is_counted(node: Node) -> None:
    assert node.records(Clock(0, "boot"), ALL, process(), *CALL, Tick(20 + HOLD_NS - 1)) == []
    assert pods(node.records(Tick(20 + HOLD_NS))) == [None]
    assert node.ledger.pods == {Attribution.UNKNOWN: 1}


def test_where_only_annotated_pods_are_captured_an_unknown_one_is_left_out_and_counted(node: Node) -> None:
    assert node.records(Clock(0, "boot"), ANNOTATED, process(), *CALL) == []
    assert node.records(Tick(20 + HOLD_NS)) == []
    assert node.ledger.exchanges == {Exchanges.PARSED: 1, Exchanges.OPTED_OUT: 1}


def test_a_pod_that_opted_out_is_left_out_also_if_that_is_known_late(node: Node) -> None:
    assert node.records(Clock(0, "boot"), ALL, process(), OPTED_OUT, *CALL) == []
    assert node.records(replace(POD, uid="other"), process(uid="9" * 32), *CALL, Tick(40)) == []
    assert node.records(replace(OPTED_OUT, uid="9" * 32), Tick(50)) == []
    assert node.rest() == []
    assert node.ledger.exchanges == {Exchanges.PARSED: 2, Exchanges.OPTED_OUT: 2}


def test_processes_of_the_host_are_captured_unless_only_annotated_pods_are(node: Node) -> None:
    assert pods(node.records(Clock(0, "boot"), ALL, HOST, *CALL)) == [None]
    assert node.records(ANNOTATED, *CALL) == []
    assert node.ledger.exchanges == {Exchanges.PARSED: 1, Exchanges.OPTED_OUT: 1}


def test_without_kubernetes_a_pod_is_waited_for_by_nobody(node: Node) -> None:
    assert pods(node.records(Clock(0, "boot"), process(), *CALL)) == [None]
    assert node.ledger.pods == {}


@pytest.mark.parametrize("begun", [b"POST /long HTTP/1.1\r\nContent-Length: 5000\r\n\r\nabc", b"GET / HT"])
def test_a_message_that_was_cut_by_opting_out_does_not_swallow_what_is_captured_afterwards(
    node: Node, begun: bytes
) -> None:
    opened, asked, answered, _ = CALL
    assert isinstance(asked, Chunk)
    first = replace(asked, data=begun, length=len(begun))
    before = node.records(Clock(0, "boot"), ALL, process(), POD, opened, first, Tick(11))
    assert before == []
    node.records(OPTED_OUT, Tick(12), POD)  # bytes in between are in no chunk and in no position
    after = [*node.records(replace(asked, position=len(begun)), answered, Closed(30, KEY)), *node.rest()]
    seen = {one.request.path: one.completeness for one in after if one.request is not None}
    assert b"/pets/7" in seen
    assert seen.get(b"/long") != "complete"
    assert [one.response.status for one in after if one.response is not None] == [200]


def test_at_the_end_what_waits_leaves_as_unknown(node: Node) -> None:
    assert node.records(Clock(0, "boot"), ALL, process(), *CALL) == []
    assert pods(node.rest()) == [None]
    assert node.ledger.pods == {Attribution.UNKNOWN: 1}


def test_beyond_the_bound_the_oldest_goes_first(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_pods, "MOST", 1)
    assert pods(node.records(Clock(0, "boot"), ALL, process(), *CALL, *CALL)) == [None]
    assert node.ledger.pods == {Attribution.UNKNOWN: 1}


def test_the_same_events_make_the_same_records_byte_for_byte() -> None:
    events = (Clock(0, "boot"), ALL, process(), *CALL, POD, Tick(40), *CALL)
    first, second = ([pack_record(one) for one in (*node.records(*events), *node.rest())] for node in _two())
    assert first == second
    assert len(first) == 2


def _two() -> tuple[Node, Node]:
    return Node(), Node()


def test_a_call_is_grouped_by_the_header_of_a_pod_that_is_described_late(node: Node) -> None:
    asked = REQUEST.replace(b"\r\n\r\n", b"\r\nX-Team: blue\r\n\r\n", 1)
    opened, _, answer, closed = CALL
    call = (opened, chunk(10, Direction.RECEIVED, asked), answer, closed)
    assert node.records(Clock(0, "boot"), ALL, process(), *call) == []
    annotated = replace(POD, time_ns=HOLD_NS, aggregation_header="x-team")
    (made,) = node.records(annotated, Tick(HOLD_NS))
    assert made.consumer.aggregation == "blue"
