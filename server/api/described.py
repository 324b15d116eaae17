"""What the API's own document says of the whole API."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi.routing import APIRoute

SUMMARY = "What APIs are called, by whom, and whether calls are as specified."
DESCRIPTION = """Agents deliver the HTTP exchanges that they see on a machine's network and in its TLS
libraries; the server counts them by API and operation, validates them against specifications, and learns a
document of each API. Secrets and personal data are masked before anything leaves an agent.

Lists answer `items` and `next`, the cursor of the next page. They take a query as `q`, such as
`status:5xx -consumer:legacy* since:1h`, and each of its fields as a parameter. Errors are problem documents
(RFC 9457)."""
TAGS = {
    "records": "Batches of records from agents.",
    "inventory": "APIs and their operations.",
    "consumers": "Who calls, how often and when.",
    "specifications": "Specifications, as uploaded, and trials of proposed ones.",
    "coverage": "Which parts of a specification are exercised, and by whom.",
    "rebuilding": "Documents that are learned from traffic.",
    "exchanges": "Whole exchanges, as long as retention keeps them.",
    "deviations": "Differences between traffic and specifications, and decisions on them.",
    "queries": "The query language of lists.",
    "agents": "Agents, and the account of every byte and exchange.",
    "tokens": "Tokens of clusters.",
}


def about() -> dict[str, Any]:
    """The parameters of FastAPI that describe the API."""
    return {
        "title": "spectap",
        "summary": SUMMARY,
        "description": DESCRIPTION,
        "version": version("spectap"),
        "contact": {"name": "The operator of this server"},
        "license_info": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        "servers": [{"url": "/", "description": "This server."}],
        "openapi_tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "generate_unique_id_function": operation_id,
    }


def operation_id(route: APIRoute) -> str:
    """The name of the route's function."""
    return route.name
