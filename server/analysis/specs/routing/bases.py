"""The base path that a path lies under."""

from __future__ import annotations

from collections.abc import Iterable


def encoded_bases(bases: Iterable[str]) -> tuple[bytes, ...]:
    """Base paths as they begin a path that was sent; the root if there are none."""
    return tuple(base.rstrip("/").encode() for base in bases) or (b"",)


def base_of(bases: Iterable[bytes], path: bytes) -> bytes | None:
    """The longest of the base paths above `path`; None if there is none."""
    return max(
        (base for base in bases if path == base or path.startswith(base + b"/")), key=len, default=None
    )


def closeness(base: bytes | None) -> tuple[bool, int]:
    """Sorts base paths: a longer one fits better, none worst."""
    return base is not None, len(base or b"")
