"""Nouns of a path: for tags, and for names of response types."""

from __future__ import annotations

import re

from server.analysis.rebuild.singular import singular

BREAK = re.compile(r"[^A-Za-z0-9]+")
_PLAIN_WORDS = re.compile(
    r"(?:api|apis|rest|public|internal|v\d+(?:\.\d+)*(?:(?:alpha|beta)\d*)?)", re.IGNORECASE
)

_VERBS = {
    "GET": "Get",
    "HEAD": "Check",
    "POST": "Post to",
    "PUT": "Put",
    "PATCH": "Change",
    "DELETE": "Delete",
}


def tag_of(path: str) -> str:
    """The first noun."""
    words = _words(path)
    return words[0][:60] if words else "root"


def noun_of(path: str) -> str:
    """The last noun, in the singular."""
    words = _words(path)
    return singular(BREAK.sub(" ", words[-1]).strip()[:60] or "root") if words else "root"


def summary_of(method: str, path: str) -> str:
    """A few words on what an operation does: "Get order by orderId"."""
    segments = [segment for segment in path.split("/") if segment]
    keys = [segment.strip("{}") for segment in segments[-1:] if "{" in segment]
    words = BREAK.sub(" ", _words(path)[-1]).strip() if _words(path) else "the root"
    verb = _VERBS.get(method, method.capitalize())
    return f"{verb} {singular(words)} by {keys[0]}" if keys else f"{verb} {words}"


def _words(path: str) -> list[str]:
    """The segments that are nouns."""
    segments = [segment for segment in path.split("/") if segment and "{" not in segment]
    return [segment for segment in segments if not _PLAIN_WORDS.fullmatch(segment)] or segments
