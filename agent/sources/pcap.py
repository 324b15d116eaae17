"""Captured packets as the pipeline's events: frames of the file, segments of TCP, ordered bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agent.events import Tick
from agent.sources import captures
from agent.sources.captures import Frame, frames
from agent.sources.content import File, FileContent, Item, ReadPart
from agent.sources.packets import NoSegment, Packets, UnknownLink
from agent.sources.reported import FormatError, Skipped, UnreadableEntry
from agent.sources.tcp import LIMITS, Flows, Segment

TICK_NS = 100_000_000
"""Interval of ticks, in a capture's time."""

_CUT = Skipped("ends of packets beyond the snap length")
_READ = ReadPart()


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is pcap or pcapng."""
    return head.startswith(captures.MAGICS)


def content(file: File, name: str, written_ns: int) -> FileContent:
    """The events of a capture; its unreadable packets do not count as exchanges."""
    return FileContent(_items(file, name), limits=LIMITS, of_exchanges=False)


def _items(file: File, name: str) -> Iterator[Item]:
    """Raises FormatError at the end if no packet has a known link type."""
    packets, flows, links = Packets(), Flows(), _Links()
    now = ticked = 0
    for number, frame in enumerate(frames(file.read), 1):
        if isinstance(frame, UnreadableEntry):
            yield frame
            break
        yield _READ
        now = max(now, frame.time_ns)  # the pipeline's time must not go back
        if len(frame.data) < frame.length:
            yield _CUT
        segment = _segment(packets, frame, now, number, links)
        if not isinstance(segment, Segment):
            yield segment
            continue
        yield from flows.feed(segment)
        if now - ticked >= TICK_NS:
            ticked = now
            yield Tick(now)
    yield from flows.finish()
    if links.unknown and not links.known:
        raise FormatError(f"{name}: none of its {links.unknown} packets could be read: {links.why}")


@dataclass(slots=True)
class _Links:
    """Packets by whether their link type is known; why the last one's is not."""

    known: int = 0
    unknown: int = 0
    why: str = ""


def _segment(
    packets: Packets, frame: Frame, now: int, number: int, links: _Links
) -> Segment | UnreadableEntry | Skipped:
    links.known += 1
    try:
        return packets.segment(now, frame.link, frame.data, frame.length)
    except NoSegment as error:
        if isinstance(error, UnknownLink):
            links.known, links.unknown, links.why = links.known - 1, links.unknown + 1, str(error)
        if error.broken:
            return UnreadableEntry(f"packet {number}", str(error))
        return Skipped(f"packets, {error}")
