"""One class name, one meaning: a public class name is defined in one module only."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent

MIRRORED = "models.py"
"""Modules with this ending describe the API's JSON; a name there is that of the thing it shows."""

ACCEPTED = {
    "Body": "as parsed, and as it stands in a record",
    "Deadline": "each program's own, since no import crosses between them",
    "Grpc": "as parsed, and as it stands in a record",
    "JsonLines": "each program's own, since no import crosses between them",
    "Parser": "each program's own, since no import crosses between them",
    "Request": "as parsed, and as it stands in a record",
    "Response": "as parsed, and as it stands in a record",
}
"""Names in two modules, and why. Entries may only be removed."""


def homes() -> dict[str, set[str]]:
    """The modules that define each public class."""
    found: dict[str, set[str]] = defaultdict(set)
    for tree in ("agent", "server"):
        for path in (ROOT / tree).rglob("*.py"):
            if path.name.endswith(MIRRORED):
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found[node.name].add(str(path.relative_to(ROOT)))
    return found


def test_one_class_name_has_one_meaning() -> None:
    shared = {name: sorted(modules) for name, modules in homes().items() if len(modules) > 1}
    assert set(shared) == set(ACCEPTED), shared
