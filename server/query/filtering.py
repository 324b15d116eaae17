"""Terms, or parameters of a URL, → the filters of a list.

Several values of one field mean any of them, several fields all of them. Words to search for must all occur.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from server.query.errors import BadValue, QueryError, did_you_mean
from server.query.fields import ANY_STATE, ListName, QueryField, fields_of
from server.query.language import MAX_TERMS, QueryTerm, terms
from server.query.moments import moment
from server.store.filters import DeviationsShown, FieldFilter, FilterField, Filters, FilterValue

Wanted = dict[tuple[FilterField, bool], list[FilterValue]]


class _Draft:
    """Collects what a query asks of a list. `now` is in ns."""

    def __init__(self, of: ListName, now: int) -> None:
        self._known = fields_of(of)
        self._of = of
        self._now = now
        self._texts: list[FieldFilter] = []
        self._wanted: Wanted = {}
        self._times: dict[str, int] = {}

    def add(self, term: QueryTerm) -> None:
        """Raises QueryError, without a position, and BadValue."""
        if term.field is None:
            self._texts.append(FieldFilter(FilterField.TEXT, (term.value,), term.negated))
            return
        field = self.field(term.field)
        if field.read is None:
            self._add_time(field.name, term)
            return
        parts = term.value.split(",") if field.separated else [term.value]
        found = [value for part in parts for value in field.read(part)]
        self._wanted.setdefault((field.field, term.negated), []).extend(found)

    def field(self, name: str) -> QueryField:
        """Raises QueryError."""
        field = self._known.get(name)
        if field is None:
            hint = did_you_mean(name, self._known) or f"; known are {', '.join(self._known)}"
            raise QueryError(f"{self._of} have no such field{hint}", name)
        return field

    def _add_time(self, name: str, term: QueryTerm) -> None:
        if term.negated:
            raise BadValue(f"cannot be excluded: use {'until' if name == 'since' else 'since'}")
        if name in self._times:
            raise BadValue("is given twice")
        self._times[name] = moment(term.value, self._now)

    def filters(self) -> Filters:
        found = [FieldFilter(field, (*values,), negated) for (field, negated), values in self._wanted.items()]
        states = [one for one in found if one.field is FilterField.STATE]
        every = [one for one in states if ANY_STATE in one.values]
        return Filters(
            fields=(*(one for one in found if one not in every), *self._texts),
            since=self._times.get("since"),
            until=self._times.get("until"),
            new_since=self._times.get("new_since"),
            state=DeviationsShown.ALL if states else DeviationsShown.OPEN_OR_ACCEPTED,
        )


def parsed(of: ListName, text: str, now: int) -> Filters:
    """The filters of a list that a query asks for; `now` is in ns. Raises QueryError with its position."""
    draft = _Draft(of, now)
    for term in terms(text):
        try:
            draft.add(term)
        except BadValue as error:
            raise QueryError(str(error), term.field, term.value_position) from None
        except QueryError as error:
            raise QueryError(error.reason, error.field, term.position) from None
    return draft.filters()


def from_parameters(of: ListName, asked: Mapping[str, Sequence[str]], now: int) -> Filters:
    """The filters that parameters of a URL ask for; empty ones, as sent by forms, count as absent. Raises
    QueryError.
    """
    draft = _Draft(of, now)
    for name, texts in asked.items():
        given = [text for text in texts if text]
        if len(given) > MAX_TERMS:
            raise QueryError(f"has at most {MAX_TERMS} values", name)
        for text in given:
            try:
                draft.add(QueryTerm(name, text, negated=False, position=1, value_position=1))
            except BadValue as error:
                raise QueryError(str(error), name) from None
    return draft.filters()


def both(some: Filters, others: Filters) -> Filters:
    """Rows that both select."""
    return replace(
        some,
        fields=(*some.fields, *others.fields),
        since=max(_given(some.since, others.since), default=None),
        until=min(_given(some.until, others.until), default=None),
        new_since=max(_given(some.new_since, others.new_since), default=None),
        state=DeviationsShown.ALL
        if DeviationsShown.ALL in (some.state, others.state)
        else DeviationsShown.OPEN_OR_ACCEPTED,
    )


def _given(*times: int | None) -> Iterable[int]:
    return [time for time in times if time is not None]
