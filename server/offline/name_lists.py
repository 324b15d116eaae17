"""Lists of names in files, such as those that Kubernetes publishes of its conformance tests.

| file of `test/conformance/testdata` | an entry |
|---|---|
| `ineligible_endpoints.yaml` | `endpoint: connectCoreV1GetNodeProxy`, with the reason |
| `pending_eligible_endpoints.yaml` | the operationId itself |
| `conformance.yaml` | `codename: '[sig-…] … [Conformance]'`, with more |
"""

from __future__ import annotations

from pathlib import Path

from server.analysis.specs.document.text import parse_any
from server.analysis.specs.model import SpecError

_NAMED_BY = ("endpoint", "codename", "name")


class ListError(ValueError):
    """The file is no such list; the message is one sentence."""


def names_in(path: Path) -> frozenset[str]:
    """The names in a YAML or JSON file: texts, or objects with one of _NAMED_BY. Raises ListError."""
    try:
        found = parse_any(path.read_bytes())
    except OSError as error:
        raise ListError(f"cannot read {path}: {error.strerror}") from None
    except SpecError as error:
        raise ListError(f"{path}: {error}") from None
    if not isinstance(found, list):
        raise ListError(f"{path} is not a list of names")
    names: set[str] = set()
    for number, entry in enumerate(found, 1):
        if isinstance(entry, dict):
            entry = next((entry[key] for key in _NAMED_BY if key in entry), None)
        if not isinstance(entry, str):
            told = ", ".join(_NAMED_BY)
            raise ListError(f"{path}: entry {number} is neither a name nor an object with one of {told}")
        names.add(entry)
    return frozenset(names)
