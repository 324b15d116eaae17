"""Readers on other threads see a consistent catalogue, whatever the writer does."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import pytest

from server.analysis.specs.deviation import DeviationIdentity
from server.catalogue import Catalogue
from server.ingest.accept import Acceptor
from server.services.attaching import AttachTarget, attach, detach
from server.store.errors import StoreUnavailable
from server.store.rows import DeviationState
from server.store.sqlite.store import SqliteStore
from server.store.sqlite.writing import SqliteUnit
from server.store.unit import Unit
from server.store.values import DeviationDecision, Upload
from tests.server.engine import load, spec
from tests.server.records import NOON
from tests.server.sql import sql

IGNORED = DeviationIdentity("GET /users", "unknown-status", "status", "500")
ROUNDS = 60

KNOWN = DeviationDecision(DeviationState.IGNORED, "known", None, NOON)


class Writer:
    """A store with its acceptor, wired as in the server."""

    def __init__(self, folder: Path) -> None:
        self.store = SqliteStore(folder)
        self.acceptor = self.store.write(lambda unit: Acceptor(unit, load)).result()
        self.store.on_undo(self.acceptor.forget)
        self.store.on_commit(self.acceptor.catalogue.publish)

    @property
    def published(self) -> Catalogue:
        return self.acceptor.catalogue.published

    def attaching(self, base: str, host: str = "shop") -> Callable[[Unit], str]:
        """Adds a specification with its own base path to the existing ones."""
        raw = spec("GET /users", base_paths=[base])

        def work(unit: Unit) -> str:
            return attach(unit, self.acceptor, Upload(raw), load(raw), AttachTarget(host=host), NOON).spec

        return work

    def attach(self, base: str, host: str = "shop") -> str:
        return self.store.write(self.attaching(base, host)).result()

    def ignoring(self, api: int, decided: bool) -> Callable[[Unit], None]:
        def work(unit: Unit) -> None:
            if decided:
                unit.decisions.decide(api, IGNORED, KNOWN)
            else:
                unit.decisions.undo(api, IGNORED)
            self.acceptor.catalogue.reread_ignored()

        return work

    def stored(self) -> list[str]:
        with self.store.reading() as reader:
            return [one.id for one in reader.specs.listed(99, None).rows][::-1]

    def shown(self) -> list[str]:
        return [one.stored.id for one in self.published]

    def together(self, *works: Callable[[Unit], object]) -> list[Future[object]]:
        """Runs pieces of work in one transaction."""
        begun, held = threading.Event(), threading.Event()

        def hold(unit: Unit) -> None:
            begun.set()
            held.wait(30)

        self.store.write(hold)
        assert begun.wait(30)
        futures = [self.store.write(work) for work in works]
        held.set()
        return futures


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    writer = Writer(tmp_path)
    yield writer
    writer.store.close()


def connection(unit: Unit) -> sqlite3.Connection:
    assert isinstance(unit, SqliteUnit)
    return unit._db


def lose(unit: Unit) -> None:
    """Fails as a disk does: SQLite rolls back the whole transaction."""
    connection(unit).execute("ROLLBACK")
    raise sqlite3.OperationalError("disk I/O error")


def deny_commit(unit: Unit) -> None:
    def judge(action: int, what: str | None, *_: str | None) -> int:
        denied = action == sqlite3.SQLITE_TRANSACTION and what == "COMMIT"
        return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK

    connection(unit).set_authorizer(judge)


def test_a_reader_sees_only_what_one_commit_left_while_others_add_remove_and_ignore(writer: Writer) -> None:
    # Each commit below adds or removes one specification, which is one revision, and ignores a deviation
    # if the revision is even. A catalogue that is changed under a reader breaks this.
    added = [writer.attach("/first")]
    api = next(iter(writer.published)).stored.api
    stop, wrong, looks = threading.Event(), list[object](), [0, 0]

    def read(reader: int) -> None:
        last = 0
        while not stop.is_set():
            catalogue = writer.published
            revision, known = catalogue.revision(api), len(catalogue.of_api(api))
            ignored, offered = bool(catalogue.ignored.get(api)), len(catalogue.outline(api).offers)
            if (known % 2, ignored, offered) != (revision % 2, revision % 2 == 0, 1) or revision < last:
                wrong.append((known, ignored, offered, revision, last))
            last = revision
            looks[reader] += 1

    readers = [threading.Thread(target=read, args=(reader,)) for reader in range(len(looks))]
    for reader in readers:
        reader.start()
    try:
        for turn in range(ROUNDS):
            grows = len(added) == 1 or (turn % 4 < 2 and len(added) < 8)
            change = writer.attaching(f"/{turn}") if grows else removing(writer, added.pop())
            works = (change, writer.ignoring(api, turn % 2 == 0))
            done = writer.store.write(partial(in_turn, works)).result()
            added += [str(done[0])] * grows
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert wrong == []
    assert min(looks) > 0
    assert writer.shown() == writer.stored() == added


def in_turn(works: Sequence[Callable[[Unit], object]], db: Unit) -> list[object]:
    return [work(db) for work in works]


def removing(writer: Writer, id: str) -> Callable[[Unit], object]:
    return lambda db: detach(db, writer.acceptor, id)


def test_what_was_written_is_published_once_its_future_is_done_and_not_before(writer: Writer) -> None:
    seen: list[list[str]] = []

    def look(db: Unit) -> None:
        seen.append(writer.shown())
        assert len([*writer.acceptor.catalogue.draft]) == 1  # the writing thread sees it at once

    added, _ = (one.result() for one in writer.together(writer.attaching("/a"), look))
    assert seen == [[]]
    assert writer.shown() == [added]


def test_work_that_is_undone_leaves_nothing_behind_in_the_catalogue(writer: Writer) -> None:
    kept = writer.attach("/kept")
    api = next(iter(writer.published)).stored.api
    before = writer.published

    def fails(db: Unit) -> None:
        writer.attaching("/lost")(db)
        writer.ignoring(api, True)(db)
        assert writer.published is before
        raise ZeroDivisionError

    wrong, other = writer.together(fails, writer.attaching("/other"))
    assert isinstance(wrong.exception(), ZeroDivisionError)
    assert writer.store.write(lambda db: writer.shown()).result() == [kept, other.result()] == writer.stored()
    assert writer.published.ignored == {}
    assert writer.published.revision(api) == 2


@pytest.mark.parametrize("end", [lose, deny_commit], ids=["lost", "not committed"])
def test_a_transaction_that_is_lost_leaves_the_catalogue_as_it_was(
    writer: Writer, end: Callable[[Unit], None]
) -> None:
    kept = writer.attach("/kept")
    before = writer.published
    futures = writer.together(writer.attaching("/lost"), lambda db: detach(db, writer.acceptor, kept), end)
    assert all(future.exception() is not None for future in futures)
    assert writer.published is before
    assert writer.shown() == writer.stored() == [kept]


def test_after_a_lost_transaction_the_next_one_builds_on_the_database(writer: Writer) -> None:
    kept = writer.attach("/kept")
    futures = writer.together(writer.attaching("/lost"), lose)
    assert [type(future.exception()) for future in futures] == [StoreUnavailable] * 2
    added = writer.attach("/added")
    assert writer.shown() == writer.stored() == [kept, added]


def blobs_read(writer: Writer, work: Callable[[Unit], object]) -> int:
    """Number of statements of `work` that read stored documents (each is compiled again under an
    authorizer).
    """
    read: list[str] = []

    def watch(action: int, table: str | None, column: str | None, *_: str | None) -> int:
        if (action, table, column) == (sqlite3.SQLITE_READ, "specs", "raw"):
            read.append("raw")
        return sqlite3.SQLITE_OK

    def watched(unit: Unit) -> None:
        connection(unit).set_authorizer(watch)
        try:
            work(unit)
        finally:
            connection(unit).set_authorizer(None)

    writer.store.write(watched).result()
    return len(read)


def test_documents_are_read_at_the_start_and_never_again(writer: Writer, tmp_path: Path) -> None:
    one, two = writer.attach("/one"), writer.attach("/two")
    api = next(iter(writer.published)).stored.api
    assert blobs_read(writer, lambda unit: Acceptor(unit, load)) > 0  # the counter works
    assert blobs_read(writer, writer.ignoring(api, True)) == 0
    assert blobs_read(writer, writer.ignoring(api, False)) == 0
    assert blobs_read(writer, writer.attaching("/three")) == 0
    assert blobs_read(writer, removing(writer, one)) == 0
    assert blobs_read(writer, lambda db: writer.acceptor.forget()) == 0
    assert writer.shown()[0] == two


def test_a_stored_document_that_cannot_be_read_is_left_out_and_said_once(
    writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    kept, broken = writer.attach("/kept"), writer.attach("/broken")
    api = next(iter(writer.published)).stored.api
    sql(writer.store, "UPDATE specs SET raw = x'7b' WHERE id = ?", broken)
    with caplog.at_level(logging.ERROR):
        acceptor = writer.store.write(lambda unit: Acceptor(unit, load)).result()
        writer.store.write(lambda db: acceptor.forget()).result()
    assert [one.stored.id for one in acceptor.catalogue.draft.of_api(api)] == [kept]
    assert [broken in record.message for record in caplog.records] == [True]


def test_what_is_made_of_an_api_is_kept_while_others_change(writer: Writer) -> None:
    writer.attach("/shop")
    api = next(iter(writer.published)).stored.api
    outline = writer.published.outline(api)
    writer.attach("/other", host="other")
    writer.store.write(writer.ignoring(api, True)).result()
    assert writer.published.outline(api) is outline
    writer.attach("/shop/v2")
    assert writer.published.outline(api) is not outline
