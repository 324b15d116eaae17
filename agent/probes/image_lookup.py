"""The thread that looks up images of containers, for the source, which must not wait.

What it opens are files of this node's runtimes; a mount whose server is gone may hang. It then hangs alone:
the source waits PATIENCE_S once, and afterwards not at all until the look-up ends.

| state   | event                            | next                                                        |
|---------|----------------------------------|-------------------------------------------------------------|
| new     | its image is wanted              | waits; without room, new: the next process asks again       |
| waits   | the file is read within patience | known                                                       |
| waits   | later                            | known, and the image, if there is one, reported by `late`   |
| known   | its image is wanted              | answered at once                                            |
| known   | it is the oldest, without room   | new                                                         |
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

log = logging.getLogger(__name__)

PATIENCE_S = 0.1  # a look-up takes less than a millisecond
SLOW_S = 10.0
STOP_S = 1.0
MAX_WAITING = 1024  # containers
MAX_KNOWN = 1024  # containers


class ImageLookup:
    """`find` gives a container's image; it runs on the thread. Other methods are called from one thread."""

    def __init__(self, find: Callable[[str], str | None]) -> None:
        self._find = find
        self._changed = threading.Condition()
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._known: OrderedDict[str, str | None] = OrderedDict()
        self._unanswered: set[str] = set()
        self._late: dict[str, str] = {}
        self._at_work: tuple[str, float] | None = None
        self._stopping = False
        self._thread: threading.Thread | None = None  # started by the first container

    def of(self, container: str) -> str | None:
        """The container's image; None if no runtime says it, or not in time."""
        with self._changed:
            if container not in self._known:
                self._want(container)
                self._changed.wait_for(lambda: container in self._known or self._is_behind(), PATIENCE_S)
            if self._is_wanted(container):
                self._unanswered.add(container)
            return self._known.get(container)

    def late(self) -> dict[str, str]:
        """Images of containers, found after `of` gave none, since the last call."""
        if not self._late:
            return {}
        with self._changed:
            late, self._late = self._late, {}
            return late

    def hung(self) -> str | None:
        """A sentence on a look-up that takes too long; else None."""
        at_work = self._at_work
        if at_work is None or (taken := time.monotonic() - at_work[1]) < SLOW_S:
            return None
        return (
            f"looking up the image of container {at_work[0]} has taken {int(taken)} s: a file system may "
            "hang; images of further containers are unknown until it ends"
        )

    def stop(self) -> None:
        """Ends the thread after the current look-up; one that hangs is left behind."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(STOP_S)

    def _want(self, container: str) -> None:
        if self._is_wanted(container):
            return
        if len(self._waiting) < MAX_WAITING:
            self._waiting[container] = None
            self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="images", daemon=True)
            self._thread.start()

    def _is_wanted(self, container: str) -> bool:
        return container in self._waiting or (self._at_work is not None and self._at_work[0] == container)

    def _is_behind(self) -> bool:
        return self._at_work is not None and time.monotonic() - self._at_work[1] >= PATIENCE_S

    def _run(self) -> None:
        while (container := self._next()) is not None:
            try:
                image = self._find(container)
            except Exception as error:  # the capture must go on
                log.error("the image of a container could not be looked up: %s", type(error).__name__)
                image = None
            self._learn(container, image)

    def _next(self) -> str | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._waiting)
            if self._stopping:
                return None
            container, _ = self._waiting.popitem(last=False)
            self._at_work = container, time.monotonic()
            return container

    def _learn(self, container: str, image: str | None) -> None:
        with self._changed:
            self._at_work = None
            self._known[container] = image
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
            if container in self._unanswered:
                self._unanswered.discard(container)
                if image is not None:
                    self._late[container] = image
            self._changed.notify_all()
