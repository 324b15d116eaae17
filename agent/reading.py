"""Files of any known format, through the agent's pipeline, to redacted records.

Events (of recordings and captures) pass all stages; reported exchanges enter after the parsers. An unreadable
entry is counted and named; reading continues.
"""

from __future__ import annotations

import codecs
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from agent.config import Settings
from agent.ledger import Exchanges, Ledger
from agent.progress import Progress
from agent.redact.key import load_or_create
from agent.redact.policy import Policy
from agent.redact.redactor import Redactor
from agent.sources.content import FileContent, Header, ReadPart, Remark
from agent.sources.formats import FORMATS, HEAD, recognised
from agent.sources.recording import key_id
from agent.sources.reported import CutShort, FormatError, Reported, Skipped, UnreadableEntry
from agent.sources.unpacked import Unpacked, unpacked
from agent.sources.unread import Unread
from agent.views import MakesRecords, Origin, Redaction
from agent.wire import FROM_FILES, Record

if TYPE_CHECKING:
    from agent.pipeline import Pipeline
    from agent.streams.table import Limits

log = logging.getLogger(__name__)

UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"{\0", b"\0{", b"[\0", b"\0[")
"""How JSON in UTF-16 begins, with a byte order mark or without."""

ORIGIN = Origin(FROM_FILES, FROM_FILES, None)
"""Records of files have no node, so that a file gives the same records everywhere."""


def records(
    files: Iterable[Path],
    settings: Settings,
    policy: Policy,
    ledger: Ledger,
    maker: MakesRecords | None = None,
) -> Iterator[Record]:
    """The records of these files, in order: redacted, unless a `maker` is given, which needs no key. Raises
    KeyFileError, FormatError, RecordingError and OSError.
    """
    key = load_or_create(settings.key_file) if maker is None else b""
    for path in files:
        with (
            path.open("rb", buffering=0) as raw,
            Progress(raw.fileno(), path.name) as progress,
            unpacked(raw, path) as file,
        ):
            content = _content(file, path, settings.format, os.fstat(raw.fileno()).st_mtime_ns)
            origin = _origin(content.header, key) if maker is None else ORIGIN
            for one in _records(
                content, path, policy, origin, maker or Redactor(policy, key), ledger, progress
            ):
                progress.count()
                yield one


def _content(file: Unpacked, path: Path, name: str | None, written_ns: int) -> FileContent:
    """The file's content, by the format of this name or the one its first bytes show. `written_ns` is the
    time of exchanges without one.
    """
    head = file.peek(HEAD)[:HEAD]
    if head.startswith(UTF16):
        raise FormatError(f"{path}: encoded as UTF-16; convert it with iconv -f UTF-16 -t UTF-8")
    found = recognised(head) if name is None else FORMATS[name]
    if found is None:
        formats = ", ".join(FORMATS)
        raise FormatError(f"{path}: unknown format ({formats}); choose one with --format")
    return found.content(file, str(path), max(0, written_ns))


def _records(
    content: FileContent,
    path: Path,
    policy: Policy,
    origin: Origin,
    maker: MakesRecords,
    ledger: Ledger,
    progress: Progress,
) -> Iterator[Record]:
    pipeline: Pipeline | None = None
    redaction = Redaction(ORIGIN, maker, ledger)
    unread = Unread(path)
    for item in content.items:
        progress.refresh()  # much may be read before the next record
        match item:
            case Reported():
                unread.count(item)
                if (record := redaction.record(item)) is not None:
                    yield record
            case UnreadableEntry():
                unread.count(item)
                if content.of_exchanges:
                    ledger.exchanges.update((Exchanges.PARSED, Exchanges.UNREADABLE))
            case Skipped() | ReadPart() | CutShort():
                unread.count(item)
            case Remark(text):
                log.warning("%s: %s", path, text)
            case _:
                pipeline = pipeline or _pipeline(origin, policy, maker, ledger, content.limits)
                yield from pipeline.process(item).records
    if pipeline is not None:
        yield from pipeline.finish().records
    unread.report()


def _pipeline(
    origin: Origin, policy: Policy, maker: MakesRecords, ledger: Ledger, limits: Limits
) -> Pipeline:
    """The stages for events, imported when a file has some: the parsers take a tenth of a second."""
    from agent.pipeline import Pipeline

    return Pipeline(origin, policy, maker, ledger, limits)


def _origin(header: Header | None, key: bytes) -> Origin:
    """The origin named in a recording; other formats have none."""
    if header is None:
        return ORIGIN
    if header.key_id != key_id(key):
        log.warning("recorded with another fingerprint key: credential fingerprints will differ")
    return Origin(header.agent, header.node, header.cluster)
