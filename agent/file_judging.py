"""Files for a command that judges their exchanges in its own process, unmasked, and prints masked names.

Nothing is masked that is not printed: masking every exchange takes longer than judging it.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from agent import config
from agent.ledger import Ledger
from agent.logs import handler, sentence
from agent.options import add_options
from agent.reading import records
from agent.redact.printable import PrintableNames
from agent.redact.unmasked import Unmasked
from agent.sources.recording import RecordingError
from agent.sources.reported import FormatError
from agent.wire import Record

log = logging.getLogger(__name__)


class WrongOption(ValueError):
    """An option of `spectap-agent read` has a wrong value; the message is one sentence."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise WrongOption(message)


class UnmaskedFiles:
    """Reads files as `spectap-agent read` with these arguments does, but for masking.

    `names` masks what is printed. `complete` is false once a file could not be read, which is logged.
    Raises WrongOption.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        parser = _Parser(add_help=False)
        add_options(parser, groups={"files", "redaction", "key", "log"})
        try:
            self._settings = config.settings(parser.parse_args(arguments))
            self._policy = self._settings.policy
        except ValueError as error:
            raise WrongOption(str(error)) from None
        self._maker = Unmasked(self._policy)
        self.names = PrintableNames(self._maker.masker)
        self.complete = True

    def records(self, files: Iterable[Path]) -> Iterator[Record]:
        """The unmasked records of these files, in order."""
        with _logged(self._settings.log_level, self._settings.log_json):
            for one in files:
                try:
                    yield from records([one], self._settings, self._policy, Ledger(), self._maker)
                except (FormatError, RecordingError, OSError) as error:
                    log.error("%s", sentence(error))
                    self.complete = False


@contextmanager
def _logged(level: str, as_json: bool) -> Iterator[None]:
    """The agent's messages go to standard error meanwhile."""
    own, agent = handler(as_json), logging.getLogger("agent")
    before = agent.level
    agent.addHandler(own)
    agent.setLevel(level.upper())
    try:
        yield
    finally:
        agent.removeHandler(own)
        agent.setLevel(before)
