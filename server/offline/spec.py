"""A command's specification: a file, or a folder with one in several files."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from server.analysis.specs.document.bundle import from_folder
from server.analysis.specs.judging.policy import ReportingPolicy
from server.analysis.specs.load import load_files
from server.analysis.specs.model import SpecError
from server.analysis.specs.specification import Specification
from server.offline import values
from server.offline.reports.lines import line_of, lines

NAMES = [f"{name}.{ending}" for name in ("openapi", "swagger") for ending in ("yaml", "yml", "json")]


SHOWN_WARNINGS = 20
WHAT = (
    "OpenAPI 3 or Swagger 2.0, YAML or JSON: a file, a folder with openapi.yaml or the like, or a folder of"
    " several documents, of which each exchange is judged by that of its host and base path"
)
_ENDINGS = (".yaml", ".yml", ".json")
_DOCUMENT = re.compile(rb"""(?:^|[{,])\s*["']?(?:openapi|swagger)["']?\s*:\s*["']?[23]\.""", re.MULTILINE)


class SpecUnusable(ValueError):
    """The specification cannot be used; the message is one sentence."""


class SpecMissing(SpecUnusable):
    """The specification does not exist."""


def add_options(parser: argparse.ArgumentParser, required: bool) -> None:
    """Adds `--spec` and `--root`."""
    parser.add_argument("--spec", type=values.path, metavar="SPEC", required=required, help=WHAT)
    add_root(parser)


def add_base_path(parser: argparse.ArgumentParser) -> None:
    """Adds `--base-path`."""
    parser.add_argument(
        "--base-path",
        type=values.base_path,
        metavar="/PATH",
        help="replaces the base path of the specification's server URLs; their hosts stay",
    )


def add_root(parser: argparse.ArgumentParser) -> None:
    """Adds `--root`, the folder of referenced files."""
    parser.add_argument(
        "--spec-root",
        type=values.path,
        metavar="DIR",
        help="folder that contains the files it refers to (default: its own)",
    )


def specification(
    path: Path,
    root: Path | None = None,
    policy: ReportingPolicy | None = None,
    base_path: str | None = None,
) -> Specification:
    """The specification at `path`, at another base path if one is given; parts that are not validated are
    listed on standard error. Raises SpecError and SpecMissing.
    """
    folder, name = located(path, root)
    found = load_files(name, from_folder(folder), policy or ReportingPolicy(), base_path)
    shown = found.warnings[:SHOWN_WARNINGS]
    known = lines((folder / name).read_bytes().decode("utf-8-sig")) if shown else {}
    for warning in shown:
        line = line_of(known, warning.partition(": ")[0]) if warning.startswith("/") else None
        sys.stderr.write(f"{path}{f':{line}' if line else ''}: warning: {warning}\n")
    if len(found.warnings) > SHOWN_WARNINGS:
        sys.stderr.write(f"{path}: warning: and {len(found.warnings) - SHOWN_WARNINGS} more\n")
    return found


def specifications(
    path: Path,
    root: Path | None = None,
    policy: ReportingPolicy | None = None,
    base_path: str | None = None,
) -> Iterator[tuple[Path, Specification]]:
    """The specification at `path`, or each of a folder of several. Raises SpecUnusable."""
    for file in _files(path):
        try:
            yield file, specification(file, root, policy, base_path)
        except SpecError as error:
            raise SpecUnusable(f"{file}: {error}") from None


def _files(path: Path) -> list[Path]:
    """The file itself, or a folder's root document, or else every document in the folder, and the root
    documents of its folders. Raises SpecMissing.
    """
    if not path.is_dir() or _root_file(path) is not None:
        return [path]
    found = [
        one
        for one in sorted(path.iterdir())
        if (one.is_dir() and _root_file(one))
        or (one.suffix in _ENDINGS and one.is_file() and _DOCUMENT.search(one.read_bytes()))
    ]
    if not found:
        raise SpecMissing(f"{path} holds no OpenAPI or Swagger document")
    return found


def _root_file(folder: Path) -> Path | None:
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def file(path: Path) -> Path:
    """The root file of the specification at `path`. Raises SpecMissing."""
    if not path.is_dir():
        return path
    found = _root_file(path)
    if found is None:
        raise SpecMissing(f"{path} holds none of {', '.join(NAMES)}")
    return found


def located(path: Path, root: Path | None = None) -> tuple[Path, str]:
    """The folder of a specification's files, and its root file. Raises SpecMissing."""
    path = file(path)
    real = path.resolve()  # the files beside a linked one are those where it really is
    folder = root.resolve() if root else real.parent
    if not real.is_relative_to(folder):
        raise SpecMissing(f"{path} does not lie in --spec-root {root}")
    if not real.exists():
        raise SpecMissing(f"{path}: No such file")
    if not real.is_file():
        raise SpecMissing(f"{path} is no regular file: write it to one first")
    return folder, real.relative_to(folder).as_posix()
