"""The policy for parts that a specification does not mention, from the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from server.analysis.specs.judging.policy import ReportingPolicy

_THINGS = ("field", "parameter", "header")
_PARTS = {
    "answers": "bodies of answers that are described without one",
    "credentials": "credentials in calls of operations that are described without any",
}
_REPORT, _IGNORE = "report", "ignore"


def add_options(
    parser: argparse._ActionsContainer, said: Callable[[str, object], object] = lambda name, default: default
) -> None:
    """`--unknown-fields report|ignore` and `--ignore-field PATTERN`; so for parameters and headers.

    `said` returns an option's default from elsewhere; patterns are separated by commas.
    """
    for thing in _THINGS:
        default = said(f"unknown_{thing}s", _IGNORE if thing == "header" else _REPORT)
        parser.add_argument(
            f"--unknown-{thing}s",
            metavar="report|ignore",
            type=_whether,
            default=default,
            help=f"{thing}s that the specification does not mention (default: %(default)s)",
        )
        parser.add_argument(
            f"--ignore-{thing}",
            metavar="PATTERN",
            action="append",
            default=[one for one in str(said(f"ignore_{thing}", "")).split(",") if one],
            help=f"never report unknown {thing}s that match this pattern, such as 'x-*'; repeatable",
        )

    for name, what in _PARTS.items():
        parser.add_argument(
            f"--unknown-{name}",
            metavar="report|ignore",
            type=_whether,
            default=said(f"unknown_{name}", _IGNORE),
            help=f"{what} (default: %(default)s)",
        )


def _whether(text: str) -> bool:
    if text not in (_REPORT, _IGNORE):
        raise argparse.ArgumentTypeError(f"{_REPORT} or {_IGNORE}")
    return text == _REPORT


def policy(parsed: argparse.Namespace) -> ReportingPolicy:
    """The policy from the options of `add_options`."""
    return ReportingPolicy(
        fields=parsed.unknown_fields,
        parameters=parsed.unknown_parameters,
        headers=parsed.unknown_headers,
        answers=parsed.unknown_answers,
        credentials=parsed.unknown_credentials,
        ignored_fields=tuple(parsed.ignore_field),
        ignored_parameters=tuple(parsed.ignore_parameter),
        ignored_headers=tuple(parsed.ignore_header),
    )
