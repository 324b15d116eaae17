"""What coverage says of traffic that was not seen."""

from __future__ import annotations

import pytest

from agent.ledger import Bytes
from server.analysis.coverage.confidence import UNSEEN, confidence, sentence

OTHERWISE = {
    Bytes.SEEN,
    Bytes.PARSED,
    Bytes.NOT_HTTP,
    Bytes.TLS_CIPHERTEXT,  # counted again in the library, or in what passed before it was captured
    Bytes.UNIX_SOCKET,
    Bytes.NOT_TCP,
    Bytes.FILTERED,  # somebody asked for it
    Bytes.OPAQUE,
}


def test_every_bucket_of_bytes_is_unseen_or_no_http() -> None:
    assert {*Bytes} == OTHERWISE | {Bytes(name) for name in UNSEEN}


@pytest.mark.parametrize(
    ("ledger", "told"),
    [
        ({"bytes": {"parsed": 900, "late": 60, "capped": 40}}, "10.0% of 1,000 bytes of HTTP were not seen"),
        ({"bytes": {"parsed": 900}}, "0.0% of 900 bytes of HTTP were not seen"),
        ({"bytes": {"not_http": 5}}, "unknown, since no agent has delivered"),
        (
            {"bytes": {"parsed": 9}, "kernel": {"tls_bytes_before_probes": 1234}},
            "0.0% of 9 bytes of HTTP were not seen; 1,234 bytes of TLS passed before it was captured",
        ),
    ],
)
def test_the_share_of_unseen_bytes_is_told(ledger: dict[str, dict[str, int]], told: str) -> None:
    assert told in sentence(confidence(ledger))


def test_of_files_it_is_said_to_be_unknown() -> None:
    assert sentence(None).startswith("confidence: unknown")
