"""Captured packets as the pipeline's events: frames of the file, segments of TCP, ordered bytes."""

from __future__ import annotations

from collections.abc import Iterator

from agent.events import Tick
from agent.sources import captures
from agent.sources.captures import Frame, frames
from agent.sources.content import File, FileContent, Item, ReadPart
from agent.sources.packets import NoSegment, Packets
from agent.sources.reported import Skipped, UnreadableEntry
from agent.sources.tcp import LIMITS, Flows, Segment

TICK_NS = 100_000_000
"""Interval of ticks, in a capture's time."""

_CUT = Skipped("ends of packets beyond the snap length")
_READ = ReadPart()


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is pcap or pcapng."""
    return head.startswith(captures.MAGICS)


def content(file: File, name: str) -> FileContent:
    """The events of a capture; its unreadable packets do not count as exchanges."""
    return FileContent(_items(file), limits=LIMITS, of_exchanges=False)


def _items(file: File) -> Iterator[Item]:
    packets, flows = Packets(), Flows()
    now = ticked = 0
    for number, frame in enumerate(frames(file.read), 1):
        if isinstance(frame, UnreadableEntry):
            yield frame
            break
        yield _READ
        now = max(now, frame.time_ns)  # the pipeline's time must not go back
        if len(frame.data) < frame.length:
            yield _CUT
        segment = _segment(packets, frame, now, number)
        if not isinstance(segment, Segment):
            yield segment
            continue
        yield from flows.feed(segment)
        if now - ticked >= TICK_NS:
            ticked = now
            yield Tick(now)
    yield from flows.finish()


def _segment(packets: Packets, frame: Frame, now: int, number: int) -> Segment | UnreadableEntry | Skipped:
    try:
        return packets.segment(now, frame.link, frame.data, frame.length)
    except NoSegment as error:
        if error.broken:
            return UnreadableEntry(f"packet {number}", str(error))
        return Skipped(f"packets, {error}")
