"""The records in a server's database, as its agents sent them."""

from __future__ import annotations

from pathlib import Path

from agent.wire import Record, WireError, decode_record
from tests.e2e.needles import database_images, layers


def stored_records(folder: Path) -> list[Record]:
    """Every record in the database under a folder."""
    found = []
    for name, image in database_images(folder).items():
        for cell in layers(image) if "spectap" in name else ():
            try:
                found.append(decode_record(cell))
            except WireError:
                continue
    return found
