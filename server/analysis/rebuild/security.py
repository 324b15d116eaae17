"""How callers authenticated → security schemes, and which of them an operation takes.

The agent tells the scheme and where an API key stood, never the secret.
"""

from __future__ import annotations

import re
from typing import Any

from server.analysis.rebuild.operation import Operation, Security

Json = dict[str, Any]

_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
_SCHEME = re.compile(r"[a-z0-9-]{1,40}")
_NOTHING: Security = ("", "", "", "")


class Schemes:
    """Collects the schemes of a document, each defined once."""

    def __init__(self) -> None:
        self.definitions: dict[str, Json] = {}

    def of(self, operation: Operation) -> set[Security]:
        """What accepted calls of an operation carried; the empty scheme if one carried nothing."""
        return set(operation.security)

    def alternatives(self, schemes: set[Security]) -> list[Json]:
        """The `security` of an operation: any of these suffices. Nothing where none was ever carried."""
        found: list[Json] = []
        for scheme in sorted(schemes - {_NOTHING}):
            name = self._define(scheme)
            entry: Json = {name: []} if name else {}
            if entry not in found:
                found.append(entry)
        if not found:
            return []
        if _NOTHING in schemes and {} not in found:
            found.append({})
        return found

    def _define(self, scheme: Security) -> str | None:
        """The name of a scheme's definition; None where too little is known to define it."""
        kind, place, name, algorithm = scheme
        if place:
            if not name:
                return None
            return self._put(
                f"{_PLAIN.sub('-', name)}-{place}", {"type": "apiKey", "in": place, "name": name}
            )
        if kind == "other" or not _SCHEME.fullmatch(kind):
            return self._put("authorization", {"type": "apiKey", "in": "header", "name": "Authorization"})
        definition: Json = {"type": "http", "scheme": kind}
        if algorithm:
            definition["bearerFormat"] = "JWT"
        return self._put(kind if not algorithm else f"{kind}-jwt", definition)

    def _put(self, name: str, definition: Json) -> str:
        self.definitions[name] = definition
        return name
