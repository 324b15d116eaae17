"""`spectap import`: sends files to a server, each record once even if repeated.

Records' ids are derived from the file, so the server recognises those it has. It forgets them with their
exchanges; so batches' addresses are also derived from the files' content, and a file that was imported once
never adds anything again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import stat
import sys
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import zstandard

from agent.wire import Capture, CaptureScope, pack_batch
from server.client.connection import Remote
from server.client.errors import AddressError, SpectapError
from server.offline import reading, remote
from server.offline.reading import ReadingError, UntilUnreadable

AGENT = "import"
NO_CAPTURE = Capture(CaptureScope.NOTHING)
BATCH_RECORDS = 200
BATCH_BYTES = 4 * 1024 * 1024  # packed; exceeded by one record at most
PIECE = 1024 * 1024
EXIT_ERROR, EXIT_USAGE = 1, 64


@dataclass(slots=True)
class Imported:
    """Numbers of records read, and of those new to the server."""

    records: int = 0
    new: int = 0


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`spectap import FILE... --server URL`."""
    parser = subparsers.add_parser(
        "import",
        description="Reads files, redacts them and sends the records to a server; each is stored once.",
        epilog="Exit status: 0 when done, 1 when something cannot be read or the server refuses it,"
        " 64 for a usage error.",
    )
    reading.add_options(parser)
    remote.add_options(parser, "ingest")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Returns the exit code: 1 if not everything was read and stored."""
    arguments = reading.options(parsed)
    try:
        with remote.connected(parsed) as server:
            epoch = epoch_of(parsed.files, arguments)
            records = UntilUnreadable(reading.packed_records(parsed.files, arguments))
            counts = send(records, epoch, server)
    except AddressError as error:
        sys.stderr.write(f"spectap import: {error}\n")
        return EXIT_USAGE
    except (ReadingError, SpectapError, OSError) as error:
        sys.stderr.write(f"spectap import: {error}\n")
        return EXIT_ERROR
    known = counts.records - counts.new
    told = {"records": counts.records, "new": counts.new, "known": known}
    text = f"{counts.records:,} records read: {counts.new:,} new, {known:,} already stored"
    if counts.records or records.error is None:
        sys.stdout.write((json.dumps(told) if parsed.json else text) + "\n")
    if records.error is None:
        return 0
    sys.stderr.write(f"spectap import: {records.error}\n")
    return EXIT_ERROR


def epoch_of(files: Sequence[Path], arguments: Sequence[str]) -> str:
    """The epoch: equal for equal content read in the same way; random if a file can be read once at most.
    Raises ReadingError if there is no file.
    """
    digest = hashlib.sha256("\0".join((version("spectap"), *arguments)).encode())
    there, reasons = reading.found(files)
    if not there:
        raise ReadingError("; ".join(reasons))
    try:
        for path in there:
            if not stat.S_ISREG(path.stat().st_mode):
                return uuid.uuid4().hex
            with path.open("rb") as file:
                while piece := file.read(PIECE):
                    digest.update(piece)
            digest.update(b"\0end of file\0")
    except OSError:
        return uuid.uuid4().hex
    return digest.hexdigest()[:32]


def send(records: Iterable[bytes], epoch: str, server: Remote) -> Imported:
    """Sends all packed records, batch by batch. Raises SpectapError and what `records` raises."""
    counts = Imported()
    for batch in chain(batches(records), [[]]):  # an empty one says that no more comes
        first = counts.records + 1  # a batch is addressed by its first record
        counts.records += len(batch)
        ledger = {"exchanges": {"parsed": counts.records, "shipped": counts.records}}
        content = zstandard.compress(pack_batch(AGENT, epoch, first, ledger, batch, NO_CAPTURE))
        coded = {"content-type": "application/msgpack", "content-encoding": "zstd"}
        answer = server.send("POST", "/records", content, coded)
        counts.new += int(answer.headers.get("spectap-stored", "0"))
    return counts


def batches(records: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Records, grouped so that a batch is neither large nor slow to store."""
    batch: list[bytes] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(record)
        if len(batch) >= BATCH_RECORDS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
