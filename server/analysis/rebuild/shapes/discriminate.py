"""Finds the key that distinguishes the variants of an object."""

from __future__ import annotations

from dataclasses import dataclass

from server.analysis.rebuild.shapes.model import Variant

MOST_VALUES = 8  # of the key, in one variant
LEAST_EACH = 3  # objects of each variant


@dataclass(frozen=True, slots=True)
class Discriminator:
    """A key and its texts in each variant: it is always present, and no text occurs in two variants."""

    key: str
    texts: list[list[str]]


def discriminator(variants: list[Variant]) -> Discriminator | None:
    """The first key, by name, that distinguishes the variants."""
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
    """A key's texts in a variant; empty unless it always has one of a few texts."""
    field = variant.fields[key]
    texts = field.shape.texts
    if not texts or field.shape.hidden or len(texts) > MOST_VALUES or field.count != variant.count:
        return []
    only_texts = sum(texts.values()) == field.shape.count
    return sorted(texts) if only_texts and len(texts) * 2 <= field.count else []
