"""`spectap-agent read`: files of any format we know, through the agent's pipeline, to redacted records.

Streams of events (recordings) take the whole way; what tells of whole exchanges (all others) joins behind the
parsers. An entry that cannot be read is counted and named, and stops nothing.
"""

from __future__ import annotations

import gzip
import io
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TypeAlias

from agent.config import Settings
from agent.ledger import Exchanges, Ledger
from agent.pipeline import Pipeline, Place, redacted
from agent.progress import Progress
from agent.redact.apply import Sighting
from agent.redact.key import load_or_create
from agent.redact.policy import Policy
from agent.sources import audit, har, telemetry
from agent.sources.files import HEAD, Format, format_of
from agent.sources.recording import Recording, key_id
from agent.sources.told import Broken, Counts, FormatError, Skipped, Telling, Told
from agent.streams.table import Limits
from agent.wire import Record, pack_record

log = logging.getLogger(__name__)

MOST_NAMED = 20
"""Entries of one file that are named when they cannot be read; all are counted."""

_GZIP = b"\x1f\x8b"
_BUFFER = 256 * 1024
File: TypeAlias = "io.BufferedReader[io.FileIO] | io.BufferedReader[gzip.GzipFile]"
PLACE = Place("file", "file", None)
"""Where files are read does not matter to what they tell, so that they give the same records everywhere."""


def read(files: Iterable[Path], settings: Settings, policy: Policy, out: IO[bytes]) -> None:
    """Writes the records as msgpack maps, one after the other. Raises FormatError, OSError and others."""
    for one in records(files, settings, policy, Ledger()):
        out.write(pack_record(one))
    out.flush()


def records(files: Iterable[Path], settings: Settings, policy: Policy, ledger: Ledger) -> Iterator[Record]:
    """The redacted records of these files, in order. Raises FormatError, RecordingError and OSError."""
    key = load_or_create(settings.key_file)
    for path in files:
        with (
            path.open("rb", buffering=0) as raw,
            Progress(raw.fileno(), path.name) as progress,
            _content(raw) as file,
        ):
            for one in _records(file, path, settings, policy, key, ledger):
                progress.count()
                yield one


@contextmanager
def _content(raw: io.FileIO) -> Iterator[File]:
    """The file's content, unpacked where it is gzip, as rotated logs are."""
    plain = io.BufferedReader(raw, _BUFFER)
    if plain.peek(2)[:2] != _GZIP:
        yield plain
        return
    with gzip.GzipFile(fileobj=plain) as unpacked:
        yield io.BufferedReader(unpacked, _BUFFER)


def _records(
    file: File, path: Path, settings: Settings, policy: Policy, key: bytes, ledger: Ledger
) -> Iterator[Record]:
    found = settings.format or format_of(file.peek(HEAD)[:HEAD])
    if found is None:
        formats = ", ".join(Format)
        raise FormatError(f"{path}: not in a format that can be told ({formats}); say which with --format")
    if found is Format.RECORDING:
        return _recorded(Recording(file, str(path)), key, policy, ledger)
    return _told(_tellings(file, found), path, policy, key, ledger)


def _tellings(file: File, found: Format) -> Iterator[Telling]:
    if found is Format.AUDIT:
        return audit.tellings(file)
    return telemetry.tellings(file) if found is Format.TELEMETRY else har.tellings(file.read1)


def _recorded(recording: Recording, key: bytes, policy: Policy, ledger: Ledger) -> Iterator[Record]:
    header = recording.header
    if header.key_id != key_id(key):
        log.warning("recorded with another fingerprint key: credentials will not match those of then")
    place = Place(header.agent, header.node, header.cluster)
    pipeline = Pipeline(place, policy, key, ledger, recording.ignore, Limits())
    for event in recording.events():
        yield from pipeline.feed(event)
    yield from pipeline.finish()
    if recording.cut:
        log.warning("the recording ends within an event; all before it was read")


def _told(
    tellings: Iterable[Telling], path: Path, policy: Policy, key: bytes, ledger: Ledger
) -> Iterator[Record]:
    """What a file tells, with the entries that cannot be read counted and named."""
    counts = Counts()
    for one in tellings:
        if isinstance(one, Told):
            counts.read += 1
            yield from redacted(one.exchange, partial(sighting, one, PLACE), policy, key, ledger)
        elif isinstance(one, Broken):
            counts.broken += 1
            ledger.exchanges.update((Exchanges.PARSED, Exchanges.UNREADABLE))
            if counts.broken <= MOST_NAMED:
                log.warning("%s: %s: %s", path, one.place, one.reason)
        elif isinstance(one, Skipped):
            counts.skipped[one.reason] = counts.skipped.get(one.reason, 0) + 1
    if counts.broken:
        log.warning("%s: %d of its entries could not be read", path, counts.broken)
    for reason, count in counts.skipped.items():
        log.info("%s: %d left out: %s", path, count, reason)


def sighting(told: Told, place: Place) -> Sighting:
    """Who saw an exchange that was told of: its teller, whose clock is the wall's."""
    return Sighting(
        agent=place.agent,
        node=place.node,
        cluster=place.cluster,
        offset_ns=0,
        boot_id="",
        connection=told.connection,
        side=told.side,
        tls=None,
        client=told.client,
        server=told.server,
        process=None,
    )
