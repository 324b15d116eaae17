"""A stand-in for the specification engine, small enough to understand at a glance.

A document is JSON: {"title", "version", "base_paths", "servers", "operations": {"GET /users/{id}": {
"deprecated", "statuses"}}}. A status that is not listed is a deviation, and the server's fault.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.wire import Record
from server.analysis.json import Json
from server.analysis.specs.deviation import Deviation
from server.analysis.specs.judging.json_reading import JsonBodies
from server.analysis.specs.kinds import Fault, Kind, Verdict, Where
from server.analysis.specs.model import Judgement, Operation, SpecError
from server.analysis.specs.schemas.convert import SchemaDirection
from server.analysis.specs.schemas.validators import Parts


@dataclass(frozen=True)
class StandIn:
    document: dict[str, Any]

    @property
    def title(self) -> str:
        return str(self.document.get("title", "untitled"))

    @property
    def version(self) -> str:
        return str(self.document.get("version", "1"))

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self.document.get("warnings", ()))

    @property
    def base_paths(self) -> tuple[str, ...]:
        return tuple(self.document.get("base_paths", ("",)))

    @property
    def operations(self) -> tuple[Operation, ...]:
        found = []
        for key, said in self.document["operations"].items():
            method, template = key.split(" ", 1)
            deprecated = said.get("deprecated", False)
            found.append(Operation(key, method, template, key.lower(), deprecated, (), None, {}, ()))
        return tuple(found)

    def parts(self, place: str) -> Parts:
        return {}

    def fits(self, place: str, value: Json, direction: SchemaDirection) -> bool:
        return False

    def match(self, record: Record, bodies: JsonBodies | None = None) -> Judgement:
        assert record.request is not None
        if record.request.path == b"/explode":
            raise RuntimeError("secret value")
        for key, said in self.document["operations"].items():
            method, template = key.split(" ", 1)
            shape = re.sub(r"\\\{.*?\\\}", "[^/]+", re.escape(template)).encode()
            if method == record.request.method and re.fullmatch(shape, record.request.path):
                return self._found(key, said, record)
        unknown = Deviation.at(Kind.UNKNOWN_PATH, Where.PATH, "", "the specification has no such path")
        return Judgement(None, False, Verdict.SHADOW, None, (unknown,), fault=Fault.SERVER)

    def _found(self, key: str, said: Mapping[str, Any], record: Record) -> Judgement:
        deprecated = bool(said.get("deprecated"))
        if record.response is None:
            return Judgement(key, deprecated, Verdict.UNJUDGED, "the response was not seen", ())
        if record.response.status not in said.get("statuses", [200]):
            status = str(record.response.status)
            wrong = Deviation.at(Kind.UNKNOWN_STATUS, Where.STATUS, status, "not among the statuses")
            return Judgement(key, deprecated, Verdict.DEVIATING, None, (wrong,), fault=Fault.SERVER)
        return Judgement(key, deprecated, Verdict.ZOMBIE if deprecated else Verdict.CONFORMING, None, ())


def load(raw: bytes) -> StandIn:
    try:
        document = json.loads(raw)
    except ValueError:
        raise SpecError("line 1", "not JSON") from None
    if not isinstance(document, dict) or "operations" not in document:
        raise SpecError("", "no operations")
    return StandIn(document)


def spec(*operations: str, **more: Any) -> bytes:
    """A document with these operations; one that starts with "!" is deprecated."""
    said = {key.removeprefix("!"): {"deprecated": key.startswith("!")} for key in operations}
    return json.dumps({"title": "Shop", "version": "1", "operations": said, **more}).encode()
