"""Plain values → frozen dataclasses, each value checked against its annotation.

`agent/wire` declares what a batch may hold, and the checks follow from it: none is written by hand, none
can be forgotten. The module belongs to the record's contract, so it imports nothing else of the agent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass, make_dataclass
from functools import cache
from itertools import chain
from operator import itemgetter
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

MAX_SHAPES = 256  # combinations of types remembered per dataclass

Pairs = tuple[tuple[bytes, bytes], ...]


class WireError(ValueError):
    """The bytes are no valid batch; the message names the field, never its value."""


@cache
def names_of(kind: type) -> tuple[str, ...]:
    """The names of a dataclass's fields, in order."""
    return tuple(f.name for f in fields(kind))


Reader = Callable[[Any], Any]


@cache
def reader(kind: Any, where: str) -> Reader:
    """A function that checks a plain value against an annotation and builds it; `where` names the value in
    errors.
    """
    origin, args = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _dataclass_reader(kind, where)
    if origin in (Union, UnionType):
        inner = reader(next(arg for arg in args if arg is not NoneType), where)
        return lambda value: None if value is None else inner(value)
    if kind == Pairs:
        return _pairs_reader(where)
    if origin is tuple:
        return _tuple_reader(args, where)
    if origin is dict:
        return _dict_reader(args, where)
    return _scalar_reader(kind, where)


def _scalar_reader(kind: type, where: str) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise WireError(f"{where}: not {kind.__name__}")
        return value

    return read


def _tuple_reader(args: tuple[Any, ...], where: str) -> Reader:
    inner = reader(args[0], where)
    length = None if args[-1] is Ellipsis else len(args)

    def read(value: Any) -> Any:
        if type(value) is not tuple or (length is not None and len(value) != length):
            raise WireError(f"{where}: not an array of the right length")
        return tuple([inner(item) for item in value])

    return read


def _pairs_reader(where: str) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is not tuple:
            raise WireError(f"{where}: not an array of the right length")
        if not value:
            return value
        if {*map(type, value)} != {tuple} or {*map(len, value)} != {2}:
            raise WireError(f"{where}: not an array of the right length")
        if {*map(type, chain.from_iterable(value))} != {bytes}:
            raise WireError(f"{where}: not bytes")
        return value

    return read


def _dict_reader(args: tuple[Any, ...], where: str) -> Reader:
    inner = reader(args[1], f"{where}.*")

    def read(value: Any) -> Any:
        if type(value) is not dict or not all(type(key) is str for key in value):
            raise WireError(f"{where}: not a map of text keys")
        return {key: inner(item) for key, item in value.items()} if value else value

    return read


def _maker(kind: Any) -> Callable[..., Any]:
    """A function from all field values, in order, to an instance. A frozen dataclass sets each field by a
    call, which is six times as slow: so an unfrozen twin with the same slots is filled and then changes its
    class.
    """
    twin: Any = make_dataclass(kind.__name__, names_of(kind), slots=True, eq=False, repr=False)

    def make(*values: Any) -> Any:
        made = twin(*values)
        made.__class__ = kind
        return made

    return make


def _is_scalar(kind: Any) -> bool:
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return all(one in (str, int, bytes, bool, NoneType) for one in kinds)


def _dataclass_reader(kind: Any, where: str) -> Reader:
    """Valid combinations of types are remembered, so that most records need one look-up instead of a check
    for each field; nested values are always read.
    """
    hints, names = get_type_hints(kind), names_of(kind)
    readers = tuple(reader(hints[name], f"{where}.{name}") for name in names)
    nested = tuple((at, readers[at]) for at, name in enumerate(names) if not _is_scalar(hints[name]))
    required = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}
    take = itemgetter(*names)
    make = _maker(kind)
    good: set[tuple[type, ...]] = set()

    def older(value: dict[str, Any]) -> Any:
        """Fields with a default may be missing: an older version wrote the record."""
        missing = sorted(required - value.keys())
        if missing:
            raise WireError(f"{where}.{missing[0]}: missing")
        known = zip(names, readers, strict=True)
        return kind(**{name: check(value[name]) for name, check in known if name in value})

    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise WireError(f"{where}: not a map")
        try:
            values = list(take(value))
        except KeyError:
            return older(value)
        types = tuple(map(type, values))
        if types in good:
            for at, check in nested:
                values[at] = check(values[at])
            return make(*values)
        checked = [check(value) for check, value in zip(readers, values, strict=True)]
        if len(good) < MAX_SHAPES:
            good.add(types)
        return kind(*checked)

    return read
