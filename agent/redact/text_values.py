"""The value after a name in a text: a word, a quoted text, brackets, or lines indented deeper.

All in linear time.
"""

from __future__ import annotations

import re

Span = tuple[int, int]

NAME = r"[A-Za-z_$][\w.$-]{0,63}+(?:\[[\w.-]{0,32}\])?"
SIGN = r"[ \t]{0,8}(?:=>|[=:])[ \t]{0,8}"
_VALUE = re.compile(
    r"""\\{1,3}["'](?P<escaped>[^"'\\]*+)"""
    r"""|"(?P<double>[^"\\]*+(?:\\.[^"\\]*+)*)|'(?P<single>[^'\\]*+(?:\\.[^'\\]*+)*)"""
    r"""|(?P<bare>(?:[A-Za-z0-9-]{2,24}[ ]{1,4}(?=[^\s=]{8}))?[^\s&"'<>]++)""",
    re.DOTALL,
)
_COOKIES = re.compile(r"""(?:[^\s;"'<>=]|="[^\s;"]*"|=)+(?:;[ \t]{0,8}(?:[^\s;"'<>=]|="[^\s;"]*"|=)+)*""")
_IN_GROUP = re.compile(
    r"""[^"'\\\[\](){}]+|"(?:[^"\\]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\\.|(?P<open>[\[({])|(?P<close>[\])}])|.""",
    re.DOTALL,
)
_LINE_END = re.compile(r"(?:[|>][-+0-9]{0,2})?[ \t]*(?=\r?\n)")
_LINE = re.compile(r"\r?\n(?P<indent>[ \t]*)(?P<text>[^\r\n]*)")
_INDENT = re.compile(r"[ \t]*(?:-[ \t]+)*")


def first(text: str, at: int) -> Span | None:
    """The one value at `at`, without quotes or brackets."""
    if text[at : at + 1] in ("[", "(", "{"):
        return at + 1, _group_end(text, at)
    if (line_end := _LINE_END.match(text, at)) is not None:
        return _deeper_lines(text, at, line_end.end())
    value = _VALUE.match(text, at)
    if value is None:
        return None
    start, end = value.span(value.lastgroup or 0)
    opening = start + len(text[start:end].rstrip("[({"))
    return start, end if value["bare"] is None or opening == end else _group_end(text, opening)


def word(text: str, at: int, most: int) -> str:
    """The quoted text or word at `at`, from at most `most` characters."""
    value = _VALUE.match(text, at, at + most)
    return "" if value is None else value[value.lastgroup or 0].rstrip(",;)}]")


def cookies(text: str, at: int) -> Span | None:
    """All pairs of a cookie header."""
    found = _COOKIES.match(text, at)
    return None if found is None else found.span()


def _group_end(text: str, at: int) -> int:
    """Where the bracket at `at` is closed; if it is not, the end of the text."""
    depth = 0
    for token in _IN_GROUP.finditer(text, at):
        if token["open"]:
            depth += 1
        elif token["close"]:
            depth -= 1
            if depth == 0:
                return token.start()
    return len(text)


def _deeper_lines(text: str, at: int, line_end: int) -> Span | None:
    """The lines after the one that ends at `line_end`, while they are indented deeper."""
    indent = _INDENT.match(text, text.rfind("\n", 0, at) + 1)
    least = len(indent[0]) if indent else 0
    start, end = line_end, line_end
    while (line := _LINE.match(text, end)) is not None and (not line["text"] or len(line["indent"]) > least):
        if line["text"] and start == line_end:
            start = line.start("text")
        end = line.end()
    return None if start == line_end else (start, end)
