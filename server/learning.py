"""Learns each API from what is stored, off the writer's thread, and publishes versions of its document.

One thread looks every PERIOD_S for new exchanges. Where more came than it may learn at once, it takes some of
each operation and status, and counts the rest. What was learnt is saved together with the number of the last
exchange it is of, so that after any end each one counts once.

No API can hold up another: what fails for one of them is counted by its step, logged once, and costs at most
what that API learnt since it was last saved (counted as NOT_SAVED).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from itertools import zip_longest
from typing import Any

from agent.wire import decode_record
from server.analysis.json import object_in
from server.analysis.rebuild.decisions import fixed, of_templates, read
from server.analysis.rebuild.document import DocumentOptions, document
from server.analysis.rebuild.given_paths import templates_of
from server.analysis.rebuild.learn_input import LearnOutcome
from server.analysis.rebuild.learner import Learner
from server.analysis.rebuild.versions import FIRST, comparable, diff, next_version, versioned
from server.analysis.specs.document.text import parse
from server.analysis.specs.model import SpecError
from server.analysis.views import most_seen
from server.failures import Failures
from server.store import rebuilt, specs
from server.store.database import Connection, Store, StoreUnavailable
from server.store.rebuilt import Publication, State, Stored

log = logging.getLogger(__name__)

PERIOD_S = 2.0  # between looks for new exchanges
MOST_AT_ONCE = 1_000  # exchanges learnt in one period: at most a tenth of a CPU
MOST_LOOKED_AT = 50_000  # and looked at
SAVE_S = 30.0  # between two savings of what was learnt
PAUSE_S = 30.0  # after an API's version, times how many it has, until the next
LONGEST_PAUSE_S = 3600.0
MOST_LOADED = 8  # APIs in memory, the last used; others wait in the database
MOST_GIVEN = 64  # specifications whose paths are remembered
MOST_SERVERS = 3  # URLs named in a document

Given = dict[str, frozenset[str]]
"""Path templates, each with the names of its parameters that hold slashes."""


class Learned(StrEnum):
    """What became of stored exchanges, beside the learner's own reasons not to learn from one."""

    LEARNT = "learnt"
    SAMPLED_OUT = "sampled_out"
    FAILED = "failed"
    NOT_SAVED = "not_saved"  # learnt, and lost again: the learner of the API could not be stored


NOT_LEARNT = (
    *(one.value for one in LearnOutcome if one is not LearnOutcome.LEARNT),
    Learned.FAILED,
    Learned.NOT_SAVED,
)
"""Why an exchange taught nothing, apart from sampling."""


class Step(StrEnum):
    """What may fail; of one API, or as a whole (see server.failures)."""

    LOAD = "load"
    LEARN = "learn"
    PUBLISH = "publish"
    SAVE = "save"


@dataclass(slots=True)
class _Api:
    """One API in memory. `rows` hold what it knew when it was loaded; `unsaved` counts exchanges since then,
    `dirty` says that it has to be written.
    """

    learner: Learner
    rows: set[int] = field(default_factory=set)
    dirty: bool = False
    unsaved: int = 0


