"""Closing the writer: accepted work is committed, other work is refused, and nobody waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from server.store.errors import StoreUnavailable
from server.store.sqlite import writer
from server.store.sqlite.store import SqliteStore
from server.store.sqlite.writer import MAX_WAITING
from tests.server.running import wait_for

PATIENCE_S = 60.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "data")
    yield store
    store.close()


def test_work_that_comes_while_the_store_closes_is_refused_and_never_waited_for(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, closed = threading.Barrier(2, timeout=PATIENCE_S), threading.Barrier(2, timeout=PATIENCE_S)

    class Held(writer.Task[None]):
        """A future whose creator is delayed while another thread closes the store."""

        def __init__(self, work: object) -> None:
            super().__init__(lambda db: None)
            made.wait()
            closed.wait()

    monkeypatch.setattr(writer, "Task", Held)
    with ThreadPoolExecutor(1) as pool:
        late: Future[Future[None]] = pool.submit(store.write, lambda db: None)
        made.wait()
        store.close()
        closed.wait()
        with pytest.raises(StoreUnavailable, match="shutting down"):
            late.result(PATIENCE_S)


def test_closing_gives_up_in_time_where_the_writer_hangs_and_no_more_may_wait(store: SqliteStore) -> None:
    released = threading.Event()
    hung = store.write(lambda db: released.wait(PATIENCE_S))
    wait_for(lambda: store.waiting == 0, "start of the piece of work that hangs")
    accepted = [store.write(lambda db: None) for _ in range(MAX_WAITING)]
    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(store.close, 0)
        try:
            assert closing.result(PATIENCE_S) is False
            with pytest.raises(StoreUnavailable, match="shutting down"):
                store.write(lambda db: None)
        finally:
            released.set()
    assert hung.result(PATIENCE_S)
    assert store.close(PATIENCE_S) is True
    assert [future.result(0) for future in accepted] == [None] * MAX_WAITING
