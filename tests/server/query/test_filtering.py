from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from server.query.errors import QueryError
from server.query.fields import FIELDS, ListName, fields_of
from server.query.filtering import both, from_parameters, parsed
from server.query.language import MAX_TERMS
from server.store.filters import DeviationsShown, FieldFilter, FilterField, Filters, Like, Within
from server.store.reader import Reader
from server.store.sqlite.reading import field_tests
from server.store.sqlite.store import SqliteStore

NS = 1_000_000_000
NOW = 1_800_000_000 * NS
HOUR = 3600 * NS


KNOWN = ", ".join(fields_of(ListName.EXCHANGES))
VERDICTS = "shadow, deviating, zombie, unjudged, conforming"


def fields(text: str, of: ListName = ListName.EXCHANGES) -> list[FieldFilter]:
    return [*parsed(of, text, NOW).fields]


def one(name: str, *values: int | str | Like | Within, negated: bool = False) -> FieldFilter:
    return FieldFilter(FilterField(name), values, negated)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host:orders", [one("host", "orders", Like("orders:*"))]),
        ("host:Orders:80", [one("host", "orders:80")]),
        ("method:get,POST", [one("method", "GET", "POST")]),
        ("status:5XX", [one("status", Within(500, 599))]),
        ("status:404 status:5xx", [one("status", 404, Within(500, 599))]),
        ("status:>=400", [one("status", Within(400, None))]),
        ("status:<400", [one("status", Within(None, 399))]),
        ("status:400..404", [one("status", Within(400, 404))]),
        ("status:none", [one("status", 0)]),
        ("verdict:Deviating", [one("verdict", "deviating")]),
        ("took:>500ms", [one("took", Within(500_000_001, None))]),
        ("took:<=1.5s", [one("took", Within(None, 1_500_000_000))]),
        ("took:100ms..1min", [one("took", Within(100_000_000, 60 * NS))]),
        ("path:*refund*", [one("path", Like("*refund*"))]),
        ('operation:"GET *"', [one("operation", Like("GET *"))]),
        ("path:\\*", [one("path", Like("\\*"))]),
        ("path:a,b", [one("path", "a,b")]),
        ("consumer:a -consumer:b*", [one("consumer", "a"), one("consumer", Like("b*"), negated=True)]),
        ("consumer:0123456789abcdef", [one("consumer", 0x0123456789ABCDEF, "0123456789abcdef")]),
        ("two words", [one("text", "two"), one("text", "words")]),
        ('-"two words"', [one("text", "two words", negated=True)]),
    ],
)  # fmt: skip
def test_terms_become_filters(text: str, expected: list[FieldFilter]) -> None:
    assert fields(text) == expected


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("1h", NOW - HOUR),
        ("-1d", NOW - 24 * HOUR),
        ("15m", NOW - HOUR // 4),
        ("1800000000", NOW),
        ("1800000000000", NOW),
        ("2027-01-15T08:00:00Z", NOW),
        ("2027-01-15T09:00:00+01:00", NOW),
        ("2027-01-15T08:00:00", NOW),
        ("2027-01-15", NOW - 8 * HOUR),
        ("999999999w", 0),
        ("99999999999999", 2**63 - 1),
    ],
)  # fmt: skip
def test_moments_are_how_long_ago_or_times_or_seconds(text: str, since: int) -> None:
    assert parsed(ListName.EXCHANGES, f"since:{text}", NOW).since == since
    assert from_parameters(ListName.EXCHANGES, {"until": [text]}, NOW).until == since


@pytest.mark.parametrize(
    "text", ["yesterday", "0.5", "5", "1", "-5", "1y", "2026-13-01", "20260101", "1h30m", "+1h", "h", "-"]
)
def test_what_is_no_moment_is_an_error(text: str) -> None:
    with pytest.raises(QueryError, match="since: is not a time: such as 1h or -1d"):
        parsed(ListName.EXCHANGES, f"since:{text}", NOW)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a stauts:5xx", "at character 3: stauts: exchanges have no such field; did you mean status?"),
        ("zzz:1", f"at character 1: zzz: exchanges have no such field; known are {KNOWN}"),
        ("state:open", "at character 1: state: exchanges have no such field; did you mean "),
        ("verdict:deviate", f"at character 9: verdict: is none of {VERDICTS}; did you mean deviating?"),
        ("-status:6000", "at character 9: status: is no such value: such as 404, 5xx, >=400, 400"),
        ("status:>=", "at character 8: status: is no such value"),
        ("took:5ms", "at character 6: took: compares: such as >500ms, <=2s or 100ms..1s"),
        ("took:>5", "at character 6: took: is no such value"),
        ("took:5ms..x", "at character 6: took: is not a range"),
        ("-since:1h", "at character 8: since: cannot be excluded: use until"),
        ("since:1h since:2h", "at character 16: since: is given twice"),
    ],
)  # fmt: skip
def test_an_error_has_its_place_and_a_cure(text: str, message: str) -> None:
    with pytest.raises(QueryError) as raised:
        parsed(ListName.EXCHANGES, text, NOW)
    assert str(raised.value).startswith(message)


