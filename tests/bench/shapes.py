"""Prints how well schemas are learned from records: python -m tests.bench.shapes [--held-out | --all].

The learner gets a random half of a data set's records; the other half and mutants of it are validated with
the learned schema. Repeated with several halves.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from jsonschema_rs import Draft202012Validator

from server.analysis.rebuild.shapes.budget import Budget
from server.analysis.rebuild.shapes.learning import learn as learn_value
from server.analysis.rebuild.shapes.model import Shape
from server.analysis.rebuild.shapes.render import Style, schema
from tests.bench.shapes_corpus import DATA_SETS, DataSet, Unavailable, load
from tests.bench.shapes_mutants import KINDS, Truth

HALVES = 5
FIGURES = ("unseen", *KINDS)


def learn(records: Sequence[Any]) -> dict[str, Any]:
    """The schema of records."""
    shape, budget = Shape(), Budget()
    for record in records:
        learn_value(shape, record, budget)
    return schema(shape, "", Style(evidence=False))


def measure(data_set: DataSet, seed: int, show: bool) -> dict[str, Counter[bool]]:
    """By figure, how often the result was right and wrong. Raises Unavailable."""
    records = load(data_set)
    truth = Truth(records)
    found: dict[str, Counter[bool]] = {figure: Counter() for figure in FIGURES}
    for half in range(HALVES):
        chance = random.Random(seed * 1000 + half)
        order = chance.sample(records, len(records))
        known, unseen = order[: len(order) // 2], order[len(order) // 2 :]
        validator = Draft202012Validator(learn(known), validate_formats=True)
        for record in unseen:
            accepted = validator.is_valid(record)
            found["unseen"][accepted] += 1
            if not accepted and show:
                _say(f"    refused: {next(validator.iter_errors(record)).message[:150]}")
            for kind in KINDS:
                mutant = truth.mutant(record, kind, chance)
                if mutant is not None:
                    found[kind][not validator.is_valid(mutant)] += 1
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held-out", action="store_true", help="only the data sets held out")
    parser.add_argument("--all", action="store_true", help="all data sets; else those of development")
    parser.add_argument("--name", help="only this one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", action="store_true", help="why unseen records are refused")
    options = parser.parse_args()
    total: dict[str, Counter[bool]] = {figure: Counter() for figure in FIGURES}
    _say(f"{'data set':14}" + "".join(f"{figure:>22}" for figure in FIGURES))
    for data_set in DATA_SETS:
        if (options.name or data_set.name) != data_set.name:
            continue
        if not options.all and not options.name and data_set.held_out != options.held_out:
            continue
        try:
            found = measure(data_set, options.seed, options.show)
        except Unavailable as error:
            _say(f"{data_set.name:14} skipped: {error}")
            continue
        _row(data_set.name + "*" * data_set.held_out, found)
        for figure in FIGURES:
            total[figure] += found[figure]
    _row("all", total)
    return 0


def _row(name: str, found: dict[str, Counter[bool]]) -> None:
    cells = []
    for figure in FIGURES:
        well, all_ = found[figure][True], found[figure].total()
        cells.append(f"{f'{well / all_:.2%} of {all_}' if all_ else '-':>22}")
    _say(f"{name:14}" + "".join(cells))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
