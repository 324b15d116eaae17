"""One thread reads new exchanges, learns from them, publishes changed documents and saves the learners.

If there are more than it may learn at once, it samples each operation and status, and counts the rest. A
learner is saved together with the number of its last exchange, so that each counts once, however the server
ends. Each step, and each API in it, may fail separately: the others continue.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence

from agent.wire import Record
from server.analysis.views import most_seen
from server.background import BackgroundThread, Pace
from server.failures import Failures
from server.learning.loaded import LoadedApis
from server.learning.outcomes import LearningStep, NotLearnt
from server.learning.publishing import Publishing
from server.learning.sampling import sample
from server.store.keys import id_of
from server.store.reader import Reader
from server.store.store import Store

log = logging.getLogger(__name__)

PERIOD_S = 2.0  # between reads of new exchanges
MOST_AT_ONCE = 1_000  # exchanges learned in one period: at most a tenth of a CPU
MOST_LOOKED_AT = 50_000  # and read
SAVE_S = 30.0  # between two saves
PAUSE_S = 30.0  # between drafts of an API's document, multiplied by their number


class Learning:
    """Runs until `stop`; `publish_soon` may be called from any thread."""

    def __init__(self, store: Store, clock: Callable[[], int] = time.time_ns, pause: float = PAUSE_S) -> None:
        self.counts: Counter[str] = Counter()  # exchanges by outcome
        self.failures = Failures(log)
        self.thread = BackgroundThread("learning", self._turn, PERIOD_S)
        self._store = store
        self._loaded = LoadedApis(store, self.counts, self.failures)
        self.publishing = Publishing(store, self._loaded, self.failures, clock, pause)
        self._last: int | None = None
        self._saved = time.monotonic()

    def start(self) -> None:
        """Starts learning."""
        self.thread.start(Pace.AT_ONCE, last=self._last_turn)

    def publish_soon(self, api: int) -> None:
        """Publishes an API (its number) soon, because of a person's decision or request."""
        self.thread.request(api)

    def stop(self, seconds: float | None = None) -> None:
        """Learns once more, and saves, waiting at most the given seconds."""
        self.thread.stop(seconds)

    @property
    def shortfall(self) -> str | None:
        """A sentence on what learning lost or, once stopped, did not save; None if everything is stored."""
        lost, unsaved = self.counts[NotLearnt.NOT_SAVED], self._loaded.unsaved
        parts = []
        if lost:
            parts.append(f"what {lost} of them taught could not be stored")
        if unsaved:
            parts.append(f"learning from the last {unsaved} was not saved: the next start repeats it")
        return "; ".join(parts) or None

    def _turn(self, asked: set[int]) -> Pace:
        self.publishing.request(asked)
        is_behind = self.attempt(LearningStep.LEARN)
        self.attempt(LearningStep.PUBLISH)
        if time.monotonic() - self._saved >= SAVE_S:
            self.attempt(LearningStep.SAVE)
        return Pace.AT_ONCE if is_behind else Pace.WHEN_ASKED

    def _last_turn(self) -> None:
        self.attempt(LearningStep.LEARN)
        self.attempt(LearningStep.PUBLISH)
        self.attempt(LearningStep.SAVE)

    def attempt(self, step: LearningStep) -> bool:
        """Runs a step and returns its result; False if it failed: it is repeated later."""
        work, consequence = {
            LearningStep.LEARN: (self.learn_some, "stored exchanges wait to be learned from"),
            LearningStep.PUBLISH: (self.publish_due, "new documents of APIs wait"),
            LearningStep.SAVE: (self.save_all, "what was learned waits to be saved"),
        }[step]
        try:
            answer = work()
        except Exception as error:
            self.failures.record(step, consequence, error)
            return False
        self.failures.end(step)
        return answer

    def learn_some(self) -> bool:
        """Learns from new exchanges. Returns whether more are waiting."""
        with self._store.reading() as reader:
            if self._last is None:
                self._last = reader.lessons.watermark()
            found = reader.exchanges.after(self._last, MOST_LOOKED_AT)
            chosen = sample(found, MOST_AT_ONCE)
            views = reader.exchanges.views([one.number for one in chosen])
            self._loaded.join_merged(reader)
            for one in chosen:
                if seen := views.get(one.number):
                    self._learn(reader, one.api, seen)
        if found:
            self._last = found[-1].number
        self.counts[NotLearnt.SAMPLED_OUT] += len(found) - len(chosen)
        if self._loaded.are_too_many and self.save():
            self._loaded.unload()
        return len(found) == MOST_LOOKED_AT

    def _learn(self, reader: Reader, number: int, views: Sequence[Record]) -> None:
        try:
            api = self._loaded.api(reader, number)
            api.dirty = True
            self._loaded.changed.add(number)
            outcome = api.learner.learn(most_seen(views))
            api.unsaved += 1
            self.counts[outcome] += 1
        except Exception as error:  # hostile traffic must not stop the learning of other exchanges
            self.failures.record(
                LearningStep.LEARN, f"an exchange of API {id_of(number)} was not learned from", error
            )
            self.counts[NotLearnt.FAILED] += 1

    def publish_due(self) -> bool:
        """Publishes due documents."""
        self.publishing.publish_due()
        return True

    def save(self) -> bool:
        """Saves the learners; False if an API was merged meanwhile: then later."""
        saved = self._loaded.save(self._last or 0)
        if saved:
            self._saved = time.monotonic()
        return saved

    def save_all(self) -> bool:
        """Saves even if APIs are merged meanwhile: at the end there is no later."""
        while not self.save():
            with self._store.reading() as reader:
                self._loaded.join_merged(reader)
        return True
