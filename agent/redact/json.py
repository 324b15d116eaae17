"""Masks JSON token by token: everything but secrets stays byte for byte.

A lenient lexer reads the text iteratively, in linear time; structure is followed only as far as masking needs
it, so a cut, malformed or concatenated document (NDJSON, JSON text sequences) is masked up to the first
character that is no token, and the rest is left out. A text that cannot contain a secret's name or shape
(cheap necessary conditions) is only lexed, in one match; parts that passed before are not tested again.
"""

from __future__ import annotations

from agent.frozen import dataclass
from agent.redact import values
from agent.redact.json_tokens import is_document, lexed
from agent.redact.json_walk import Masked, MasksText, Walk


@dataclass(frozen=True, slots=True)
class Walked:
    """`text` is the masked prefix, `left_out` the number of characters that were no JSON and are
    not in it.
    """

    text: str
    left_out: int


def mask(text: str, masker: MasksText, masked: Masked, *, cut: bool = False, depth: int = 0) -> Walked:
    """`text` with its secrets replaced. `cut`: it may end inside a token. Never raises."""
    end = len(text) if not cut and is_document(text) else lexed(text, cut)
    left_out = len(text) - end
    text = text[:end]
    if "\\" not in text and masker.clean_fragments.holds(text):
        return Walked(text, left_out)
    raw = text.encode("utf-8", "surrogatepass")
    suspicion = values.suspicion(raw)
    if suspicion or raw.count(b"\\") != raw.count(b'\\"') or masker.names.possible(raw):
        text = Walk(text, masker, masked, suspicion, depth).run()
    return Walked(text, left_out)
