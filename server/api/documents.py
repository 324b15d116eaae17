"""Responses with documents that browsers show instead of saving."""

from __future__ import annotations

from typing import Literal

from fastapi import Response

from server.analysis.rebuild.text import to_json, to_yaml
from server.store.rows import Publication


def shown_document(found: Publication, format: Literal["yaml", "json"] = "yaml") -> Response:
    """A version of a learned document."""
    content = to_json(found.document) if format == "json" else to_yaml(found.document)
    headers = {"Content-Disposition": "inline; filename=reconstructed"}
    return Response(content, media_type=f"application/{format}", headers=headers)
