"""What a run says of itself, without a kernel to watch."""

from __future__ import annotations

from agent.probes.kernel import Watching
from agent.run import notes


def test_all_that_is_not_watched_is_said_with_its_reason() -> None:
    assert list(notes(Watching())) == []
    said = list(notes(Watching(failures={"/usr/lib/libssl.so.3": "no symbols"}, put_off=7)))
    assert said[0] == "/usr/lib/libssl.so.3: no symbols"
    assert "7 processes" in said[1]


def test_why_tls_is_not_captured_is_said_once_however_many_libraries_there_are() -> None:
    why = "TLS capture disabled: this kernel is odd"
    assert list(notes(Watching(tls_refusal=why, failures={"/a": why, "/b": why}))) == [why]
