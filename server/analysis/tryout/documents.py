"""The JSON document of a tryout."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

TryoutCut: TypeAlias = Literal["limit", "time"]
"""Why older stored exchanges were not replayed."""


class TriedOperation(TypedDict):
    """An operation's calls. `counted`: all that were counted since the server keeps counts; `replayed`: those
    that are stored, and were judged by the proposal; `broken` of these. `estimated`: the broken ones among
    the counted; it is `extrapolated` if fewer were replayed than counted, and null if none was.
    """

    operation: str
    counted: int
    replayed: int
    broken: int
    estimated: int | None
    extrapolated: bool


class TriedConsumer(TypedDict):
    """A consumer's replayed calls, and those of them that break, with the operations they are of."""

    kind: str
    name: str
    replayed: int
    broken: int
    operations: list[str]


class TriedDifference(TypedDict):
    """A difference that breaks calls; `samples` are ids of exchanges."""

    operation: str
    kind: str
    where: str
    place: str
    message: str
    calls: int
    consumers: int
    samples: list[str]


class TriedChange(TypedDict):
    """A change that may break clients: of an operation ("GET /users/{}", without the base path), a part of it
    ("query limit", "request.body", "response 200 …"; "" is the whole), and what happens to it. `used`: a
    replayed call breaks there.
    """

    operation: str
    part: str
    what: str
    used: bool


class TryoutReport(TypedDict):
    """What the proposal would do to an API's calls. `cut`: why only the newest stored ones were replayed,
    null if all were. `share` is that of the counted calls that would break, as estimated per operation, null
    without replayed calls. `changes` are breaking changes against the
    specification that the API has; none if it has none.
    """

    api: str
    title: str
    version: str
    counted: int
    replayed: int
    cut: TryoutCut | None
    broken: int
    share: float | None
    extrapolated: bool
    operations: list[TriedOperation]
    consumers: list[TriedConsumer]
    differences: list[TriedDifference]
    unlisted: int
    changes: list[TriedChange]
