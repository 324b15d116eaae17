"""The doctor's results. `what` and `cure` are sentences; schema.json describes the other fields."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckState(StrEnum):
    """What one check of the host means for capturing."""

    OK = "ok"
    WARNING = "warning"  # everything can be captured, but something may go wrong
    LIMITED = "limited"  # part of the traffic cannot be captured
    REFUSED = "refused"  # nothing can be captured
    UNKNOWN = "unknown"  # could not be examined


class Sight(StrEnum):
    """Whether the HTTP traffic of a process can be captured."""

    SEEN = "seen"
    DARK = "dark"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """The outcome of one call of the self-test."""

    SEEN = "seen"  # the whole exchange, at both ends
    PARTLY = "partly"  # the whole exchange, at one end
    UNPARSED = "unparsed"  # bytes arrived, but no exchange
    UNSEEN = "unseen"
    SKIPPED = "skipped"  # the call could not be made


class Sees(StrEnum):
    """The overall answer."""

    ALL = "all"
    SOME = "some"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the host. `subject` is one word, the same on every host."""

    subject: str
    state: CheckState
    what: str
    cure: str | None = None


@dataclass(frozen=True, slots=True)
class LibraryView:
    """One way a process communicates: `of` is "plain" or the TLS library whose code it has.

    `path` is the file with that code, in the process's own mount namespace; `functions` are its probed
    functions.
    """

    of: str
    sight: Sight
    what: str
    cure: str | None = None
    path: str | None = None
    functions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Program:
    """Processes of one executable (and container) with equal views.

    `listening` holds TCP ports; `connections` counts established ones.
    """

    pids: tuple[int, ...]
    names: tuple[str, ...]
    executable: str | None
    container: str | None
    unit: str | None
    listening: tuple[int, ...]
    connections: int
    views: tuple[LibraryView, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """One protocol of the self-test: the outcome of its call, at each end."""

    protocol: str
    outcome: Outcome
    client_seen: bool
    server_seen: bool
    what: str
    cure: str | None = None


@dataclass(frozen=True, slots=True)
class SelfTest:
    """`why_not` says why it was not made or not completed; `seconds` is its duration, detaching included.

    `failures` are files that could not be probed, with the reason.
    """

    trials: tuple[Trial, ...]
    why_not: str | None
    seconds: float
    failures: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """The whole report. `notes` are sentences on what was not examined."""

    spectap: str
    time: str
    host: tuple[Check, ...]
    programs: tuple[Program, ...]
    self_test: SelfTest
    notes: tuple[str, ...] = ()

    @property
    def sees(self) -> Sees:
        """ALL if nothing is limited, dark, unknown or unparsed; NONE if the host refuses, or nothing is seen.
        Warnings, and calls that could not be made, do not count.
        """
        states = {check.state for check in self.host}
        if CheckState.REFUSED in states:
            return Sees.NONE
        made = [trial.outcome for trial in self.self_test.trials if trial.outcome is not Outcome.SKIPPED]
        if made and not {Outcome.SEEN, Outcome.PARTLY} & set(made):
            return Sees.NONE
        sights = [view.sight for program in self.programs for view in program.views]
        if sights and Sight.SEEN not in sights:
            return Sees.NONE
        whole = states <= {CheckState.OK, CheckState.WARNING}
        whole = whole and set(sights) <= {Sight.SEEN} and set(made) <= {Outcome.SEEN}
        return Sees.ALL if whole else Sees.SOME


def printable(text: str) -> str:
    """`text` with control characters and invalid UTF-8 escaped: processes choose their own names."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
