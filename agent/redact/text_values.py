"""The value after a name in a text: a word, a quoted text, brackets, or lines indented deeper.

All in linear time.
"""

from __future__ import annotations

import re

MAX_LINE = 1024  # characters before a name in a quoted text, searched for the start of its line

Span = tuple[int, int]

NAME = r"[A-Za-z_$][\w.$-]{0,63}+(?:\[[\w.-]{0,32}\])?"
SIGN = r"[ \t]{0,8}(?:=>|:=|[=:])[ \t]{0,8}"
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
_YAML_PROPERTIES = re.compile(  # a tag, an anchor or both
    r"(?:(?:![^\s,\[\]{}\"'=]{0,64}|&[^\s,\[\]{}\"'=;&]{1,64})(?:[ \t]{1,8}|(?=\r?\n|\\{1,4}[rn]))){1,2}"
)
_ESCAPED_LINE_END = r"(?:\\{1,4}r)?\\{1,4}n"  # of a text quoted within a text
_LINE_END = re.compile(
    rf"(?:[|>][-+0-9]{{0,2}})?[ \t]*(?P<comment>#[^\r\n\\]*)?(?=\r?\n|(?P<escaped>{_ESCAPED_LINE_END}))"
)
_LINE = re.compile(r"\r?\n(?P<indent>[ \t]*)(?P<text>[^\r\n]*)")
_ESCAPED_LINE = re.compile(rf"{_ESCAPED_LINE_END}(?P<indent>[ \t]*)(?P<text>(?:[^\r\n\\]|\\(?![\\rn]))*)")
_INDENT = re.compile(r"[ \t]*(?:-[ \t]+)*")


def first(text: str, at: int) -> Span | None:
    """The one value at `at`, without quotes or brackets, but with the tag and anchor of YAML."""
    properties = _YAML_PROPERTIES.match(text, at)
    if properties is None:
        return _bare_first(text, at)
    value = _bare_first(text, properties.end())
    return at, len(properties[0].rstrip()) + at if value is None else value[1]


def _bare_first(text: str, at: int) -> Span | None:
    if text[at : at + 1] in ("[", "(", "{"):
        return at + 1, _group_end(text, at)
    if (line_end := _LINE_END.match(text, at)) is not None:
        lines = _deeper_lines(text, at, line_end)
        if lines is not None or not line_end["comment"]:
            return lines
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


def _deeper_lines(text: str, at: int, line_end: re.Match[str]) -> Span | None:
    """The lines after the one that ends at `line_end`, while they are indented deeper."""
    indent = _INDENT.match(text, _line_start(text, at, line_end["escaped"] is not None))
    least = len(indent[0]) if indent else 0
    a_line = _LINE if line_end["escaped"] is None else _ESCAPED_LINE
    start = end = line_end.end()
    while (line := a_line.match(text, end)) is not None and (not line["text"] or len(line["indent"]) > least):
        if line["text"] and start == line_end.end():
            start = line.start("text")
        end = line.end()
    if start == line_end.end():
        return None
    return at if line_end["comment"] else start, end


def _line_start(text: str, at: int, escaped: bool) -> int:
    """Where the line that holds `at` starts; of a quoted text, its first line starts at the quote."""
    if not escaped:
        return text.rfind("\n", 0, at) + 1
    least = max(0, at - MAX_LINE)
    return max(least, *(text.rfind(mark, least, at) + len(mark) for mark in ("\\n", '"', "\n")))
