"""`spectap-agent read`: the format by content, each record redacted, unreadable input counted."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import cli, config, reading
from agent.ledger import Exchanges, Ledger
from agent.progress import Progress
from agent.redact.policy import Policy
from agent.sources import captures, recording
from agent.sources.formats import FORMATS
from agent.sources.reported import FormatError
from agent.wire import Record, Timing, pack_record, read_records
from tests.har import document, entry
from tests.telemetry import common, telemetry

AUDIT_LOG = Path(__file__).parents[1] / "data/audit/kube-apiserver.jsonl"


def records(path: Path, *options: str, ledger: Ledger | None = None) -> list[Record]:
    key_file = str(path.with_name("key"))
    parsed = cli.parser().parse_args(["read", str(path), "--key-file", key_file, *options])
    return list(reading.records([path], config.settings(parsed), Policy(), ledger or Ledger()))


def until_error(path: Path) -> tuple[int, str]:
    """The number of records before the error, and its message."""
    parsed = cli.parser().parse_args(["read", str(path), "--key-file", str(path.with_name("key"))])
    found = reading.records([path], config.settings(parsed), Policy(), Ledger())
    read: list[Record] = []
    with pytest.raises(FormatError) as error:
        read.extend(found)
    return len(read), str(error.value)


def file(tmp_path: Path, content: bytes, name: str = "traffic") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_a_har_is_known_by_its_content_and_its_records_are_redacted(tmp_path: Path) -> None:
    call = entry(
        "POST", body={"password": "hunter22"}, answer={"id": 7}, headers={"Cookie": "sid=s3cretvalue"}
    )
    (one,) = records(file(tmp_path, document(call), "misnamed.pcap"))
    assert one.request is not None
    assert one.response is not None
    assert (one.request.method, one.request.path, one.response.status) == ("POST", b"/pets/7", 200)
    assert one.response.body.data == b'{"id": 7}'
    packed = pack_record(one)
    assert b"hunter22" not in packed
    assert b"s3cretvalue" not in packed


def test_bodies_that_the_writer_has_decoded_are_read_though_a_coding_is_named(tmp_path: Path) -> None:
    (one,) = records(
        file(tmp_path, document(entry(answer={"id": 7}, answer_headers={"Content-Encoding": "br"})))
    )
    assert one.response is not None
    assert (one.response.body.data, one.response.body.state) == (b'{"id": 7}', "complete")


def test_an_audit_log_is_known_and_names_its_users_by_fingerprint_alone(tmp_path: Path) -> None:
    found = records(file(tmp_path, AUDIT_LOG.read_bytes()))
    assert len(found) == 18
    assert not [one for one in found if b"alice" in pack_record(one)]
    admins = {one.consumer.credential for one in found if one.consumer.facts["user"] == "other"}
    assert len(admins) == 1
    (impersonated,) = [one for one in found if "acting-as" in one.consumer.facts]
    assert impersonated.consumer.facts["acting-as"] == "other"
    assert impersonated.consumer.facts["acting-as.fingerprint"] not in admins
    named = {one.consumer.client_name for one in found}
    assert named == {None, "system:anonymous", "system:serviceaccount:shop:default"}


def test_an_audit_log_keeps_the_test_that_called(tmp_path: Path) -> None:
    found = records(file(tmp_path, AUDIT_LOG.read_bytes()))
    tests = {one.consumer.test_name for one in found} - {None}
    assert tests == {
        "[sig-node] Pods should be submitted and removed [Conformance]",
        "[sig-node] Pods should list",
    }


def test_no_secret_of_an_audit_log_is_in_its_records(tmp_path: Path) -> None:
    raw = AUDIT_LOG.read_bytes()
    assert b"c2NydWJiZWQ=" in raw
    packed = b"".join(pack_record(one) for one in records(file(tmp_path, raw)))
    assert b"c2NydWJiZWQ=" not in packed
    assert b'"token":"scrubbed"' in raw
    assert b'"token":"scrubbed"' not in packed


def test_telemetry_is_known_and_redacted(tmp_path: Path) -> None:
    call = telemetry(asked=common(Authorization="Bearer s3cretvalue"))
    (one,) = records(file(tmp_path, call + b"\n"))
    assert one.consumer.credential_scheme == "bearer"
    assert b"s3cretvalue" not in pack_record(one)


def test_a_gzipped_file_is_read_as_what_it_holds(tmp_path: Path) -> None:
    assert len(records(file(tmp_path, gzip.compress(document(entry(), entry()))))) == 2


@pytest.mark.parametrize("damage", [slice(-10, None), slice(-400, -390)])
def test_gzip_data_that_is_cut_or_damaged_is_read_to_there_and_is_an_error(
    tmp_path: Path, damage: slice
) -> None:
    packed = bytearray(gzip.compress(b"".join(AUDIT_LOG.read_bytes() for _ in range(200)), 1))
    packed[damage] = b"" if damage.stop is None else bytes(10)
    read, error = until_error(file(tmp_path, bytes(packed)))
    assert 18 <= read <= 18 * 200
    assert "the gzip data is damaged or cut; what came before was read" in error


@pytest.mark.parametrize("name", ["audit", "ndjson", "telemetry"])
def test_lines_of_which_the_last_is_cut_are_read_to_there_and_are_an_error(tmp_path: Path, name: str) -> None:
    lines = {
        "audit": AUDIT_LOG.read_bytes(),
        "ndjson": 3 * b'{"request": {"method": "GET", "url": "http://h/a"}, "response": {"status": 200}}\n',
        "telemetry": 3 * (telemetry() + b"\n"),
    }[name]
    count = len(lines.splitlines())
    whole = len(records(file(tmp_path, lines)))
    assert len(records(file(tmp_path, lines.removesuffix(b"\n"), "no newline"))) == whole
    for cut in (-2, -30):
        read, error = until_error(file(tmp_path, lines[:cut], "cut"))
        assert read == whole - 1
        assert f"cut off in line {count}, its end is missing; {read} entries were read" in error
    assert len(records(file(tmp_path, lines + b"no JSON", "broken"))) == whole


def test_a_har_that_is_cut_is_read_to_there_and_is_an_error(tmp_path: Path) -> None:
    path = file(tmp_path, document(entry(), entry(), entry())[:-300])
    with pytest.raises(FormatError, match="cut off after entry 2, its end is missing; 2 entries were read"):
        records(path)


def test_the_same_file_gives_the_same_records_under_any_name(tmp_path: Path) -> None:
    first = records(file(tmp_path, document(entry(), entry())))
    again = records(file(tmp_path, document(entry(), entry()), "other"))
    assert first == again
    assert len({one.id for one in first}) == 2


def test_broken_entries_are_counted_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger()
    path = file(tmp_path, document(entry(), {"nothing": "s3cret"}, entry()))
    assert len(records(path, ledger=ledger)) == 2
    assert ledger.exchanges == {Exchanges.PARSED: 1, Exchanges.UNREADABLE: 1}
    assert "entry 2: no request method or no URL" in caplog.text
    assert "1 of its entries could not be read" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("format", ["har", "audit", "telemetry", "pcap"])
def test_a_file_of_which_nothing_can_be_read_is_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, format: str
) -> None:
    path = file(tmp_path, b"<html>sign in</html>\n")
    status = cli.main(["read", str(path), "--format", format, "--key-file", str(tmp_path / "key")])
    assert status == 1
    assert "none of its 1 entries could be read" in caplog.text


def test_a_file_that_is_empty_as_its_format_has_it_is_no_error(tmp_path: Path) -> None:
    assert cli.main(["read", str(file(tmp_path, document())), "--key-file", str(tmp_path / "key")]) == 0


@pytest.mark.parametrize("content", [b"", b"GET / HTTP/1.1\r\n", b"{}", b"\x00" * 100])
def test_a_file_of_no_known_format_is_refused_in_one_sentence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    path = file(tmp_path, content)
    assert cli.main(["read", str(path), "--key-file", str(tmp_path / "key")]) == 1
    assert "unknown format" in caplog.text


def test_the_format_can_be_said(tmp_path: Path) -> None:
    wide = json.dumps({"comment": [1, 2], **json.loads(document(entry()))}).encode()
    path = file(tmp_path, wide)
    assert len(records(path, "--format", "har")) == 1


def test_what_is_written_can_be_read_back(tmp_path: Path) -> None:
    found = records(file(tmp_path, document(entry(), entry(status=404))))
    assert list(read_records(io.BytesIO(b"".join(map(pack_record, found))))) == found


def test_progress_tells_the_part_of_the_file_that_was_read(tmp_path: Path) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    path = file(tmp_path, b"x" * 1000)
    screen = Screen()
    with path.open("rb", buffering=0) as opened, Progress(opened.fileno(), path.name, screen) as progress:
        opened.read(500)
        progress.count()
        assert progress.line() == "traffic: [############            ]  50%  1 records"
    assert screen.getvalue() == "\r\033[K"


MEASURE = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""


def peak_of_reading(path: Path) -> tuple[int, int]:
    """Exit status and peak memory in MiB. A small program starts the reader: otherwise the peak would include
    the memory of this process before exec.
    """
    command = [sys.executable, "-m", "agent", "read", str(path), "--key-file", str(path.with_name("key"))]
    said = subprocess.run(
        [sys.executable, "-c", MEASURE, *command], check=True, stdout=subprocess.PIPE, text=True
    )
    status, peak = said.stdout.split()
    return int(status), int(peak)


@pytest.fixture(scope="module")
def least(tmp_path_factory: pytest.TempPathFactory) -> int:
    """The memory of reading next to nothing."""
    return peak_of_reading(file(tmp_path_factory.mktemp("least"), document(entry())))[1]


def test_memory_does_not_grow_with_the_file(tmp_path: Path, least: int) -> None:
    large = entry(answer={"pad": "x" * 2_000_000})
    status, peak = peak_of_reading(file(tmp_path, document(*[large] * 60)))
    assert status == 0
    assert peak < least + 60


@pytest.mark.parametrize(
    "start", [b'{"apiVersion":"audit.k8s.io/v1","a":"', b'{"log":{"entries":[{"a":"', b'{"TruncatedBody":"']
)
def test_a_line_of_a_hundred_megabytes_is_broken_in_bounded_memory(
    tmp_path: Path, least: int, start: bytes
) -> None:
    status, peak = peak_of_reading(file(tmp_path, start + b"x" * 100_000_000))
    assert status == 1  # it contains nothing else
    assert peak < least + 90


def test_a_bomb_of_gzip_is_read_in_bounded_memory(tmp_path: Path, least: int) -> None:
    bomb = gzip.compress(b'{"log":{"entries":[' + b'[{"a":"' * 100_000 + b"x" * 100_000_000)
    status, peak = peak_of_reading(file(tmp_path, bomb))
    assert status == 1
    assert peak < least + 90


MAGICS = st.sampled_from(
    [
        b"",
        recording.MAGIC,
        *captures.MAGICS,
        b'{"log":{"entries":[',
        b'{"auditID":"',
        b'{"TruncatedBody":',
        b"\x1f\x8b\x08\0",
    ]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MAGICS, st.binary(max_size=200), st.none() | st.sampled_from(tuple(FORMATS)))
def test_any_file_in_any_format_gives_records_or_one_sentence(
    tmp_path: Path, magic: bytes, raw: bytes, name: str | None
) -> None:
    path = file(tmp_path, magic + raw)
    options = () if name is None else ("--format", name)
    refusal = "none"
    try:
        records(path, *options)
    except tuple(cli.expected_errors()) as error:
        refusal = str(error)
    assert refusal


def test_an_exchange_without_a_time_has_that_of_the_file_and_no_timing(tmp_path: Path) -> None:
    call = entry(answer={"id": 7})
    del call["startedDateTime"]
    path = file(tmp_path, document(call))
    os.utime(path, ns=(1_772_400_000_000_000_000, 1_772_400_000_000_000_000))
    (one,) = records(path)
    assert one.time == 1_772_400_000_000_000_000
    assert one.timing == Timing(None, None, None, None)


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_in_utf16_is_named_as_such(tmp_path: Path, coding: str) -> None:
    path = file(tmp_path, document(entry()).decode().encode(coding))
    with pytest.raises(FormatError, match="UTF-16; convert it with iconv"):
        records(path)


def test_a_file_that_cannot_be_read_holds_up_no_other_and_each_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    good = file(tmp_path, document(entry(status=204)), "good")
    bad, gone = file(tmp_path, b"neither", "bad"), tmp_path / "gone"
    files = map(str, (gone, good, bad, good))
    assert cli.main(["read", *files, "--key-file", str(tmp_path / "key")]) == 1
    found = [
        one.response.status for one in read_records(io.BytesIO(capfdbinary.readouterr().out)) if one.response
    ]
    assert found == [204, 204]
    assert [one.getMessage().partition(" (")[0] for one in caplog.records] == [
        f"{gone}: No such file or directory",
        f"{bad}: unknown format",
    ]
