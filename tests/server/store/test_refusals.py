"""What is logged while a database accepts no writes, and how often."""

from __future__ import annotations

import pytest

from server.store.refusals import LOG_EVERY_S, Refusals


def test_a_refusal_is_said_once_then_once_a_minute_with_the_count_and_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 100.0
    refusals = Refusals(lambda: now)
    for _ in range(240):
        refusals.refused("full")
    assert (refusals.reason, caplog.messages) == ("full", ["nothing was stored: full"])
    now += LOG_EVERY_S
    refusals.refused("full")
    refusals.refused("full")
    refusals.stored()
    refusals.stored()
    assert refusals.reason is None
    assert caplog.messages[1:] == [
        "still nothing is stored (240 more attempts): full",
        "the database accepts writes again, after 1 more failed attempts",
    ]
