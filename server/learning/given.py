"""The paths of an API's specifications, which take precedence over learned ones."""

from __future__ import annotations

import logging

from server.analysis.rebuild.given_paths import templates_of
from server.analysis.rebuild.learner import Learner
from server.analysis.specs.document.text import parse
from server.analysis.specs.model import SpecError
from server.store.reader import Reader

log = logging.getLogger(__name__)

MOST_GIVEN = 64  # specifications whose paths are remembered

Given = dict[str, frozenset[str]]
"""Path templates, each with the names of its parameters that contain slashes."""


class GivenPaths:
    """Caches the paths of the specifications read last."""

    def __init__(self) -> None:
        self._by_spec: dict[int, Given] = {}

    def pass_to(self, learner: Learner, reader: Reader, api: int) -> None:
        """Passes the paths of an API's specifications to its learner."""
        try:
            learner.set_given(self._of(reader, api))
        except ValueError as error:
            log.error("paths of a specification left out: %s", error)

    def _of(self, reader: Reader, api: int) -> Given:
        found: Given = {}
        for spec in reader.specs.of_api(api):
            number = spec.row.number
            if number not in self._by_spec:
                if len(self._by_spec) >= MOST_GIVEN:
                    self._by_spec.clear()
                self._by_spec[number] = _paths_of(spec.raw, spec.row.base_path)
            found.update(self._by_spec[number])
        return found


def _paths_of(raw: bytes, base_path: str | None) -> Given:
    """The paths of an uploaded specification; none if it has no paths."""
    try:
        return templates_of(parse(raw), base_path)
    except SpecError as error:
        log.error("paths of a specification left out: %s: %s", error.where, error.reason)
        return {}
