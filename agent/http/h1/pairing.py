"""Which response answers which request of one connection.

Without loss the n-th final response answers the n-th request. After a gap that may have hidden messages,
order proves nothing: a response is then paired only if a client that waits for each answer leaves one
possibility, and never on a connection that has pipelined. In doubt, request and response are reported
separately: no body is attributed to a request it may not belong to.

A client pipelines if a request shared a segment with the end of the one before, or was sent before the
response to that one, as far as both were seen: one whose requests come in segments of their own, and whose
responses are lost from the first on, is taken for one that waits.

Between the oldest waiting request and the next response, `Order` is one of five states:

| order     | requests sent before the response      | it answers | next                                     |
|-----------|----------------------------------------|------------|------------------------------------------|
| KEPT      | one                                    | the oldest | KEPT                                     |
|           | several                                | the oldest | KEPT; the client pipelines               |
| FENCED,   | one, of a client that waits            | the oldest | KEPT                                     |
| LOSSY     | several, of a client that waits, once  | none       | all are given up; OWED by all but one    |
|           | several, any time after                | none       | ABANDONED                                |
|           | any, of a client that pipelines        | none       | ABANDONED                                |
| OWED      | any                                    | none       | all are given up; OWED by one less       |
| ABANDONED |                                        | none       | ABANDONED                                |
| any       | none: it answers one that was lost     | none       | the next request is FENCED               |

A gap in the requests makes the next one FENCED, a gap in the responses makes all waiting ones LOSSY. "Once"
applies to a connection whose first responses were not seen: there a lost answer explains the queue; it is not
known which request this response answers, and the others may still be answered.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from agent.http.h1.draft import PairDraft
from agent.http.h1.facts import (
    Interim,
    RequestBegun,
    RequestDone,
    RequestFact,
    ResponseDone,
    ResponseFact,
    SyncLost,
)
from agent.http.messages import Completeness, Exchange, header

MAX_OUTSTANDING = 16_384
"""Requests of one connection that wait for a response; beyond the bound all are given up. Before that, their
memory may make the table give up the connection (`held_bytes` of agent/streams/table.py).
"""


class Order(Enum):
    """How certain it is that a response answers the oldest waiting request; see above."""

    KEPT = auto()  # nothing was lost between them
    FENCED = auto()  # earlier requests may have passed unseen
    LOSSY = auto()  # responses may have passed unseen
    OWED = auto()  # like these two, and answers to given-up requests may still come
    ABANDONED = auto()  # nothing is paired from now on


class Pairer:
    """Takes the facts of both readers; `drain` returns the finished exchanges.

    `late`: the connection is older than the source. `fenced` and `response_lost`: the requests or the
    responses are not captured from the first byte of their half, the latter with a gap until `lost_ns`.
    `upgraded` names the protocol that took over the connection, once one has. `held` is the memory of what
    waits here, roughly: bodies, and requests that wait behind another.
    """

    def __init__(
        self,
        *,
        late: bool = False,
        fenced: bool = False,
        response_lost: bool = False,
        lost_ns: int | None = None,
    ) -> None:
        self._queue: deque[PairDraft] = deque()  # unanswered requests, in order
        self._sending: PairDraft | None = None  # its request is being read
        self._current: PairDraft | None = None  # its response is being read (1xx count)
        self._finished: list[Exchange] = []
        self._ordinal = 0
        self._absolute = not (late or fenced)  # no request has passed unseen
        self._late = late
        self._first_ns: int | None = None  # when the first request began
        self._fence = fenced  # the next request may not be the next that was sent
        self._response_lost = response_lost  # responses may have passed unseen
        self._lost_ns = lost_ns  # responses to earlier requests may be lost or reported alone
        self._pipelined = False
        self._owed: int | None = None if response_lost else 0  # None: "once" is still to come
        self._unpaired = False  # pairing is given up on this connection
        self.upgraded: bytes | None = None
        self.held = 0

    def drain(self) -> list[Exchange]:
        """Removes and returns the exchanges finished since the last call."""
        finished, self._finished = self._finished, []
        return finished

    @property
    def switching(self) -> bool:
        """Whether the client's next bytes have no meaning yet: its last request offers to switch to another
        protocol, and the response decides.
        """
        if self._sending is not None:
            return False
        last = self._queue[-1] if self._queue else self._current
        return last is not None and last.switch is not None

    # Requests

    def on_request(self, fact: RequestFact) -> None:
        """Takes the next fact of the client's half."""
        if isinstance(fact, RequestBegun):
            self._request_began(fact)
        elif isinstance(fact, RequestDone):
            self._request_done(fact)
        elif isinstance(fact, SyncLost):
            if fact.error is not None:
                self._enqueue(self._draft(fact.start_ns, None, fact.error))
            self._fence, self._absolute = True, False

    def _request_began(self, fact: RequestBegun) -> None:
        head = fact.head
        self._pipelined = self._pipelined or fact.pipelined
        if self._first_ns is None:
            self._first_ns = fact.start_ns
        draft = self._draft(fact.start_ns, head.method, head.error)
        draft.switch = b"CONNECT" if head.method == b"CONNECT" else header(head.headers, b"upgrade")
        self._sending = draft
        self._enqueue(draft)

    def _request_done(self, fact: RequestDone) -> None:
        draft, self._sending = self._sending, None
        assert draft is not None
        draft.add_request(fact)
        self._hold(draft, draft.memory if len(self._queue) > 1 else len(fact.request.body.data))
        if draft.response is not None or draft.given_up:
            self._finish(draft)

    def _enqueue(self, draft: PairDraft) -> None:
        if len(self._queue) >= MAX_OUTSTANDING:
            self._lose_responses(draft.start_ns)
        if self._unpaired or self._before_loss(draft):
            self._give_up(draft)
            return
        draft.fenced, self._fence = self._fence, False
        self._queue.append(draft)

    # Responses

    def match_response(self, start_ns: int, must: bool) -> bool:
        """Decides which request the response that began at `start_ns` answers; `method` is then that
        request's.

        False: none is known yet and one may still come; not if it `must` be decided now.
        """
        if self._current is not None:  # a 1xx response came first
            return True
        if self._queue:
            self._current = self._choose(start_ns)
        elif not must and not self._unpaired:
            return False
        if self._current is None:
            self._fence, self._absolute = True, False
            self._lose_until(start_ns)  # it may answer a request that is read later
            self._current = self._draft(start_ns, None)
        return True

    @property
    def method(self) -> bytes | None:
        """The method of the request whose response is being read; None if it was not seen."""
        return None if self._current is None else self._current.method

    def _choose(self, start_ns: int) -> PairDraft | None:
        """The queued request that a response answers; None if that would be a guess."""
        queue = self._queue
        while len(queue) > 1 and queue[0].method is None and queue[1].start_ns <= start_ns:
            self._finish(queue.popleft())  # unparsable: the server may not answer it
        if queue[0].start_ns > start_ns:
            return None  # it answers a request that was lost
        order = self._order
        if order is Order.KEPT:
            self._pipelined = self._pipelined or (len(queue) > 1 and queue[1].start_ns <= start_ns)
            return queue.popleft()
        return self._choose_in_doubt(order, start_ns)

    @property
    def _order(self) -> Order:
        if self._unpaired:
            return Order.ABANDONED
        if not (self._queue[0].fenced or self._response_lost):
            return Order.KEPT
        if self._owed:
            return Order.OWED
        return Order.LOSSY if self._response_lost else Order.FENCED

    def _choose_in_doubt(self, order: Order, start_ns: int) -> PairDraft | None:
        earlier = sum(draft.start_ns <= start_ns for draft in self._queue)
        if order is Order.OWED and self._owed is not None:
            self._owed -= 1
            self._give_up_oldest(earlier)
        elif earlier > 1 and self._owed is None and not self._pipelined:
            self._owed = earlier - 1
            self._give_up_oldest(earlier)
        elif earlier > 1 or self._pipelined or order is Order.ABANDONED:
            self._unpaired = True
            self._lose_responses(start_ns)
        else:
            self._response_lost = False
            return self._queue.popleft()
        return None

    def _give_up_oldest(self, count: int) -> None:
        for _ in range(count):
            self._give_up(self._queue.popleft())

    def on_response(self, fact: ResponseFact) -> None:
        """Takes the next fact of the server's half. Its head was matched before."""
        if isinstance(fact, Interim):
            self._interim(fact)
        elif isinstance(fact, ResponseDone):
            self._response_done(fact)
        else:
            self._response_broken(fact)

    def _interim(self, fact: Interim) -> None:
        assert self._current is not None
        self._current.add_interim(fact.status)

    def _response_done(self, fact: ResponseDone) -> None:
        draft, self._current = self._current, None
        assert draft is not None
        draft.add_response(fact)
        self._hold(draft, len(fact.response.body.data))
        self.upgraded = draft.upgraded
        if draft is not self._sending:
            self._finish(draft)

    def _response_broken(self, fact: SyncLost) -> None:
        draft, self._current = self._current, None
        if draft is None and fact.error is not None and self._queue:
            draft = self._choose(fact.start_ns)
        if draft is not None:
            draft.error = draft.error or fact.error
            self._give_up(draft)
        self._lose_responses(fact.time_ns)

    def _lose_responses(self, time_ns: int) -> None:
        """Any number of responses to requests from before `time_ns` may have passed unseen."""
        self._response_lost = True
        self._lose_until(time_ns)
        waiting, self._queue = self._queue, deque()
        for draft in waiting:
            if self._unpaired or self._before_loss(draft):
                self._give_up(draft)
            else:
                self._queue.append(draft)

    def _lose_until(self, time_ns: int) -> None:
        self._lost_ns = time_ns if self._lost_ns is None else max(self._lost_ns, time_ns)

    def _before_loss(self, draft: PairDraft) -> bool:
        return self._lost_ns is not None and draft.start_ns <= self._lost_ns

    # The end of each

    def end(self, closed: bool, cut_response: bool) -> None:
        """Finishes all remaining exchanges. `cut_response`: the head of a response had begun."""
        silent = Completeness.NO_RESPONSE if closed and not self._response_lost else Completeness.GAP
        drafts = [self._current, *self._queue]
        if self._sending is not None and self._sending not in drafts:
            drafts.append(self._sending)
        self._queue.clear()
        self._current = self._sending = None
        for draft in drafts:
            if draft is not None:
                self._finish(draft, Completeness.INCOMPLETE if cut_response and closed else silent)
                cut_response = False

    def _give_up(self, draft: PairDraft) -> None:
        draft.given_up = True
        if draft is not self._sending:
            self._finish(draft)

    def _hold(self, draft: PairDraft, size: int) -> None:
        draft.held += size
        self.held += size

    def _draft(self, start_ns: int, method: bytes | None, error: str | None = None) -> PairDraft:
        draft = PairDraft(self._ordinal, start_ns, method, self._absolute, error=error)
        self._ordinal += 1
        return draft

    def _finish(self, draft: PairDraft, silent: Completeness = Completeness.GAP) -> None:
        self.held -= draft.held
        if draft.request is None and draft.response is None and draft.error is None:
            return  # only 1xx responses to a request that was not seen
        late = self._late and (self._first_ns is None or draft.start_ns < self._first_ns)
        without_request = Completeness.LATE_JOIN if late else Completeness.GAP
        self._finished.append(draft.exchange(without_request, silent))
