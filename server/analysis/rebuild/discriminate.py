"""Which key tells the variants of an object apart."""

from __future__ import annotations

from typing import Any

from server.analysis.rebuild.shape_objects import Variant

MOST_VALUES = 8  # of the key, in one variant
LEAST_EACH = 3  # objects of each variant


def discriminator(variants: list[Variant]) -> dict[str, list[list[str]]]:
    """The key, if there is one, and its texts in each variant: always there, never in two variants."""
    if any(variant.count < LEAST_EACH for variant in variants):
        return {}
    first, *others = variants
    common = set(first.fields).intersection(*(variant.fields for variant in others))
    for key in sorted(common):
        texts = [_texts(variant, key) for variant in variants]
        known = [text for some in texts for text in some]
        if all(texts) and len(known) == len(set(known)):
            return {key: texts}
    return {}


def _texts(variant: Variant, key: str) -> list[str]:
    """All that a key holds in a variant; nothing where it is not few texts, always there."""
    field = variant.fields[key]
    shape: Any = field.shape
    texts = shape.texts
    if not texts or shape.hidden or len(texts) > MOST_VALUES or field.count != variant.count:
        return []
    return sorted(texts) if sum(texts.values()) == shape.count and len(texts) * 2 <= field.count else []
