"""A lenient lexer for JSON: tokens in any order, up to the first character that is none."""

from __future__ import annotations

import json
import re

from msgspec import Raw
from msgspec.json import Decoder

_STRING = r'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*"'
_NUMBER = r"-?[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?(?![0-9A-Za-z.+_-])"
_WORD = r"(?:true|false|null)(?![0-9A-Za-z_])"
_BLANK = r"[ \t\n\r]*+"
_SPACE = r"[ \t\n\r,:\x1e]"
_KEYED = rf"(?:(?P<key>{_STRING}){_BLANK}:{_SPACE}*+)?"
_ALONE = rf"(?!{_BLANK}:)"  # a string before a colon is a key, never a value
# Possessive groups are wrong in CPython before 3.11.5, so only single characters are repeated so.
_TEXT = re.compile(
    rf"(?:{_SPACE}++|{_KEYED}(?:{_STRING}{_ALONE}|[{{}}\[\]]|{_NUMBER}|{_WORD}))*".replace("?P<key>", "?:")
)
MEMBER = re.compile(
    rf"""{_SPACE}*+{_KEYED}(?:("[^"\\\x00-\x1f=:/'`→⇒]*+"){_ALONE}"""
    rf"|({_STRING}){_ALONE}|({_NUMBER})|({_WORD})|([{{\[])|([}}\]])|\Z)"
)
"""A value or bracket, with its key if it has one; `lastindex` is the kind, None at the end of the text."""

KEY, PLAIN, STRING, NUMBER, LITERAL, OPEN, CLOSE = range(1, 8)
TEXTS = (PLAIN, STRING)  # a plain one has no escape and is a single word


def is_document(text: str) -> bool:
    """Whether `text` is one JSON document, and so lexes to its end. The validator is ten times as fast as
    the lexer; it refuses some texts that lex, such as lone surrogates.
    """
    try:
        _VALIDATOR.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


_VALIDATOR = Decoder(Raw)


def lexed(text: str, cut: bool = False) -> int:
    """The length of the prefix of JSON tokens. If `cut`, a number at the very end may be incomplete."""
    match = _TEXT.match(text)
    end = match.end() if match else 0
    if cut and end and end == len(text) and text[-1] in "0123456789":
        end = len(text.rstrip("0123456789.eE+-"))
    return end


def unescaped(token: str) -> str:
    """The unescaped text of a string token, which includes its quotes."""
    return str(json.loads(token, strict=False)) if "\\" in token else token[1:-1]
