"""A recording returns what was written, wherever it is cut; other files are refused."""

import contextlib
import io
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.events import (
    Address,
    Chunk,
    Clock,
    Closed,
    ConnectionKey,
    Direction,
    Event,
    Hello,
    Lost,
    Opened,
    PodContainer,
    PodGone,
    PodSeen,
    PodsWatched,
    ProcessGone,
    ProcessSeen,
    Role,
    Tick,
)
from agent.sources.content import Header
from agent.sources.recording import KINDS, MAGIC, READERS, Recording, RecordingError, RecordingWriter, key_id

HEADER = Header("agent", "node", None, key_id(b"k" * 32))
KEY = ConnectionKey("openssl", 2**64 - 1, 2**63, 77)
ENDS = Address("10.0.0.1", 80, 4026531840), Address("::1", 51000, None)
EVENTS: list[Event] = [
    Clock(-5, "boot"),
    ProcessSeen(1, 77, None, "né", None, "/system.slice/a.service"),
    ProcessSeen(1, 78, 5, "node", "/usr/bin/node", "/docker/" + "a" * 64, "shop/checkout:1.2"),
    PodsWatched(1, True, False),
    PodSeen(
        *(1, "uid", "cart-1", "shop", "node", "cart", "Deployment"),
        *(
            (("app", "cart"),),
            ("10.1.0.5", "fd00::5"),
            (PodContainer("c" * 64, "web", "cart:1", None),),
            True,
        ),
    ),
    PodSeen(1, "uid", "bare", "shop", None, None, None, (), (), (), False),
    PodSeen(1, "uid", "bare", "shop", None, None, None, (), (), (), False, "x-team"),
    PodGone(1, "uid"),
    Opened(2, KEY, *ENDS, Role.CLIENT),
    Chunk(3, KEY, Direction.SENT, 0, 10, b"GET / \xff", 77, *ENDS, Role.CLIENT, True),
    Chunk(4, KEY, Direction.RECEIVED, 2**40, 5, b"", 77, None, None, None, False),
    Chunk(4, KEY, Direction.RECEIVED, 2**41, 5, b"", 77, None, None, None, False, capped=True),
    Lost(5, "ring_full", 3),
    Hello(5, *ENDS, bytes(range(32))),
    Tick(6),
    Closed(7, KEY),
    Closed(7, ConnectionKey("socket", 1, 2)),
    ProcessGone(8, 77),
]


def written(folder: Path) -> bytes:
    writer = RecordingWriter(folder / "recording", HEADER)
    for event in EVENTS:
        writer.write(event)
    writer.close()
    return (folder / "recording").read_bytes()


def read(raw: bytes) -> tuple[Recording, list[Event]]:
    recording = Recording(io.BytesIO(raw), "test")
    return recording, list(recording.events())


def test_what_was_written_is_what_is_read(tmp_path: Path) -> None:
    recording, events = read(written(tmp_path))
    assert events == EVENTS
    assert recording.header == HEADER
    assert not recording.cut


def test_a_connection_without_a_pid_is_written_as_it_always_was(tmp_path: Path) -> None:
    assert written(tmp_path).count(b"\x94\xa6socket\x01\x02\x00") == 1


def test_every_kind_of_event_is_covered() -> None:
    assert {type(event) for event in EVENTS} == set(KINDS)
    assert len(READERS) == len(KINDS)


def test_only_the_owner_can_read_it_and_nothing_is_overwritten(tmp_path: Path) -> None:
    written(tmp_path)
    assert stat.S_IMODE((tmp_path / "recording").stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        RecordingWriter(tmp_path / "recording", HEADER)


def test_a_cut_file_is_a_recording_up_to_its_last_whole_event(tmp_path: Path) -> None:
    raw = written(tmp_path)
    seen = set()
    for end in range(len(MAGIC), len(raw)):
        try:
            _, events = read(raw[:end])
        except RecordingError:
            continue  # within the header
        assert events == EVENTS[: len(events)]
        seen.add(len(events))
    assert seen == set(range(len(EVENTS)))


def test_another_format_is_refused_by_number(tmp_path: Path) -> None:
    raw = written(tmp_path)
    with pytest.raises(RecordingError, match="recorded in format 2"):
        read(raw.replace(MAGIC + b"\x95\x01", MAGIC + b"\x95\x02"))
    with pytest.raises(RecordingError, match="not a spectap recording"):
        read(b"something else entirely")


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    raw = written(tmp_path)
    with pytest.raises(RecordingError, match="not an event"):
        read(raw.replace(b"10.0.0.1", b"10.0.0.x"))


@given(st.binary(max_size=300))
def test_any_bytes_are_events_or_one_error(noise: bytes) -> None:
    header = MAGIC + b"\x95\x01\xa1a\xa1n\xc0\xa1k"
    with contextlib.suppress(RecordingError):
        read(header + noise)


def test_the_key_id_does_not_give_the_key_away() -> None:
    assert key_id(b"a" * 32) != key_id(b"b" * 32)
    assert b"a" * 8 not in key_id(b"a" * 32).encode()
