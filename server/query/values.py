"""Texts of a query → values of filters. Each reader raises BadValue."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

from server.query.errors import BadValue, did_you_mean
from server.store.filters import FilterValue, Like, Within
from server.store.keys import number_in

MAX_VALUE = 2000  # characters
NO_RESPONSE = 0
NS = {"us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9}
MOST_NS = 2**62  # of a duration: 146 years

ValueReader = Callable[[str], Sequence[FilterValue]]

_COMPARED = re.compile(r"(<=|>=|<|>|=)?\s*(.+)", re.DOTALL)
_CLASS = re.compile(r"[1-9]xx", re.IGNORECASE)
_DURATION = re.compile(rf"([0-9]{{1,12}}(?:\.[0-9]{{1,9}})?)({'|'.join(NS)})")


def name(text: str) -> Sequence[FilterValue]:
    """A name; * and ? are wildcards."""
    _check_length(text)
    if not set(text) & set("*?\\"):
        return [text]
    return [Like(text)]


def plain(text: str) -> Sequence[FilterValue]:
    """A text without wildcards."""
    _check_length(text)
    return [text]


def name_or_id(text: str) -> Sequence[FilterValue]:
    """A name, or the id of one that the store numbers by key."""
    number = number_in(text)
    return name(text) if number is None else [number, text]


def operation(text: str) -> Sequence[FilterValue]:
    """A name such as "GET /users/{id}", or an id."""
    number = number_in(text)
    return name(text) if number is None else [number]


def host(text: str) -> Sequence[FilterValue]:
    """A host, with any port if none is given."""
    found = name(text.lower())
    if ":" in text or not isinstance(found[0], str):
        return found
    return [*found, Like(re.sub(r"([\\*?])", r"\\\1", text.lower()) + ":*")]


def method(text: str) -> Sequence[FilterValue]:
    return name(text.upper())


def choice(known: Collection[str]) -> ValueReader:
    """Reads one of a few words, in any case."""

    def read(text: str) -> Sequence[FilterValue]:
        found = text.lower()
        if found not in known:
            question = did_you_mean(found, known)
            raise BadValue(f"is none of {', '.join(known)}{question}")
        return [found]

    return read


YES_OR_NO = {"yes": 1, "no": 0, "true": 1, "false": 0, "1": 1, "0": 0}


def yes_or_no(text: str) -> Sequence[FilterValue]:
    found = YES_OR_NO.get(text.lower())
    if found is None:
        raise BadValue("is neither yes nor no")
    return [found]


def status(text: str) -> Sequence[FilterValue]:
    """A status, a class, a comparison, or `none` for calls without a response."""
    if text.lower() == "none":
        return [NO_RESPONSE]
    if _CLASS.fullmatch(text):
        first = int(text[0]) * 100
        return [Within(first, first + 99)]
    if re.fullmatch(r"\d{3}", text, re.ASCII):
        return [int(text)]
    return [_range(text, _code, "such as 404, 5xx, >=400, 400..499 or none")]


def took(text: str) -> Sequence[FilterValue]:
    """A comparison with a duration, in ns."""
    if not re.match("[<>]", text) and ".." not in text:
        raise BadValue("compares: such as >500ms, <=2s or 100ms..1s")
    return [_range(text, _duration, "such as >500ms, <=2s or 100ms..1s, in us, ms, s, min or h")]


def _range(text: str, read: Callable[[str], int | None], expected: str) -> Within:
    low_text, dots, high_text = text.partition("..")
    if dots:
        low, high = read(low_text), read(high_text)
        if low is not None and high is not None:
            return Within(low, high)
        raise BadValue(f"is not a range: {expected}")
    found = _COMPARED.fullmatch(text)
    sign, number = (None, None) if found is None else (found[1], read(found[2]))
    if number is None or sign is None:
        raise BadValue(f"is no such value: {expected}")
    return {
        "<": Within(None, number - 1),
        "<=": Within(None, number),
        ">": Within(number + 1, None),
        ">=": Within(number, None),
        "=": Within(number, number),
    }[sign]


def _code(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{3}", text, re.ASCII) else None


def _duration(text: str) -> int | None:
    found = _DURATION.fullmatch(text)
    return None if found is None else min(round(float(found[1]) * NS[found[2]]), MOST_NS)


def _check_length(text: str) -> None:
    if len(text) > MAX_VALUE:
        raise BadValue(f"is longer than {MAX_VALUE} characters")
