"""A document as it was sent, of one file or several."""

from __future__ import annotations

from dataclasses import dataclass

from server.analysis.specs.document.bundle import Bundle
from server.analysis.specs.model import SpecError
from server.specification import Load, LoadedSpecification, based


@dataclass(frozen=True, slots=True)
class Sent:
    """A document, and its files if there were several."""

    raw: bytes
    bundle: Bundle | None = None

    def understood(self, load: Load, base_path: str | None) -> LoadedSpecification:
        """The specification, at this base path if given. Raises SpecError, with the file it is about."""
        try:
            return based(load, self.raw, base_path)
        except SpecError as error:
            raise (self.bundle.blame(error) if self.bundle else error) from None
