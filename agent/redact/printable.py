"""What reports may print of unmasked exchanges: paths, and names of parameters, headers and fields.

They are masked as in records, each when it is first printed; what is not printed needs no mask.
"""

from __future__ import annotations

from functools import lru_cache

from agent.redact import placeholders, urls
from agent.redact.headers import MAX_NAME
from agent.redact.mask_log import MaskLog
from agent.redact.text import TextMasker

MAX_REMEMBERED = 4096  # places, and paths
_BODIES = ("request.body", "response.body")
_HEADERS = ("header", "response.header")


class PrintableNames:
    """Masks names by the rules of one policy."""

    def __init__(self, masker: TextMasker) -> None:
        self._masker = masker
        self.place = lru_cache(MAX_REMEMBERED)(self._place)
        """The masked place in a part of an exchange: a parameter's or header's name, or the JSON pointer (RFC
        6901) of a body's field."""
        self._known_path = lru_cache(MAX_REMEMBERED)(self._path)

    def path(self, raw: bytes) -> tuple[bytes, frozenset[int]]:
        """The masked path, and the indices of the segments that are masked."""
        return self._known_path(raw)

    def _path(self, raw: bytes) -> tuple[bytes, frozenset[int]]:
        log = MaskLog()
        masked = urls.mask_path(raw, self._masker, log)
        return masked, frozenset(int(mask.pointer) for mask in log.masks)

    def _place(self, where: str, place: str) -> str:
        if where in _BODIES:
            return "/".join(self._step(step) for step in place.split("/"))
        if where in _HEADERS and len(place) > MAX_NAME:
            return placeholders.filler(len(place))
        return self._masker.text(place)[0]

    def _step(self, step: str) -> str:
        masked, rule = self._masker.text(step.replace("~1", "/").replace("~0", "~"))
        return step if rule is None else masked.replace("~", "~0").replace("/", "~1")
