"""Finds path segments that are secrets because of the segment before, in targets and in texts.

Not secrets are segments of plain words (`/secrets/db-password`, `/token/refresh`, `/Auth/Calls`),
placeholders of a template (`/password/{token}`), places in a file (`/session/index.js:12:3`), and the type
of a file (`/SigningKeys/SK….json`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.redact.names import BEFORE_TOKENS, Names
from agent.wire.segments import PLAIN

MAX_WORDS = 40
MAX_NAME = 64  # characters of a segment that can be a name
LEAST_TOKEN = 16  # characters of a token after an ambiguous word

_WORDS = re.compile(
    rf"[{{<:]?(?:{PLAIN}|(?:[A-Z][a-z]{{2,}})+(?:\.[a-z]+)?|oauth2|saml2|fido2|u2f)[}}>]?(?::[0-9]{{1,5}}){{0,2}}"
)
_FILE_TYPE = re.compile(r"\.(?:csv|html?|json|pdf|txt|xlsx?|xml|ya?ml)\Z")
_TOKEN = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[\w.~=-]+", re.ASCII)
_PATH = re.compile(
    # At a text's start; after a blank, quote or bracket; or after a scheme and host.
    r"""(?:(?<![^\s"'<(])|(?<=:/)/[^\s/?#"'<>\\]{0,255})(?P<path>/(?!/)[^\s?#"'<>\\]*+)"""
)


def rule(before: str, segment: str, names: Names) -> str | None:
    """The rule that makes `segment`, decoded, a secret after `before`, or None."""
    found = names.rule(before)
    if found == "name:card" and before[-1] in "sS":
        return None  # an id of a collection; the number of a card is found by its shape
    if found is not None:
        return None if len(segment) <= MAX_WORDS and _WORDS.fullmatch(segment) else found
    if len(segment) < LEAST_TOKEN or before.lower() not in BEFORE_TOKENS or names.kept(before):
        return None
    return "name:token" if _TOKEN.fullmatch(segment) else None


def without_type(segment: str) -> str:
    """A segment without the type of a file at its end, which tells its operation and no secret."""
    match = _FILE_TYPE.search(segment)
    return segment[: match.start()] if match and match.start() else segment


def secrets(text: str, names: Names) -> Iterator[tuple[int, int, str]]:
    """(start, end, rule) of each such segment of the absolute paths and URLs in `text`."""
    for match in _PATH.finditer(text):
        start, before = match.start("path"), ""
        for segment in match["path"].split("/"):
            found = rule(before, segment, names) if segment and 0 < len(before) <= MAX_NAME else None
            if found is not None:
                yield start, start + len(without_type(segment)), found
            start += len(segment) + 1
            before = segment or before
