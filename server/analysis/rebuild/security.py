"""Consumers' authentication → security schemes, and the schemes of each operation.

The agent reports the scheme and the place of an API key, never the secret.
"""

from __future__ import annotations

import re

from server.analysis.json import JsonObject
from server.analysis.rebuild.operation import NO_SECURITY, LearntOperation, Security

_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
_SCHEME = re.compile(r"[a-z0-9-]{1,40}")


class Schemes:
    """Collects a document's schemes, each defined once."""

    def __init__(self) -> None:
        self.definitions: JsonObject = {}

    def of(self, operation: LearntOperation) -> set[Security]:
        """The schemes of an operation's accepted calls; the empty one for calls without credentials."""
        return set(operation.security)

    def alternatives(self, schemes: set[Security]) -> list[JsonObject]:
        """The `security` of an operation: any of these suffices. Empty if no call had credentials."""
        found: list[JsonObject] = []
        for scheme in sorted(schemes - {NO_SECURITY}):
            name = self._define(scheme)
            entry: JsonObject = {name: []} if name else {}
            if entry not in found:
                found.append(entry)
        if not found:
            return []
        if NO_SECURITY in schemes and {} not in found:
            found.append({})
        return found

    def _define(self, scheme: Security) -> str | None:
        """The name of a scheme's definition; None if too little is known to define it."""
        kind, place, name, algorithm = scheme
        if place:
            if not name:
                return None
            return self._put(
                f"{_PLAIN.sub('-', name)}-{place}", {"type": "apiKey", "in": place, "name": name}
            )
        if kind == "other" or not _SCHEME.fullmatch(kind):
            return self._put("authorization", {"type": "apiKey", "in": "header", "name": "Authorization"})
        definition: JsonObject = {"type": "http", "scheme": kind}
        if algorithm:
            definition["bearerFormat"] = "JWT"
        return self._put(kind if not algorithm else f"{kind}-jwt", definition)

    def _put(self, name: str, definition: JsonObject) -> str:
        self.definitions[name] = definition
        return name
