"""A specification from the form on an API's page (multipart/form-data), bounded in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from server.api.bodies import bounded_body
from server.api.bundles import MAX_SPEC
from server.api.errors import Problem

FRAMING = 64 * 1024  # bytes of a form that are not the file


@dataclass(frozen=True, slots=True)
class Uploaded:
    """`beside`: existing specifications stay."""

    document: bytes
    beside: bool


async def uploaded(request: Request) -> Uploaded:
    """The upload in a request's form. Raises Problem."""
    raw = await bounded_body(request, MAX_SPEC + FRAMING)
    try:
        form = await MultiPartParser(request.headers, _stream(raw), max_files=1, max_fields=1).parse()
    except (MultiPartException, KeyError):
        raise Problem(HTTPStatus.BAD_REQUEST, "Unexpected form submission.") from None
    try:
        document = form.get("document")
        if not isinstance(document, UploadFile) or not document.size:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "Choose a file first: OpenAPI 3 or Swagger 2.0, YAML or JSON.",
            )
        return Uploaded(await document.read(), "beside" in form)
    finally:
        await form.close()


async def _stream(raw: bytes) -> AsyncGenerator[bytes, None]:
    yield raw
