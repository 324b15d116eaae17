"""Recordings become the same redacted records on every read; a damaged one is refused in one sentence."""

from __future__ import annotations

import gzip
import io
import itertools
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest

from agent import cli, config
from agent.commands import run
from agent.commands.read import write
from agent.events import Event
from agent.probes.kernel import SourceError
from agent.redact.policy import Policy
from agent.sources.content import Header
from agent.sources.recording import Recording, RecordingWriter, key_id
from agent.wire import decode_record, pack_record
from tests.agent.test_pipeline import EVENTS

KEY = b"k" * 32


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_bytes(KEY)
    file.chmod(0o600)
    return file


def record(path: Path, events: tuple[Event, ...] = EVENTS) -> Path:
    writer = RecordingWriter(path, Header("agent-1", "node-1", None, key_id(KEY)))
    for event in events:
        writer.write(event)
    writer.close()
    return path


def read(path: Path, key_file: Path) -> bytes:
    parser = cli.parser()
    options = parser.parse_args(["read", str(path), "--key-file", str(key_file)])
    out = io.BytesIO()
    (file,) = options.files
    write(file, config.settings(options), Policy(), out)
    return out.getvalue()


def test_a_recording_gives_the_same_records_byte_for_byte_each_time(tmp_path: Path, key_file: Path) -> None:
    path = record(tmp_path / "recording")
    first, second = read(path, key_file), read(path, key_file)
    assert first == second
    (plain,) = msgpack.Unpacker(io.BytesIO(first))
    found = decode_record(msgpack.packb(plain))
    assert pack_record(found) == first
    assert (found.agent, found.node) == ("agent-1", "node-1")


def test_what_is_read_is_redacted_though_the_recording_is_not(tmp_path: Path, key_file: Path) -> None:
    path = record(tmp_path / "recording")
    assert b"s3cret" in path.read_bytes()
    assert b"s3cret" not in read(path, key_file)


def test_a_file_that_is_no_recording_ends_with_one_sentence(
    tmp_path: Path, key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"GET / HTTP/1.1\r\n")
    assert cli.main(["read", str(wrong), "--key-file", str(key_file)]) == 1
    assert "unknown format" in caplog.text


def test_another_fingerprint_key_is_told(
    tmp_path: Path, key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = record(tmp_path / "recording")
    key_file.write_bytes(b"x" * 32)
    read(path, key_file)
    assert "another fingerprint key" in caplog.text


def test_a_compressed_recording_that_was_cut_is_read_to_there(
    tmp_path: Path,
    key_file: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    raw = record(tmp_path / "recording", EVENTS * 200).read_bytes()
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(raw)[:-200])
    assert cli.main(["read", str(cut), "--key-file", str(key_file)]) == 1
    assert [*msgpack.Unpacker(io.BytesIO(capfdbinary.readouterr().out))]
    assert "damaged or cut" in caplog.text


class Full:
    """A source that records until the disk is full."""

    def __init__(self) -> None:
        self.dark = self.detached = False

    def attach(self) -> None:
        """No-op."""

    def events(self) -> Iterator[Event]:
        return itertools.cycle(EVENTS)

    def disable(self) -> None:
        self.dark = True

    def detach(self) -> Iterator[tuple[int, int]]:
        self.detached = True
        yield 1, 1


def record_with(source: Full, path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(run, "live_source", lambda settings: source)
    return cli.main(["record", str(path), "--key-file", str(key_file), "--cache", str(path.parent)])


def test_a_disk_that_is_full_ends_a_recording_that_can_be_read(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source, path, limit = Full(), tmp_path / "recording", 300_000
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        assert record_with(source, path, key_file, monkeypatch) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "the disk is full" in caplog.text
    assert "including secrets" in caplog.text
    assert source.dark
    assert source.detached, "no probe stays"
    assert path.stat().st_size <= limit
    with path.open("rb") as file:
        assert len(list(Recording(file, "recording").events())) > 1000


@pytest.mark.parametrize("words", [("read",), ("replay", "--server", "http://127.0.0.1:1")])
def test_an_input_that_is_not_there_is_one_sentence_with_its_path(
    words: tuple[str, ...], tmp_path: Path, key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert cli.main([*words, str(tmp_path / "none"), "--key-file", str(key_file)]) == 1
    assert [entry.getMessage() for entry in caplog.records if entry.levelname == "ERROR"] == [
        f"{tmp_path}/none: No such file or directory"
    ]


def test_a_recording_that_cannot_be_made_is_refused_before_anything_is_loaded(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(run, "live_source", lambda settings: pytest.fail("it was loaded"))
    path = tmp_path / "none" / "recording"
    words = ["record", str(path), "--key-file", str(key_file), "--cache", str(tmp_path)]
    assert cli.main(words) == 1
    assert [entry.getMessage() for entry in caplog.records] == [f"{path}: No such file or directory"]


def test_a_host_that_refuses_the_capture_leaves_no_recording(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(settings: config.Settings) -> None:
        raise SourceError("only root may watch")

    monkeypatch.setattr(run, "live_source", refuse)
    path = tmp_path / "recording"
    assert cli.main(["record", str(path), "--key-file", str(key_file), "--cache", str(tmp_path)]) == 1
    assert "only root may watch" in caplog.text
    assert not path.exists()


def test_nothing_is_overwritten_and_the_error_says_what_to_do(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = record(tmp_path / "recording")
    before = path.read_bytes()
    assert record_with(Full(), path, key_file, monkeypatch) == 1
    assert "choose another name" in caplog.text
    assert path.read_bytes() == before
