from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.analysis.paths import MAX_SEGMENT, MAX_SEGMENTS, template


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/", "/"),
        (b"", ""),
        (b"/users", "/users"),
        (b"/users/", "/users/"),
        (b"/users/17/orders/-3", "/users/{id}/orders/{id}"),
        (b"/v1/pets", "/v1/pets"),
        (b"/u/6f9619ff-8b86-d011-b42d-00cf4fc964ff", "/u/{id}"),
        (b"/u/6F9619FF-8B86-D011-B42D-00CF4FC964FF/x", "/u/{id}/x"),
        (b"/commit/0a1b2c3d4e", "/commit/{id}"),
        (b"/deadbeef", "/deadbeef"),
        (b"/facade/added", "/facade/added"),
        (b"/reports/2026-11-23", "/reports/{date}"),
        (b"/reports/2026-11", "/reports/{date}"),
        (b"/files/123.json", "/files/{id}.json"),
        (b"/files/report.json", "/files/report.json"),
        (b"/t/eyJhbGciOiJIUzI1NiIsInR5cCI6", "/t/{id}"),
        (b"/internationalization-of-words", "/internationalization-of-words"),
        (b"/mail/ann@example.org", "/mail/{id}"),
        (b"/caf\xc3\xa9", "/café"),
        (b"/\xff\xfe", "/%FF%FE"),
        (b"*", "*"),
    ],
)
def test_what_can_only_be_a_value_becomes_a_placeholder(path: bytes, expected: str) -> None:
    assert template(path) == expected


def test_segments_that_the_agent_masked_are_values() -> None:
    assert template(b"/users/ann/cards", [1]) == "/users/{id}/cards"


def test_templates_of_hostile_paths_are_bounded() -> None:
    assert template(b"/x" * 1000).count("/") == MAX_SEGMENTS
    assert len(template(b"/" + b"x-" * 10_000)) < MAX_SEGMENT + 3


@given(st.binary(max_size=200))
def test_any_bytes_have_one_template_of_as_many_segments(path: bytes) -> None:
    assert template(path) == template(path)
    assert template(path).count("/") == min(path.count(b"/"), MAX_SEGMENTS)
