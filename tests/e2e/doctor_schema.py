"""The doctor's documented JSON, and whether a document is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs

SCHEMA = json.loads((Path(__file__).parents[2] / "agent/doctor/schema.json").read_text())
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA, validate_formats=True)


def assert_valid(text: str) -> Any:
    """The document. Raises jsonschema_rs.ValidationError where the schema does not allow it."""
    document = json.loads(text)
    VALIDATOR.validate(document)
    return document
