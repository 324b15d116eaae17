"""The recordings of real processes in tests/data/recordings, their content, and ways to damage them."""

from __future__ import annotations

import gzip
import io
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path

from agent.events import Chunk, Closed, ConnectionKey, Event, Lost, Opened
from agent.ledger import Bytes, Ledger
from agent.pipeline import Pipeline
from agent.redact.policy import Policy
from agent.redact.redactor import Redactor
from agent.sources.content import Header
from agent.sources.recording import Recording
from agent.streams.table import Limits
from agent.views import Origin
from agent.wire import Record

FOLDER = Path(__file__).parents[1] / "data/recordings"
KEY = b"the key of recordings in tests.."
NAMES = sorted(path.name.removesuffix(".gz") for path in FOLDER.glob("*.gz"))
LATE_NS = 100_000_000  # how late an event may arrive: half of what a reorder window allows


@cache
def recorded(name: str) -> tuple[Header, tuple[Event, ...]]:
    """A recording's header and events."""
    raw = gzip.decompress((FOLDER / f"{name}.gz").read_bytes())
    recording = Recording(io.BytesIO(raw), name)
    return recording.header, tuple(recording.events())


def pipeline(name: str, ledger: Ledger, limits: Limits | None = None) -> Pipeline:
    """The agent's pipeline as `spectap-agent read` configures it for this recording."""
    header, _ = recorded(name)
    origin = Origin(header.agent, header.node, header.cluster)
    return Pipeline(origin, Policy(), Redactor(Policy(), KEY), ledger, limits or Limits())


def records(made: Pipeline, events: Iterable[Event]) -> Iterator[Record]:
    """The records that the pipeline makes of these events."""
    for event in events:
        yield from made.process(event).records
    yield from made.finish().records


def summary(name: str) -> str:
    """One line per record, in order, then one per bucket of bytes. It changes when the parsers do."""
    _, events = recorded(name)
    ledger = Ledger()
    lines = [_line(record) for record in records(pipeline(name, ledger), events)]
    lines += [f"bytes {bucket}: {count}" for bucket, count in sorted(ledger.bytes.items())]
    lines += [f"kernel {bucket}: {count}" for bucket, count in sorted(ledger.kernel.items())]
    return "\n".join(lines) + "\n"


def _line(record: Record) -> str:
    asked, answered = record.request, record.response
    words: list[object] = [
        record.id,
        record.protocol,
        record.tls or "plain",
        record.side,
        record.completeness,
    ]
    if asked is not None:
        words += [asked.method, asked.path.decode(), asked.body.size, asked.body.state]
    if answered is not None:
        words += ["->", answered.status, answered.body.size, answered.body.state, len(answered.trailers)]
    if record.grpc is not None:
        counts = record.grpc
        words += ["grpc", counts.status, counts.request_messages, counts.response_messages]
    if record.fields_unknown:
        words += ["unknown", record.fields_unknown]
    return " ".join(map(str, words))


@dataclass(frozen=True)
class Harm:
    """The probability of each kind of damage to an event; `seed` makes the choice repeatable. A source under
    pressure does all of these.
    """

    seed: int
    lost: float = 0.0
    short: float = 0.0  # less captured than its length
    twice: float = 0.0
    late: float = 0.0
    cut: float = 0.0  # split at any places

    def to(self, events: Iterable[Event]) -> list[Event]:
        """The events as they arrive."""
        chance = random.Random(self.seed)
        whole = [piece for event in events for piece in self._harmed(event, chance)]
        return self._reordered(whole, chance)

    def _harmed(self, event: Event, chance: random.Random) -> list[Event]:
        if not isinstance(event, (Chunk, Opened, Closed)):
            return [event]
        if chance.random() < self.lost:
            return []
        if not isinstance(event, Chunk):
            return [event]
        pieces = _pieces(event, chance) if chance.random() < self.cut else [event]
        return [each for piece in pieces for each in self._captured(piece, chance)]

    def _captured(self, piece: Chunk, chance: random.Random) -> list[Event]:
        if chance.random() < self.short:
            piece = replace(piece, data=piece.data[: chance.randint(0, len(piece.data))])
        return [piece] * (1 + (chance.random() < self.twice))

    def _reordered(self, events: list[Event], chance: random.Random) -> list[Event]:
        """Chunks arrive late, as from another CPU, but none after the end of its connection."""
        last: dict[ConnectionKey, float] = {}
        now, keyed = 0, []
        for number, event in enumerate(events):
            now = max(now, getattr(event, "time_ns", 0))
            at = now + (chance.randint(1, LATE_NS) if chance.random() < self.late else 0)
            if isinstance(event, (Closed, Opened)):
                at = max(now, int(last.get(event.connection, 0)))
            elif not isinstance(event, Chunk):
                at = now
            if isinstance(event, (Chunk, Closed, Opened)):
                last[event.connection] = max(last.get(event.connection, 0), at)
            keyed.append((at, number, event))
        return [event for _, _, event in sorted(keyed, key=lambda item: item[:2])]


def _pieces(chunk: Chunk, chance: random.Random) -> list[Chunk]:
    """The chunk split into at most four, at any places."""
    places = sorted({0, chunk.length, *(chance.randint(0, chunk.length) for _ in range(3))})
    return [
        replace(chunk, position=chunk.position + start, length=end - start, data=chunk.data[start:end])
        for start, end in pairwise(places)
    ]


def passed(events: Iterable[Event]) -> int:
    """Bytes of streams in these events, as often as they occur, including bytes reported only as a count."""
    return sum(
        event.length if isinstance(event, Chunk) else event.count
        for event in events
        if isinstance(event, Chunk) or (isinstance(event, Lost) and event.what in set(Bytes))
    )
