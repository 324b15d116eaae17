"""Learns one scalar at its place."""

from __future__ import annotations

from server.analysis.rebuild.shapes.merging import MOST_TEXTS
from server.analysis.rebuild.shapes.model import Shape
from server.analysis.rebuild.shapes.texts import hidden_readings, still
from server.analysis.rebuild.shapes.values import Scalar

LONGEST_TEXT = 64  # characters of a string that may be one of an enum, or an example


def learn_text(shape: Shape, text: str) -> None:
    """Learns a string."""
    texts = shape.texts
    if texts is not None and text in texts:
        texts[text] += 1
    else:
        learn_new_text(shape, text)


def learn_new_text(shape: Shape, text: str) -> None:
    """Learns a string that is not in `texts`."""
    if shape.fits:
        shape.fits = still(shape.fits, text)
    texts = shape.texts
    short = len(text) <= LONGEST_TEXT
    if short and text < shape.least:
        shape.least = text
    if texts is None:
        shape.strings += 1
    elif short and len(texts) < MOST_TEXTS:
        texts[text] = 1
    else:
        shape.strings += 1 + sum(texts.values())
        shape.texts = None


def learn_number(shape: Shape, number: float) -> None:
    """Learns an integer or a number."""
    if type(number) is int:
        shape.integers += 1
    else:
        shape.numbers += 1
    if number < shape.low:
        shape.lower(number)


def learn_hidden(shape: Shape, value: Scalar) -> None:
    """Learns the type and format of a placeholder."""
    if isinstance(value, str):
        shape.hidden += 1
        shape.fits &= hidden_readings(value)
    elif isinstance(value, float):
        shape.numbers += 1
    else:
        shape.integers += 1
