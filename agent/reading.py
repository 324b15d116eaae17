"""`spectap-agent read`: files of any format we know, through the agent's pipeline, to redacted records.

Streams of events (recordings, captures) take the whole way; what tells of whole exchanges joins behind the
parsers. An entry that cannot be read is counted and named, and stops nothing.
"""

from __future__ import annotations

import io
import logging
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

from agent.config import Settings
from agent.events import Tick
from agent.ledger import Exchanges, Ledger
from agent.pipeline import Pipeline, Place, redacted, sighting_of
from agent.progress import Progress
from agent.redact.key import load_or_create
from agent.redact.policy import Policy
from agent.sources import audit, har, telemetry
from agent.sources.captures import Frame, frames
from agent.sources.files import HEAD, Format, format_of
from agent.sources.packets import NoSegment, Packets
from agent.sources.recording import Recording, key_id
from agent.sources.tcp import LIMITS, Flows
from agent.sources.told import Broken, FormatError, Skipped, Telling, Told
from agent.streams.table import Limits
from agent.wire import Record, pack_record

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

log = logging.getLogger(__name__)

MOST_NAMED = 20
"""Entries of one file that are named when they cannot be read; all are counted."""

TICK_NS = 100_000_000
"""Of a capture's time, after which what waits for more is looked at."""

_GZIP_BITS = 31  # of zlib: a gzip header, the largest window
_GZIP = b"\x1f\x8b"
_BUFFER = 256 * 1024
File: TypeAlias = "io.BufferedReader[io.FileIO] | io.BufferedReader[_Unpacked]"
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
            _content(raw, path) as file,
        ):
            for one in _records(file, path, settings, policy, key, ledger, progress):
                progress.count()
                yield one


@contextmanager
def _content(raw: io.FileIO, path: Path) -> Iterator[File]:
    """The file's content, unpacked where it is gzip, as rotated logs are."""
    plain = io.BufferedReader(raw, _BUFFER)
    if plain.peek(2)[:2] != _GZIP:
        yield plain
        return
    unpacked = _Unpacked(plain)
    yield io.BufferedReader(unpacked, _BUFFER)
    if unpacked.damaged:
        log.warning("%s: the gzip data is damaged or cut; all before that was read", path)


class _Unpacked(io.RawIOBase):
    """What gzip data (RFC 1952) holds, to the last byte before it is damaged or cut."""

    def __init__(self, packed: io.BufferedReader[io.FileIO]) -> None:
        self._packed = packed
        self._waiting = b""
        self._member = zlib.decompressobj(_GZIP_BITS)
        self._ended = False
        self.damaged = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        try:
            found = b"" if self._ended else self._next(len(view))
        except zlib.error:
            found, self._ended, self.damaged = b"", True, True
        view[: len(found)] = found
        return len(found)

    def _next(self, room: int) -> bytes:
        while packed := self._waiting or self._packed.read(_BUFFER):
            if self._member.eof:  # rotated logs are joined as members
                self._member = zlib.decompressobj(_GZIP_BITS)
            found = self._member.decompress(packed, room)
            self._waiting = self._member.unused_data or self._member.unconsumed_tail
            if found:
                return found
        found = b"" if self._member.eof else self._member.decompress(b"", room)
        if not found:
            self._ended, self.damaged = True, not self._member.eof
        return found


def _records(
    file: File,
    path: Path,
    settings: Settings,
    policy: Policy,
    key: bytes,
    ledger: Ledger,
    progress: Progress,
) -> Iterator[Record]:
    found = settings.format or format_of(file.peek(HEAD)[:HEAD])
    if found is None:
        formats = ", ".join(Format)
        raise FormatError(f"{path}: not in a format that can be told ({formats}); say which with --format")
    if found is Format.RECORDING:
        return _recorded(Recording(file, str(path)), key, policy, ledger, progress)
    if found is Format.CAPTURE:
        return _captured(file, path, policy, key, ledger)
    return _told(_tellings(file, found), path, policy, key, ledger)


def _tellings(file: File, found: Format) -> Iterator[Telling]:
    if found is Format.AUDIT:
        return audit.tellings(file)
    return telemetry.tellings(file) if found is Format.TELEMETRY else har.tellings(file.read1)


def _recorded(
    recording: Recording, key: bytes, policy: Policy, ledger: Ledger, progress: Progress
) -> Iterator[Record]:
    header = recording.header
    if header.key_id != key_id(key):
        log.warning("recorded with another fingerprint key: credentials will not match those of then")
    place = Place(header.agent, header.node, header.cluster)
    pipeline = Pipeline(place, policy, key, ledger, Limits())
    for event in recording.events():
        progress.look()  # much may pass before a record
        yield from pipeline.feed(event).records
    yield from pipeline.finish().records
    if recording.cut:
        log.warning("the recording ends within an event; all before it was read")


def _captured(file: File, path: Path, policy: Policy, key: bytes, ledger: Ledger) -> Iterator[Record]:
    """Packets on their way through TCP into the same pipeline as the kernel's events."""
    pipeline = Pipeline(PLACE, policy, key, ledger, LIMITS)
    packets, flows, tally = Packets(), Flows(), _Tally(path)
    now = ticked = 0
    for number, frame in enumerate(frames(file.read), 1):
        tally.note(frame)
        if isinstance(frame, Broken):
            break
        now = max(now, frame.time_ns)  # the pipeline's time goes forward only
        if len(frame.data) < frame.length:
            tally.note(Skipped("ends of packets beyond the snap length"))
        try:
            segment = packets.segment(now, frame.link, frame.data, frame.length)
        except NoSegment as error:
            place = f"packet {number}"
            tally.note(Broken(place, str(error)) if error.broken else Skipped(f"packets, {error}"))
            continue
        for event in flows.feed(segment):
            yield from pipeline.feed(event).records
        if now - ticked >= TICK_NS:
            ticked = now
            yield from pipeline.feed(Tick(now)).records
    for event in flows.finish():
        yield from pipeline.feed(event).records
    yield from pipeline.finish().records
    tally.say()


def _told(
    tellings: Iterable[Telling], path: Path, policy: Policy, key: bytes, ledger: Ledger
) -> Iterator[Record]:
    """What a file tells, with the entries that cannot be read counted and named."""
    tally = _Tally(path)
    for one in tellings:
        tally.note(one)
        if isinstance(one, Told):
            yield from redacted(one.exchange, partial(sighting_of, one, PLACE), policy, key, ledger)
        elif isinstance(one, Broken):
            ledger.exchanges.update((Exchanges.PARSED, Exchanges.UNREADABLE))
    tally.say()


class _Tally:
    """What of a file could not be read, named up to a bound, and what was left out, by reason."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = self._broken = 0
        self._skipped: Counter[str] = Counter()

    def note(self, one: Telling | Frame) -> None:
        if isinstance(one, Skipped):
            self._skipped[one.reason] += 1
        elif isinstance(one, Broken):
            self._broken += 1
            if self._broken <= MOST_NAMED:
                log.warning("%s: %s: %s", self._path, one.place, one.reason)
        else:
            self._read += 1

    def say(self) -> None:
        """At the file's end. Raises FormatError where nothing of it could be read: it is not what it was
        taken for."""
        if self._broken:
            if not self._read and not self._skipped:
                raise FormatError(f"{self._path}: none of its {self._broken} entries could be read")
            log.warning("%s: %d of its entries could not be read", self._path, self._broken)
        for reason, count in self._skipped.items():
            log.info("%s: %d left out: %s", self._path, count, reason)
