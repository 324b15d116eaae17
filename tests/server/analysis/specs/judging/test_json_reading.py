from __future__ import annotations

import pytest

from server.analysis.specs.judging.json_reading import NotJson, json_value


def test_both_bodies_of_an_exchange_are_parsed_once_whoever_reads_them_after() -> None:
    sent, answered = b'{"id": 1}', b'{"id": 2}'
    first = [json_value(sent), json_value(answered)]
    again = [json_value(sent), json_value(answered)]
    assert again == [{"id": 1}, {"id": 2}]
    assert all(one is other for one, other in zip(first, again, strict=True))


def test_a_body_that_is_no_json_leaves_what_was_read_before() -> None:
    sent = b'{"id": 1}'
    first = json_value(sent)
    for _ in range(2):
        with pytest.raises(NotJson):
            json_value(b'{"id"')
    assert json_value(sent) is first
