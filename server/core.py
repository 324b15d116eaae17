"""What a server runs beside HTTP: the store's writer, ingest, learning and the jobs, wired to one another."""

from __future__ import annotations

from server.config import ServerSettings
from server.ingest.accept import Acceptor
from server.jobs import Jobs
from server.learning.learning import Learning
from server.specification import Load
from server.store.database import Store
from server.store.errors import CURE, Damaged
from server.store.retention import Bounds


class Core:
    """Over an open store, which it closes at the end. `load` reads specifications.

    Raises Damaged where what is stored cannot be read.
    """

    def __init__(self, settings: ServerSettings, store: Store, load: Load) -> None:
        self.store = store
        self.load = load
        self.learning = Learning(store)
        self.jobs = Jobs(store, Bounds(settings.retention_days, settings.retention_bytes))
        self.acceptor = self._acceptor()
        store.on_undo(self.acceptor.forget)
        store.on_commit(self.acceptor.catalogue.publish)

    def _acceptor(self) -> Acceptor:
        try:
            return self.store.begin(lambda db: Acceptor(db, self.load, self.jobs.judge_again))
        except (ValueError, TypeError, LookupError) as error:
            raise Damaged(f"what is stored cannot be read ({type(error).__name__}): {CURE}") from error

    def start(self) -> None:
        self.jobs.start(self.acceptor)
        self.learning.start()

    def stop(self) -> None:
        """Finishes the work that is under way and commits all that was accepted."""
        self.learning.stop()
        self.jobs.stop()
        self.store.close()
