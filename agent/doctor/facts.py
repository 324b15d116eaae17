"""What the doctor finds, as facts. `what` and `cure` are for people; all the rest is in schema.json."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckState(StrEnum):
    """How one thing of the host stands to the capture."""

    OK = "ok"
    WARNING = "warning"  # all can be captured, but something may go wrong
    LIMITED = "limited"  # a part of the traffic cannot be captured
    REFUSED = "refused"  # nothing can be captured
    UNKNOWN = "unknown"  # could not be looked at


class Sight(StrEnum):
    """Whether something that a process says can be seen."""

    SEEN = "seen"
    DARK = "dark"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """What became of one call of the self-test."""

    SEEN = "seen"  # the whole exchange, at both ends
    PARTLY = "partly"  # the whole exchange, at one end
    UNPARSED = "unparsed"  # its bytes came, but no exchange
    UNSEEN = "unseen"
    SKIPPED = "skipped"  # the call could not be made


class Sees(StrEnum):
    """The answer in one word."""

    ALL = "all"
    SOME = "some"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing of the host. `subject` is a word that stays the same from host to host."""

    subject: str
    state: CheckState
    what: str
    cure: str | None = None


@dataclass(frozen=True, slots=True)
class LibraryView:
    """One way in which a process speaks: "plain", or the TLS library `of` which it has code.

    `path` is the file that holds that code, in the process's own mount namespace; `functions` are those
    of it that are probed.
    """

    of: str
    sight: Sight
    what: str
    cure: str | None = None
    path: str | None = None
    functions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Program:
    """Processes of one executable (and container) that all allow the same to be seen.

    `listening` are TCP ports; `connections` counts established ones.
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
    """One protocol of the self-test: what became of its call, as each end of it saw it."""

    protocol: str
    outcome: Outcome
    client_seen: bool
    server_seen: bool
    what: str
    cure: str | None = None


@dataclass(frozen=True, slots=True)
class SelfTest:
    """`why_not` says why it was not made, or not to its end; `seconds` is what it took, detaching included.

    `failures` are files that could not be probed, with the reason.
    """

    trials: tuple[Trial, ...]
    why_not: str | None
    seconds: float
    failures: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """All of it. `notes` say what was left out."""

    spectap: str
    time: str
    host: tuple[Check, ...]
    programs: tuple[Program, ...]
    self_test: SelfTest
    notes: tuple[str, ...] = ()

    @property
    def sees(self) -> Sees:
        """ALL where nothing is limited, dark, unknown or unparsed; NONE where the host refuses, or nothing
        is seen. Warnings, and calls that could not be made, do not count.
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
    """`text` with what a terminal might obey, or UTF-8 cannot say, escaped: processes choose their names."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
