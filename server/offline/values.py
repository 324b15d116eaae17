"""Values of options that cannot be right in any file or on any server: a usage error names them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path


def text(value: str) -> str:
    """Text that is not empty. Raises ArgumentTypeError."""
    if not value.strip():
        raise argparse.ArgumentTypeError("is empty: give a value, or leave the option out")
    return value


def path(value: str) -> Path:
    """The path of a file or folder. Raises ArgumentTypeError."""
    if not value or "\0" in value:
        raise argparse.ArgumentTypeError("is empty: name a file or folder")
    return Path(value)


def base_path(value: str) -> str:
    """A path below which operations are, or "" for none. Raises ArgumentTypeError."""
    if value and not value.startswith("/"):
        raise argparse.ArgumentTypeError(f"{value!r} does not begin with /: give a path such as /v1")
    return value


def number(least: int, most: int) -> Callable[[str], int]:
    """Reads whole numbers from `least` to `most`."""

    def read(value: str) -> int:
        digits = value.strip()
        if not digits.isascii() or not digits.isdecimal() or not least <= int(digits[:20]) <= most:
            raise argparse.ArgumentTypeError(f"{value!r} is no whole number from {least} to {most}")
        return int(digits)

    return read
