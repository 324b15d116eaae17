"""Sentences that quote a wrong value: `Duplicate entry 'x' for key 'token'`, `"pin" with value "x" fails`.

If such a sentence contains a secret's name, everything it quotes is masked, except such names.
"""

from __future__ import annotations

import re

from agent.redact.names import Names

MAX_LENGTH = 512  # characters; longer texts are no sentences

_SAYS = re.compile(
    r"(?i)\b(?:in|not (?:a )?)valid|\bwith value|\b(?:incorrect|illegal|unexpected|duplicate|wrong)\b"
)
_QUOTED = re.compile(
    r"""(?<![\w"'`])(?:\\{0,3}"(?P<double>[^"\\\n]{1,256})\\{0,3}"|'(?P<single>[^'\n]{1,256})'"""
    r"""|`(?P<back>[^`\n]{1,256})`)(?!\w)"""
    r"""|\b(?i:invalid|incorrect|illegal|unexpected|duplicate|wrong|bad|got)[ ](?:[a-z]{2,12}[ ])?"""
    r"""(?:value|entry):?[ ](?P<bare>(?=[^\s"'`]{0,64}[0-9A-Z])[^\s"'`]{1,256})"""
)
_WORD = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)


def possible(text: str) -> bool:
    """False only if `text` is no complaint."""
    return "alue" in text or "alid" in text or "ntry" in text


def unquoted(text: str) -> bool:
    """Whether `text` may complain about a word that is not quoted."""
    return "value " in text or "entry " in text


def secrets(text: str, names: Names) -> list[tuple[int, int, str]]:
    """(start, end, rule) of each quotation in a complaint about a secret."""
    if len(text) > MAX_LENGTH or _SAYS.search(text) is None:
        return []
    quoted = [(match.lastgroup or "", match) for match in _QUOTED.finditer(text)]
    rule = next(filter(None, map(names.rule, _WORD.findall(text))), None) if quoted else None
    if rule is None:
        return []
    return [(*match.span(group), rule) for group, match in quoted if names.rule(match[group]) is None]