def test_parameters_are_any_of_their_values_and_empty_ones_are_absent() -> None:
    asked = {"status": ["404,5xx", "none"], "method": ["get"], "path": [""], "consumer": []}
    assert from_parameters(ListName.EXCHANGES, asked, NOW) == Filters(
        (one("status", 404, Within(500, 599), 0), one("method", "GET"))
    )
    with pytest.raises(QueryError, match=f"status: has at most {MAX_TERMS} values"):
        from_parameters(ListName.EXCHANGES, {"status": ["404"] * (MAX_TERMS + 1)}, NOW)


def test_ignored_deviations_are_listed_only_if_a_state_is_asked_for() -> None:
    def of(text: str) -> Filters:
        return parsed(ListName.DEVIATIONS, text, NOW)

    assert of("").state is DeviationsShown.OPEN_OR_ACCEPTED
    assert of("state:all") == Filters(state=DeviationsShown.ALL)
    assert of("state:ignored") == Filters((one("state", "ignored"),), state=DeviationsShown.ALL)
    assert both(of(""), of("state:all")).state is DeviationsShown.ALL


def test_two_filters_together_are_narrower_than_each() -> None:
    some, others = (parsed(ListName.EXCHANGES, text, NOW) for text in ("status:5xx since:2h", "since:1h a"))
    assert both(some, others) == Filters((*some.fields, *others.fields), since=NOW - HOUR)


LISTED: dict[ListName, Callable[[Reader, Filters], object]] = {
    ListName.APIS: lambda reader, filters: reader.inventory.apis(filters, 9, None),
    ListName.OPERATIONS: lambda reader, filters: reader.inventory.operations(filters, 9, None),
    ListName.DEVIATIONS: lambda reader, filters: reader.deviations.listed(filters, 9, None),
    ListName.EXCHANGES: lambda reader, filters: reader.exchanges.listed(filters, 9, None),
    ListName.CONSUMERS: lambda reader, filters: (
        reader.consumers.listed(filters, 9, None),
        reader.consumers.calls_by_hour(filters),
    ),
}
TESTS = {
    ListName.APIS: field_tests.APIS,
    ListName.OPERATIONS: field_tests.OPERATIONS,
    ListName.DEVIATIONS: field_tests.DEVIATIONS,
    ListName.EXCHANGES: field_tests.EXCHANGES,
    ListName.CONSUMERS: field_tests.CONSUMERS,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    opened = SqliteStore(Path(tmp_path_factory.mktemp("store")))
    yield opened
    opened.close()


@pytest.mark.parametrize("of", ListName)
def test_each_list_can_test_each_of_its_fields(of: ListName) -> None:
    names = {name for name, field in fields_of(of).items() if field.read}
    assert {*map(str, TESTS[of])} == {*names, "text"}


VALUES = st.sampled_from(
    ["a", "5xx", ">400", ">=1h", "1h", "get", "open", "[*?]\\", '"%_\\\\"', "0" * 16, "x,", "'", "\0"]
)
TERM = st.one_of(
    st.tuples(st.sampled_from(["", "-"]), st.sampled_from([*FIELDS]), VALUES | st.text(max_size=5)).map(
        lambda parts: f"{parts[0]}{parts[1]}:{parts[2]}"
    ),
    VALUES,
)


@pytest.mark.parametrize("of", ListName)
@given(text=st.lists(TERM, max_size=6).map(" ".join))
@example(text="namespace:[a* pod:a?b image:\\* -path:*[*")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_is_a_query_can_be_asked_of_the_store(store: SqliteStore, of: ListName, text: str) -> None:
    filters = attempted(of, text)
    with store.reading() as reader:
        LISTED[of](reader, filters)


def attempted(of: ListName, text: str) -> Filters:
    """The filters of a query; none if it means nothing."""
    try:
        return parsed(of, text, NOW)
    except QueryError:
        return Filters()
