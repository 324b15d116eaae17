"""How what a specification does not mention is taken, from the command line."""

from __future__ import annotations

import argparse

from server.analysis.specs.policy import Policy

_THINGS = ("field", "parameter", "header")
_REPORT, _IGNORE = "report", "ignore"


def add_options(parser: argparse.ArgumentParser) -> None:
    """`--unknown-fields report|ignore` and `--ignore-field PATTERN`; so for parameters and headers."""
    for thing in _THINGS:
        default = _IGNORE if thing == "header" else _REPORT
        parser.add_argument(
            f"--unknown-{thing}s",
            choices=(_REPORT, _IGNORE),
            default=default,
            help=f"{thing}s that the specification does not mention (default: {default})",
        )
        parser.add_argument(
            f"--ignore-{thing}",
            metavar="PATTERN",
            action="append",
            default=[],
            help=f"never report unknown {thing}s that match, such as 'x-*'; repeatable",
        )


def policy(parsed: argparse.Namespace) -> Policy:
    """What was given of `add_options`."""
    return Policy(
        fields=parsed.unknown_fields == _REPORT,
        parameters=parsed.unknown_parameters == _REPORT,
        headers=parsed.unknown_headers == _REPORT,
        ignored_fields=tuple(parsed.ignore_field),
        ignored_parameters=tuple(parsed.ignore_parameter),
        ignored_headers=tuple(parsed.ignore_header),
    )
