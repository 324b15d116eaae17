"""Media types of documents and headers."""

from __future__ import annotations

from functools import lru_cache

FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"


@lru_cache(maxsize=1024)
def essence(kind: str) -> str:
    """A media type without its parameters, in lower case."""
    return kind.partition(";")[0].strip().lower()


def is_json(kind: str) -> bool:
    """Whether a media type's essence is JSON."""
    return kind.endswith(("/json", "+json"))


def is_xml(kind: str) -> bool:
    """Whether a media type's essence is XML."""
    return kind.endswith(("/xml", "+xml"))
