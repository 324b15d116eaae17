"""Secrets that words alone reveal: `the password is X`, `login failed for password "X"`, `--token X`.

The text after a name is mostly no secret (`password is required`), so it must not look like a word. A quoted
text after a password's or key's name is always a secret, and so is a word after `--password`.
"""

from __future__ import annotations

import re

from agent.redact import text_values
from agent.redact.names import Names
from agent.redact.text_values import NAME

_VERB = (
    r"(?:(?:[ ]{0,2}(?:→|⇒)|[ ]{1,2}(?:->|equals|(?:is|was)(?:[ ](?:now|still|set[ ]to))?"
    r"|(?:has[ ]been[ ]|is[ ]|was[ ])?(?:set|changed|reset|updated)[ ]to)):?)"
)
_STATED = re.compile(
    rf"(?<![\w.$-])(?P<name>{NAME})(?:(?P<verb>{_VERB})[ ]{{0,2}}|[ ]{{1,2}})(?<=[ →⇒])"
    r"(?=\\{0,3}[\"'](?P<quoted>[^\s\"'\\])"
    r"|(?P<bare>(?=[A-Za-z0-9][^\s\"'<>`]{0,64}(?:[0-9!@#$^&*+~]|[a-z][A-Z])|[0-9])[^\s\"'<>`]{3,256}))",
    re.ASCII,
)
_FLAG = re.compile(
    r"(?<![\w.$-])--(?P<name>[A-Za-z][\w-]{0,63}+)(?:=(?=\S)|[ ]{1,2}(?P<apart>)(?=[^\s=-]))", re.ASCII
)
_HINTS = (
    *(" is", " was", " to ", "→", "⇒", "->", "equals", "--", ' "', " '", " \\"),
    *("ass", "ASS", "wd", "WD"),  # start a password's name, which needs no verb
)
_ENDS = frozenset(("key", "keys", "phrase", "code", "codes", "id", "number", "string"))
_WORD = re.compile(r"[\"'\\]{0,4}([^\s\"'\\]+)")
_PUNCTUATION = ".,;:!?)]}"
_ALWAYS = frozenset(("name:password", "name:key", "name:policy"))
MAX_WORD = 18  # characters of the first of two words, with the blanks after it
_LAST_WORD = re.compile(r"[A-Za-z]{2,16}(?=[ ]{1,2}\Z)")
_WORDY = re.compile(
    r"(?i:oauth|sha|md|rsa|aes|base|utf|hs|es|rs|ps|http|tls|ssl|argon|pbkdf|v|x)-?\d{1,4}(?:[-_][a-z]+)*"
    r"|\d{1,2}|\d{1,6}(?:\.\d+)*(?:[a-z]{1,2}|%|(?:-[a-z]+)+)?(?<!\d{3})|\d+(?:\.\d+){1,3}"
    r"|[A-Za-z]?[a-z]*(?:[A-Z][a-z]+)*|.*(?:\(|&(?:quot|amp|lt|gt|#\d+)).*|[^A-Za-z0-9]+"
)
_UNIT = re.compile(
    r"\s(?:(?:of|out|or|more|to)\b|%|char|digit|byte|bit|word|letter|symbol|attempt|time|item"
    r"|second|minute|hour|day|week|month|year|(?:ms|[smhd])\b)"
)


def possible(text: str, names: Names) -> bool:
    """False only if `text` states no secret."""
    for hint in _HINTS:
        if hint in text:
            return names.possible(text.encode("utf-8", "surrogatepass"))
    return False


def secrets(text: str, names: Names) -> list[tuple[int, int, str]]:
    """(start, end, rule) of each stated secret."""
    found = [_stated(match, names) for match in _STATED.finditer(text)]
    if "--" in text:
        found += [_flagged(match, names) for match in _FLAG.finditer(text)]
    return [span for span in found if span is not None]


def rule_of(text: str, start: int, name: str, names: Names) -> str | None:
    """The rule of a name at `start`, which may be the second of two words: `api key`, `pass phrase`."""
    rule = names.rule(name)
    if rule is not None or name.lower() not in _ENDS:
        return rule
    before = _LAST_WORD.search(text, max(0, start - MAX_WORD), start)
    if before is None or (names.rule(before[0]) is not None and before[0].lower() != "pass"):
        return None
    return names.rule(f"{before[0]} {name}")


def _stated(match: re.Match[str], names: Names) -> tuple[int, int, str] | None:
    text, name, at = match.string, match["name"], match.end()
    rule = rule_of(text, match.start(), name, names)
    if rule is None:
        return None
    if match["verb"] is None and (rule != "name:password" or name.lower() == "pass"):
        return None  # `session 4711 started`, `pass "x" to it`
    if match["bare"] is not None:
        end = at + len(match["bare"].rstrip(_PUNCTUATION))
        return (at, end, rule) if _made_up(text, at, end) else None
    span = text_values.first(text, at)
    certain = rule in _ALWAYS and span is not None and names.rule(text[slice(*span)]) is None
    return (*span, rule) if span is not None and (certain or _made_up(text, *span)) else None


def _flagged(match: re.Match[str], names: Names) -> tuple[int, int, str] | None:
    text, at, rule = match.string, match.end(), names.rule(match["name"])
    if rule is None or match["apart"] is None:
        span = None if rule is None else text_values.first(text, at)
        return None if span is None or rule is None else (*span, rule)
    word = _WORD.match(text, at)
    return None if word is None or not _made_up(text, *word.span(1)) else (*word.span(1), rule)


def _made_up(text: str, start: int, end: int) -> bool:
    """Whether a text is neither words nor a quantity."""
    value = text[start:end].rstrip(_PUNCTUATION)
    if _WORDY.fullmatch(value) is not None or " " in value:
        return False
    return not (value.isdigit() and _UNIT.match(text, end))
