"""The doctor's documented JSON schema, and a check of documents with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs

SCHEMA = json.loads((Path(__file__).parents[2] / "agent/doctor/schema.json").read_text())
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA, validate_formats=True)


def assert_valid(text: str) -> Any:
    """Returns the document. Raises jsonschema_rs.ValidationError if it does not conform."""
    document = json.loads(text)
    VALIDATOR.validate(document)
    return document
