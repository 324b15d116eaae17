"""Which key tells the variants of an object apart."""

from __future__ import annotations

from dataclasses import dataclass

from server.analysis.rebuild.shapes.model import Variant

MOST_VALUES = 8  # of the key, in one variant
LEAST_EACH = 3  # objects of each variant


@dataclass(frozen=True, slots=True)
class Discriminator:
    """A key, and the texts it has in each variant: always there, and never the same in two of them."""

    key: str
    texts: list[list[str]]


def discriminator(variants: list[Variant]) -> Discriminator | None:
    """The first key, by name, that tells variants apart."""
    if any(variant.count < LEAST_EACH for variant in variants):
        return None
    first, *others = variants
    for key in sorted(set(first.fields).intersection(*(variant.fields for variant in others))):
        texts = [_texts(variant, key) for variant in variants]
        known = [text for some in texts for text in some]
        if all(texts) and len(known) == len(set(known)):
            return Discriminator(key, texts)
    return None


def _texts(variant: Variant, key: str) -> list[str]:
    """All that a key holds in a variant; nothing where it is not few texts, always there."""
    field = variant.fields[key]
    texts = field.shape.texts
    if not texts or field.shape.hidden or len(texts) > MOST_VALUES or field.count != variant.count:
        return []
    only_texts = sum(texts.values()) == field.shape.count
    return sorted(texts) if only_texts and len(texts) * 2 <= field.count else []
