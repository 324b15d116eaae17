from __future__ import annotations

import logging

import pytest

from server.failures import MOST_LOGGED, Failures
from server.store.errors import StoreUnavailable


def failed(text: str) -> Exception:
    try:
        raise KeyError(text)
    except KeyError as error:
        return error


def test_a_failure_is_counted_each_time_and_logged_once_until_its_step_succeeds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failures = Failures(logging.getLogger("test"))
    for _ in range(3):
        failures.record("save", "nothing is saved", StoreUnavailable("the disk is full"))
    failures.end("learn")
    failures.record("save", "nothing is saved", StoreUnavailable("the disk is full"))
    failures.end("save")
    failures.record("save", "nothing is saved", StoreUnavailable("the disk is full"))
    assert failures.counts == {"save": 5}
    assert [one.message for one in caplog.records] == ["nothing is saved: the disk is full (logged once)"] * 2


def test_the_log_names_type_and_place_of_an_error_and_not_what_it_says(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Failures(logging.getLogger("test")).record("learn", "not learned from", failed("captured-secret"))
    assert "KeyError at test_failures.py:" in caplog.text
    assert "secret" not in caplog.text


def test_a_flood_of_different_failures_is_counted_and_not_all_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failures = Failures(logging.getLogger("test"))
    for number in range(MOST_LOGGED + 50):
        failures.record("learn", f"API {number}", failed(""))
    assert failures.counts == {"learn": MOST_LOGGED + 50}
    assert len(caplog.records) == MOST_LOGGED
