"""A view → its exchange: a new one, or the one that the other view of the same call began.

Exchanges in hand are kept until they are written; one that is in the store already is loaded when its other
view arrives, or when it is to be judged again.
"""

from __future__ import annotations

from agent.wire import Record
from server.analysis.witnesses import SKEW_NS, Pending, mark_of, view_of
from server.ingest.outcomes import Received
from server.store.draft import ExchangeDraft
from server.store.unit import Samples

WAITING_AFTER_RESTART = 5000  # views read back, so that halves on both sides of a restart still meet


class Pairing:
    """Writer's thread."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._open: dict[int, ExchangeDraft] = {}
        self.forget()

    def forget(self) -> None:
        """After work was undone: what waits for its other view is what the database says."""
        self._open.clear()
        self._pending = Pending()
        views = self._samples.latest_waiting(WAITING_AFTER_RESTART)
        for view in views:
            self._pending.add(view)
        if len(views) == WAITING_AFTER_RESTART:
            self._pending.horizon = min(view.start for view in views)

    def take(self, record: Record, raw: bytes, number: int) -> tuple[ExchangeDraft, Received]:
        """The exchange that the record of this number is a view of, which holds it from now on."""
        mark = mark_of(record)
        exchange = None if mark is None else self._other_half(record, number, mark)
        if exchange is None:
            exchange = self._open[number] = ExchangeDraft(number=number, records=[record], raw=raw, mark=mark)
            return exchange, Received.STORED
        exchange.records.append(record)
        exchange.second, exchange.second_raw = number, raw
        return exchange, Received.WITNESS

    def _other_half(self, record: Record, number: int, mark: int) -> ExchangeDraft | None:
        view = view_of(record, number, mark)
        late = view.start <= self._pending.horizon + SKEW_NS
        other = self._pending.take(view, self._samples.waiting_near(record.time, mark) if late else ())
        exchange = self.exchange(other.exchange) if other else None
        if exchange is None or exchange.second is not None:
            self._pending.add(view)
            return None
        return exchange

    def exchange(self, number: int) -> ExchangeDraft | None:
        """The exchange of this number, in hand or stored; None where it is gone."""
        if number not in self._open:
            loaded = self._samples.load(number)
            if loaded is None:
                return None
            self._open[number] = loaded
        return self._open[number]

    def write(self) -> None:
        """Writes the exchanges that were counted, and lets go of them."""
        counted = [exchange for exchange in self._open.values() if exchange.counted is not None]
        self._samples.write(counted)
        for exchange in counted:
            del self._open[exchange.number]