class Learning:
    """Runs until `stop`; `publish_soon` may be called from any thread."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], int] = time.time_ns,
        period: float = PERIOD_S,
        pause: float = PAUSE_S,
    ) -> None:
        self._store = store
        self._clock = clock
        self._period = period
        self._pause = pause
        self._loaded: OrderedDict[int, _Api] = OrderedDict()
        self._changed: set[int] = set()  # APIs that may have a new version
        self._due: dict[int, float] = {}  # when (monotonic) an API may have one again
        self._given: dict[int, Given] = {}  # templates of specifications, by number
        self._last: int | None = None
        self._saved = time.monotonic()
        self._asked: set[int] = set()
        self._stopping = False
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._unreadable: set[int] = set()  # rows that stay as they are
        self.counts: Counter[str] = Counter()
        self.failures = Failures(log)

    @property
    def shortfall(self) -> str | None:
        """What learning lost or, once it has stopped, did not save; None where all is stored."""
        unsaved = sum(api.unsaved for api in self._loaded.values())
        lost = self.counts[Learned.NOT_SAVED]
        parts = [f"what {lost} of them taught could not be stored"] if lost else []
        parts += (
            [f"learning from the last {unsaved} was not saved: the next start repeats it"] if unsaved else []
        )
        return "; ".join(parts) or None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="learning", daemon=True)
        self._thread.start()

    def publish_soon(self, api: int) -> None:
        """A person decided something of an API (its number)."""
        with self._wake:
            self._asked.add(api)
            self._wake.notify()

    def stop(self) -> None:
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            behind = self.attempt(Step.LEARN)
            self.attempt(Step.PUBLISH)
            if self._stopping or time.monotonic() - self._saved >= SAVE_S:
                self.attempt(Step.SAVE)
            with self._wake:
                if self._stopping:
                    return
                if not behind and not self._asked:
                    self._wake.wait(self._period)

    def attempt(self, step: Step) -> bool:
        """What the step answers; False where it failed, whatever the traffic did: it is repeated later."""
        work, consequence = {
            Step.LEARN: (self.learn_some, "stored exchanges wait to be learnt from"),
            Step.PUBLISH: (self.publish_due, "new documents of APIs wait"),
            Step.SAVE: (self.save_all, "what was learnt waits to be saved"),
        }[step]
        try:
            answer = work()
        except Exception as error:
            self.failures.record(step, consequence, error)
            return False
        self.failures.end(step)
        return answer

    def learn_some(self) -> bool:
        """Learns from what was stored since; whether more waits."""
        with self._store.reading() as db:
            if self._last is None:
                self._last = rebuilt.watermark(db)
            found = rebuilt.after(db, self._last, MOST_LOOKED_AT)
            chosen = sample(found, MOST_AT_ONCE)
            records = rebuilt.raw_records(db, [one.number for one in chosen])
            self._join_merged(db)
            for one in chosen:
                raws = records.get(one.number)
                if raws:
                    self._learn(db, one.api, raws)
        if found:
            self._last = found[-1].number
        self.counts[Learned.SAMPLED_OUT] += len(found) - len(chosen)
        if len(self._loaded) > MOST_LOADED:
            self._let_go()
        return len(found) == MOST_LOOKED_AT

    def _learn(self, db: Connection, number: int, raws: list[bytes]) -> None:
        try:
            api = self._api(db, number)
            api.dirty = True
            self._changed.add(number)
            outcome = api.learner.learn(most_seen([decode_record(raw) for raw in raws]))
            api.unsaved += 1
            self.counts[outcome] += 1
        except Exception as error:  # whatever hostile traffic does here, the next exchange is learnt
            self.failures.record(Step.LEARN, f"an exchange of API {number} was not learnt", error)
            self.counts[Learned.FAILED] += 1

    def _api(self, db: Connection, number: int) -> _Api:
        """An API's learner, from memory or from the database."""
        api = self._loaded.get(number)
        if api is None:
            api = _Api(Learner())
            self._take_rows(db, number, api)
            self._give(api.learner, self._given_to(db, number))
            self._loaded[number] = api
        self._loaded.move_to_end(number)
        return api

    def _take_rows(self, db: Connection, number: int, api: _Api) -> None:
        """Adds what is stored of an API and not in memory yet. What cannot be read stays where it is."""
        held = self._unreadable.union(*(one.rows for one in self._loaded.values()))
        if not rebuilt.rows_of(db, number) - held:
            return
        for row, packed in rebuilt.states(db, number).items():
            if row in held:
                continue
            try:
                api.learner.absorb(Learner.restore(rebuilt.unpacked(packed)))
                api.rows.add(row)
            except Exception as error:  # of a later version, or damaged
                self._unreadable.add(row)
                self.failures.record(Step.LOAD, f"stored learning of API {number} cannot be read", error)

    def _join_merged(self, db: Connection) -> None:
        """APIs that turned out to be one are learnt as one."""
        for source, target in rebuilt.merged_into(db, self._loaded).items():
            try:
                self._join(db, source, target)
            except Exception as error:  # both are read again as they are stored
                for number in {source, target} & self._loaded.keys():
                    self._give_up(number, error)
        for number, api in self._loaded.items():
            self._take_rows(db, number, api)

    def _join(self, db: Connection, source: int, target: int) -> None:
        old = self._loaded[source]
        new = self._api(db, target)
        new.learner.absorb(old.learner)
        new.rows |= old.rows
        new.unsaved += old.unsaved
        new.dirty = True
        del self._loaded[source]
        self._changed.discard(source)
        self._changed.add(target)

    def save(self) -> bool:
        """Writes all that was learnt since; False where an API was merged meanwhile: then later."""
        states = self._states()
        last = self._last or 0
        saved = self._store.write(lambda db: rebuilt.save(db, states, last)).result()
        if saved is None:
            return False
        for number in states:
            row = saved[number]
            if isinstance(row, Exception):
                self._give_up(number, row)
            else:
                api = self._loaded[number]
                api.rows, api.dirty, api.unsaved = {row}, False, 0
        self._saved = time.monotonic()
        return True

    def _states(self) -> dict[int, State]:
        states: dict[int, State] = {}
        for number, api in [*self._loaded.items()]:
            try:
                if api.dirty:
                    states[number] = State(api.learner.state(), frozenset(api.rows))
            except Exception as error:
                self._give_up(number, error)
        return states

    def _give_up(self, number: int, error: Exception) -> None:
        """Forgets what an API learnt since it was saved last: it cannot be stored."""
        lost = self._loaded.pop(number).unsaved
        self.counts[Learned.NOT_SAVED] += lost
        self.failures.record(Step.SAVE, f"what API {number} learnt since its last saving is lost", error)

    def save_all(self) -> bool:
        """Saves, also where APIs are merged meanwhile: at the end there is no later."""
        while not self.save():
            with self._store.reading() as db:
                self._join_merged(db)
        return True

    def _let_go(self) -> None:
        """Forgets the APIs that were not heard of for longest."""
        if self.save():
            while len(self._loaded) > MOST_LOADED:
                self._loaded.popitem(last=False)

    def publish_due(self) -> bool:
        """Publishes what changed, each API once its pause is over; what a person asked for at once. Answers
        whether there was any."""
        with self._wake:
            asked, self._asked = self._asked, set()
        now = time.monotonic()
        due = {number for number in self._changed if self._due.get(number, 0.0) <= now}
        for number in sorted(asked | due):
            try:
                self._publish(number)
            except StoreUnavailable:
                raise
            except Exception as error:
                self._changed.discard(number)  # until it learns again
                self.failures.record(Step.PUBLISH, f"no new document of API {number}", error)
        return bool(asked | due)

    def _given_to(self, db: Connection, number: int) -> Given:
        """The paths of an API's specifications, which come first."""
        return {
            path: spans for spec in specs.of_api(db, number) for path, spans in self._templates(spec).items()
        }

    def _templates(self, spec: dict[str, Any]) -> Given:
        number = int(spec["number"])
        if number not in self._given:
            if len(self._given) >= MOST_GIVEN:
                self._given.clear()
            self._given[number] = _templates(spec["raw"], spec["base_path"])
        return self._given[number]

    def _give(self, learner: Learner, given: Given) -> None:
        try:
            learner.give(given)
        except ValueError as error:
            log.error("the paths of a specification are left out: %s", error)

    def _publish(self, number: int) -> None:
        with self._store.reading() as db:
            learner = self._api(db, number).learner
            latest = rebuilt.publication(db, number)
            versions = rebuilt.count(db, number)
            decided = [read(plain) for _, _, plain in rebuilt.decisions(db, number)]
            name = rebuilt.name_of(db, number)
            given = self._given_to(db, number)
        self._give(learner, given)
        learner.decide(of_templates(decided))
        options = DocumentOptions(
            name, latest.version if latest else FIRST, learner.servers.busiest(MOST_SERVERS)
        )
        found = fixed(document(learner, options), decided)
        self._changed.discard(number)
        self._due[number] = time.monotonic() + min(LONGEST_PAUSE_S, self._pause * (versions + 1))
        if not found["paths"] or (latest and comparable(latest.document) == comparable(found)):
            return
        changes = diff(latest.document, found) if latest else []
        version = next_version(latest.version, changes) if latest else FIRST
        one = Publication(
            version, self._clock(), versioned(found, version), [asdict(change) for change in changes]
        )
        self._store.write(lambda db: rebuilt.publish(db, number, one)).result()
        paths = len(object_in(found, "paths"))
        log.info("rebuilt document of an API: version %s, %d paths", version, paths)


def _templates(raw: bytes, base_path: str | None) -> Given:
    """The paths of an uploaded specification; none where it is not one of paths."""
    try:
        return templates_of(parse(raw), base_path)
    except SpecError as error:
        log.error("the paths of a specification are left out: %s: %s", error.where, error.reason)
        return {}


def sample(found: Iterable[Stored], most: int) -> list[Stored]:
    """At most so many, in turn of each API, operation and status; all of them if they are few."""
    groups: dict[tuple[int, int, int], list[Stored]] = {}
    total = 0
    for one in found:
        groups.setdefault((one.api, one.operation, one.status), []).append(one)
        total += 1
    if total <= most:
        return [one for group in groups.values() for one in group]
    turns = (one for turn in zip_longest(*groups.values()) for one in turn if one is not None)
    return [one for one, _ in zip(turns, range(most), strict=False)]
