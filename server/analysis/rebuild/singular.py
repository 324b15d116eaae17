"""The singular of English nouns as paths and fields use them: rules by ending, and words that fit no rule.

Libraries were tried: inflect takes 2 s of CPU to import, and makes "analysi" of analysis; inflection makes
"cach" of caches.
"""

from __future__ import annotations

import re

_LAST_WORD = re.compile(r"(?:[A-Z]?[a-z]+|[A-Z]+s?)\Z")

_IRREGULAR = {
    "analyses": "analysis",
    "appendices": "appendix",
    "axes": "axis",
    "children": "child",
    "criteria": "criterion",
    "crises": "crisis",
    "diagnoses": "diagnosis",
    "emphases": "emphasis",
    "feet": "foot",
    "geese": "goose",
    "halves": "half",
    "hypotheses": "hypothesis",
    "indices": "index",
    "knives": "knife",
    "leaves": "leaf",
    "lives": "life",
    "matrices": "matrix",
    "men": "man",
    "mice": "mouse",
    "oases": "oasis",
    "parentheses": "parenthesis",
    "people": "person",
    "phenomena": "phenomenon",
    "quizzes": "quiz",
    "schemata": "schema",
    "shelves": "shelf",
    "syntheses": "synthesis",
    "teeth": "tooth",
    "theses": "thesis",
    "vertices": "vertex",
    "wives": "wife",
    "wolves": "wolf",
    "women": "woman",
}
_THE_SAME = re.compile(
    "alias|always|analytics|atlas|aws|bias|canvas|chaos|cors|https|kubernetes|lens|mathematics|news"
    "|pancreas|physics|series|species"
)
_DROP_ES = re.compile(
    "aliases|atlases|biases|canvases|echoes|gases|heroes|lenses|potatoes|tomatoes|torpedoes|vetoes"
)
_DROP_S = re.compile(
    "abuses|aches|apis|avalanches|caches|calories|canoes|cookies|fuses|headaches|ids|ips|lies|menus"
    "|misuses|movies|niches|pies|refuses|reuses|rookies|selfies|shoes|skis|taxis|ties|toes|uses|vms"
    "|zombies"
)


def singular(name: str) -> str:
    """The singular of a name that ends in a plural: "order_items" gives "order_item"; others stay."""
    found = _LAST_WORD.search(name)
    if found is None:
        return name
    word = found[0]
    return name[: found.start()] + _of_word(word)


def _of_word(word: str) -> str:
    lower = word.lower()
    if lower in _IRREGULAR:
        other = _IRREGULAR[lower]
        return other[0].upper() + other[1:] if word[0].isupper() else other
    if _THE_SAME.fullmatch(lower) or (len(word) <= 3 and not _DROP_S.fullmatch(lower)):
        return word
    return word[: len(word) - _ending(lower)] + ("y" if _ends_in_y(lower) else "")


def _ends_in_y(lower: str) -> bool:
    return lower.endswith("ies") and not _DROP_S.fullmatch(lower) and len(lower) > 4


def _ending(lower: str) -> int:
    """How many letters the singular lacks."""
    if _DROP_S.fullmatch(lower):
        return 1
    if _DROP_ES.fullmatch(lower):
        return 2
    if _ends_in_y(lower):
        return 3
    if lower.endswith(("sses", "xes", "ches", "shes", "zzes", "tzes")):
        return 2
    if lower.endswith("uses"):  # statuses, but causes and houses
        return 1 if lower.endswith(("auses", "ouses")) else 2
    return 1 if lower.endswith("s") and not lower.endswith(("ss", "us", "is")) else 0
