"""A command's specification: a file, or a folder with one in several files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from server.analysis.specs.document.bundle import from_folder
from server.analysis.specs.judging.policy import ReportingPolicy
from server.analysis.specs.load import load_files
from server.analysis.specs.specification import Specification

NAMES = [f"{name}.{ending}" for name in ("openapi", "swagger") for ending in ("yaml", "yml", "json")]


SHOWN_WARNINGS = 20
WHAT = "OpenAPI 3 or Swagger 2.0, YAML or JSON: a file, or a folder with openapi.yaml or the like"


class SpecMissing(ValueError):
    """The specification does not exist; the message is one sentence."""


def add_options(parser: argparse.ArgumentParser, required: bool) -> None:
    """Adds `--spec` and `--root`."""
    parser.add_argument("--spec", type=Path, metavar="SPEC", required=required, help=WHAT)
    add_root(parser)


def add_root(parser: argparse.ArgumentParser) -> None:
    """Adds `--root`, the folder of referenced files."""
    parser.add_argument(
        "--spec-root",
        type=Path,
        metavar="DIR",
        help="folder that contains the files it refers to (default: its own)",
    )


def specification(
    path: Path, root: Path | None = None, policy: ReportingPolicy | None = None
) -> Specification:
    """The specification at `path`; parts that are not validated are listed on standard error. Raises
    SpecError and SpecMissing.
    """
    folder, name = located(path, root)
    found = load_files(name, from_folder(folder), policy or ReportingPolicy())
    for warning in found.warnings[:SHOWN_WARNINGS]:
        sys.stderr.write(f"{path}: warning: {warning}\n")
    if len(found.warnings) > SHOWN_WARNINGS:
        sys.stderr.write(f"{path}: warning: and {len(found.warnings) - SHOWN_WARNINGS} more\n")
    return found


def file(path: Path) -> Path:
    """The root file of the specification at `path`. Raises SpecMissing."""
    if not path.is_dir():
        return path
    found = next((path / name for name in NAMES if (path / name).is_file()), None)
    if found is None:
        raise SpecMissing(f"{path} holds none of {', '.join(NAMES)}")
    return found


def located(path: Path, root: Path | None = None) -> tuple[Path, str]:
    """The folder of a specification's files, and its root file. Raises SpecMissing."""
    path = file(path)
    folder = (root or path.parent).resolve()
    try:
        name = path.resolve().relative_to(folder)
    except ValueError:
        raise SpecMissing(f"{path} does not lie in --spec-root {root}") from None
    if not path.is_file():
        raise SpecMissing(f"{path}: No such file")
    return folder, name.as_posix()
