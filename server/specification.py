"""A document → the engine's specification, with its server URLs replaced by a base path if given."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Protocol

from server.analysis.json import Json, JsonObject
from server.analysis.specs.amending.propose import Judging
from server.analysis.specs.schemas.convert import SchemaDirection


class LoadedSpecification(Judging, Protocol):
    """The engine's interface of a loaded specification."""

    @property
    def title(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def warnings(self) -> Sequence[str]: ...

    def fits(self, place: str, value: Json, direction: SchemaDirection) -> bool: ...


Load = Callable[[bytes], LoadedSpecification]
"""A function from a document's bytes, JSON or YAML. Raises SpecError."""


def based(load: Load, raw: bytes, base_path: str | None) -> LoadedSpecification:
    """The specification, with its server URLs replaced by a base path if given. Raises SpecError."""
    specification = load(raw)
    return specification if base_path is None else understood(load, specification.document, base_path)


def understood(load: Load, document: JsonObject, base_path: str | None) -> LoadedSpecification:
    """The specification of a document, with replaced server URLs if needed. Raises SpecError."""
    if base_path is not None:
        served: JsonObject = (
            {"basePath": base_path} if "swagger" in document else {"servers": [{"url": base_path}]}
        )
        document = {**document, **served}
    return load(json.dumps(document).encode())
