"""JSON bodies are parsed once per exchange, whatever reads them."""

import pytest

from server.analysis.json import Json
from server.analysis.specs.judging import json_reading
from server.analysis.specs.judging.json_reading import JsonBodies, NotJson, UnreadableJson, json_value
from server.analysis.specs.judging.judged import Judged
from tests.server.analysis.specs.spec_calls import (
    answering,
    body,
    call,
    found,
    operation,
    parameter,
    spec,
    verdict_on,
)


def test_both_bodies_of_an_exchange_are_parsed_once_whoever_reads_them_after() -> None:
    sent, answered, bodies = b'{"id": 1}', b'[1, {"id": 2}]', JsonBodies()
    first = [bodies.value(sent), bodies.value(answered)]
    again = [bodies.value(sent), bodies.value(answered)]
    assert first == [{"id": 1}, [1, {"id": 2}]]
    assert all(one is other for one, other in zip(first, again, strict=True))


def test_a_body_that_is_no_json_leaves_what_was_read_before() -> None:
    sent, bodies = b'{"id": 3}', JsonBodies()
    first = bodies.value(sent)
    for _ in range(3):
        with pytest.raises(NotJson):
            bodies.value(b'{"id"')
    assert bodies.value(sent) is first


def test_who_reads_a_body_after_its_judgement_gets_what_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []

    def parse(raw: bytes) -> Json:
        parsed.append(raw)
        return {"id": 1}

    monkeypatch.setattr(json_reading, "_parsed", parse)
    sent = body({"id": 1})
    judged = Judged.by(answering({"type": "object"}), call(answer=sent))
    assert sent.data is not None
    assert judged.bodies.value(sent.data) == {"id": 1}
    assert parsed == [sent.data]


def test_nothing_is_remembered_beyond_an_exchange() -> None:
    raw = b'{"id": 1}'
    assert JsonBodies().value(raw) is not JsonBodies().value(raw)
    assert json_value(raw) is not json_value(raw)


def test_a_body_is_as_deep_for_each_reader_as_it_may_be_for_him() -> None:
    raw, bodies = b"[[1]]", JsonBodies()
    assert bodies.value(raw) == [[1]]
    with pytest.raises(UnreadableJson):
        bodies.value(raw, 1)


NUMBERS = {"type": "object", "properties": {"n": {"type": "number"}, "s": {"type": "string"}}}


@pytest.mark.parametrize("number", ["1e999", "-1e400", "1" + "0" * 400 + ".5"])
def test_a_number_beyond_a_doubles_range_is_not_judged_and_no_deviation(number: str) -> None:
    for text in (f'{{"n": {number}}}', f'{{"n": [1, {{"m": {number}}}], "s": 5}}'):
        judgement = verdict_on(NUMBERS, text.encode())
        assert found(judgement) == []
        assert judgement.why == "response.body: a number in it is too large to be validated"


def test_a_parameter_beyond_a_doubles_range_is_not_judged_and_no_deviation() -> None:
    asked = operation(parameters=[parameter("n", "query", {"type": "number"})])
    specification = spec({"/x": {"get": asked}})
    judgement = specification.match(call(query=b"n=1e999"))
    assert found(judgement) == []
    assert judgement.why == "query: a number in it is too large to be validated"


def test_a_number_within_range_is_judged_as_ever() -> None:
    assert found(verdict_on(NUMBERS, b'{"n": 1e300, "s": 1e-999}')) != []
    assert found(verdict_on(NUMBERS, b'{"n": 1e308, "s": "x"}')) == []
