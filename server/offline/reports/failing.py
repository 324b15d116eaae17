"""What makes a report a failure: `--fail-on`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from server.analysis.specs.kinds import Severity, Verdict

FAILING_VERDICTS = (Verdict.SHADOW, Verdict.DEVIATING, Verdict.ZOMBIE, Verdict.UNJUDGED)


@dataclass(frozen=True, slots=True)
class Failing:
    """Verdicts, and severities of deviations, of which one is enough."""

    verdicts: frozenset[Verdict] = frozenset()
    severities: frozenset[Severity] = frozenset()


DEFAULT = Failing(frozenset({Verdict.SHADOW, Verdict.DEVIATING, Verdict.ZOMBIE}))

_AT_LEAST = {
    "low": frozenset(Severity),
    "medium": frozenset({Severity.MEDIUM, Severity.HIGH}),
    "high": frozenset({Severity.HIGH}),
}


def failing(text: str) -> Failing:
    """The argument of `--fail-on`. Raises ArgumentTypeError."""
    verdicts: set[Verdict] = set()
    severities: frozenset[Severity] = frozenset()
    for word in text.split(","):
        name, _, level = word.strip().partition("=")
        if name == "severity" and level in _AT_LEAST:
            severities |= _AT_LEAST[level]
        elif not level and name in FAILING_VERDICTS:
            verdicts.add(Verdict(name))
        elif text.strip() != "none":
            known = ", ".join(FAILING_VERDICTS)
            raise argparse.ArgumentTypeError(
                f"{word!r} is none of {known}, severity=low, severity=medium, severity=high, none"
            )
    return Failing(frozenset(verdicts), severities)
