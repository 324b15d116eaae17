"""The learners in memory: those of the APIs with the latest traffic. The others are in the database.

APIs do not affect each other: one that cannot be read, merged or stored loses what it learned since its last
save (counted as NOT_SAVED), and continues from its stored state.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from server.analysis.rebuild.learner import Learner
from server.failures import Failures
from server.learning.given import GivenPaths
from server.learning.outcomes import LearningStep, NotLearnt
from server.store.keys import id_of
from server.store.reader import Reader
from server.store.store import Store
from server.store.values import Learned

MOST_LOADED = 8  # APIs in memory


@dataclass(slots=True)
class LoadedApi:
    """One API. `rows` hold its state when loaded; `unsaved` counts exchanges since then; `dirty`: it must be
    written.
    """

    learner: Learner
    rows: set[int] = field(default_factory=set)
    dirty: bool = False
    unsaved: int = 0


class LoadedApis:
    """Owned by the learning thread. `changed` are APIs that may have a new document."""

    def __init__(self, store: Store, counts: Counter[str], failures: Failures) -> None:
        self.given = GivenPaths()
        self.changed: set[int] = set()
        self._store = store
        self._counts = counts
        self._failures = failures
        self._apis: OrderedDict[int, LoadedApi] = OrderedDict()
        self._unreadable: set[int] = set()  # rows that are left unchanged

    @property
    def unsaved(self) -> int:
        """Number of learned exchanges that are not saved."""
        return sum(api.unsaved for api in self._apis.values())

    def api(self, reader: Reader, number: int) -> LoadedApi:
        """One of them, read from the database if not in memory."""
        api = self._apis.get(number)
        if api is None:
            api = LoadedApi(Learner())
            self._add_rows(reader, number, api)
            self.given.pass_to(api.learner, reader, number)
            self._apis[number] = api
        self._apis.move_to_end(number)
        return api

    def _add_rows(self, reader: Reader, number: int, api: LoadedApi) -> None:
        """Adds an API's stored state that is not in memory yet. Unreadable rows are left unchanged."""
        held = self._unreadable.union(*(one.rows for one in self._apis.values()))
        for row in sorted(set(reader.lessons.rows_of(number)) - held):
            try:
                api.learner.absorb(Learner.restore(reader.lessons.state(row)))
                api.rows.add(row)
            except Exception as error:  # of a later version, or damaged
                self._unreadable.add(row)
                self._failures.record(
                    LearningStep.LOAD, f"stored learning of API {id_of(number)} cannot be read", error
                )

    def join_merged(self, reader: Reader) -> None:
        """Merges the learners of APIs that were merged."""
        for source, target in reader.inventory.merged_into(self._apis.keys()).items():
            try:
                self._join(reader, source, target)
            except Exception as error:  # both are read again from the database
                for number in {source, target} & self._apis.keys():
                    self._give_up(number, error)
        for number, api in self._apis.items():
            self._add_rows(reader, number, api)

    def _join(self, reader: Reader, source: int, target: int) -> None:
        old = self._apis[source]
        new = self.api(reader, target)
        new.learner.absorb(old.learner)
        new.rows |= old.rows
        new.unsaved += old.unsaved
        new.dirty = True
        del self._apis[source]
        self.changed.discard(source)
        self.changed.add(target)

    def save(self, last: int) -> bool:
        """Writes the learners, and the number of their last exchange; False if an API was merged meanwhile:
        then later. Raises StoreUnavailable.
        """
        states = self._states()
        saved = self._store.write(lambda unit: unit.lessons.save(states, last)).result()
        if saved is None:
            return False
        for number in states:
            row = saved[number]
            if isinstance(row, Exception):
                self._give_up(number, row)
            else:
                api = self._apis[number]
                api.rows, api.dirty, api.unsaved = {row}, False, 0
        return True

    def _states(self) -> dict[int, Learned]:
        states: dict[int, Learned] = {}
        for number, api in [*self._apis.items()]:
            try:
                if api.dirty:
                    states[number] = Learned(api.learner.state(), frozenset(api.rows))
            except Exception as error:
                self._give_up(number, error)
        return states

    def _give_up(self, number: int, error: Exception) -> None:
        """Drops what an API has learned since its last save: it cannot be stored."""
        self._counts[NotLearnt.NOT_SAVED] += self._apis.pop(number).unsaved
        self._failures.record(
            LearningStep.SAVE, f"what API {id_of(number)} learned since it was last saved is lost", error
        )

    @property
    def are_too_many(self) -> bool:
        """Whether some must be unloaded, once saved."""
        return len(self._apis) > MOST_LOADED

    def unload(self) -> None:
        """Unloads those without traffic for longest; they must be saved."""
        while self.are_too_many:
            self._apis.popitem(last=False)
