"""Media types of documents and headers."""

from __future__ import annotations

FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"


def essence(kind: str) -> str:
    """A media type without its parameters, in lower case."""
    return kind.partition(";")[0].strip().lower()


def is_json(kind: str) -> bool:
    """Of a media type's essence."""
    return kind.endswith(("/json", "+json"))


def is_xml(kind: str) -> bool:
    """Of a media type's essence."""
    return kind.endswith(("/xml", "+xml"))
