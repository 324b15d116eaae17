"""Whether the database takes writes: shown by writing."""

from __future__ import annotations

from sqlite_utils import Database

ROOM_BYTES = 1024 * 1024  # where nothing went in, this must before more is asked for


def probe(db: Database) -> None:
    """The smallest real write."""
    db.conn.execute("PRAGMA user_version = 1")


def take_room(db: Database) -> None:
    """A write of a batch's size: what is small may still fit on a full disk. `give_room` undoes it."""
    db.conn.execute("CREATE TABLE IF NOT EXISTS room (bytes BLOB)")
    db.conn.execute("INSERT INTO room VALUES (zeroblob(?))", (ROOM_BYTES,))


def give_room(db: Database) -> None:
    """Once `take_room` was committed: together they would write nothing."""
    db.conn.execute("DROP TABLE IF EXISTS room")
