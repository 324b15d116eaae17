"""Uploaded specifications: one document, or several files as an archive or a form's parts."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import AsyncGenerator, Mapping
from http import HTTPStatus

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from server.analysis.specs.document.bundle import MAX_FILES, bundle, from_memory
from server.analysis.specs.document.media import MULTIPART, essence
from server.analysis.specs.document.text import MAX_BYTES
from server.api.bodies import bounded_body
from server.api.errors import Problem
from server.services.sent import Sent

MEDIA_TYPES = ("application/yaml", "application/json", "application/zip", "multipart/form-data")
BODY: dict[str, object] = {"requestBody": {"required": True, "content": {kind: {} for kind in MEDIA_TYPES}}}
"""The request body of routes that accept a specification, for the API's own document."""
MAX_SPEC = MAX_BYTES + 1024 * 1024  # bytes, of all files together, and what a form adds to them
ARCHIVES = frozenset({"application/zip", "application/x-zip-compressed"})
METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""The methods for which `zipfile` unpacks only the requested bytes; for bzip2 and LZMA it unpacks everything
read.
"""
ENTRY = b"PK\x01\x02"  # starts each entry of an archive's directory (APPNOTE.TXT 4.3.12)
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    IndexError,
    OSError,
    OverflowError,
    RuntimeError,  # encrypted
    ValueError,  # an offset before the archive's start
)
"""Exceptions of `zipfile` for damaged or unreadable archives."""
ROOTS = frozenset(f"{name}.{end}" for name in ("openapi", "swagger") for end in ("yaml", "yml", "json"))


async def sent(request: Request, root: str | None) -> Sent:
    """The document in a request's body; `root` is its root file. Raises Problem, SpecError."""
    raw = await bounded_body(request, MAX_SPEC)
    kind = essence(request.headers.get("content-type", ""))
    if kind in ARCHIVES:
        files = await run_in_threadpool(unzipped, raw)
    elif kind == MULTIPART:
        files = await _parts(request, raw)
    else:
        return Sent(raw)
    return await run_in_threadpool(together, files, root)


def together(files: Mapping[str, bytes], root: str | None) -> Sent:
    """One document of several files. Raises Problem, SpecError."""
    bundled = bundle(root or root_of(files), from_memory(files))
    return Sent(json.dumps(bundled.document, ensure_ascii=False).encode(), bundled)


def root_of(files: Mapping[str, bytes]) -> str:
    """The root file: the one with a usual name, nearest to the top; or the only one. Raises Problem."""
    named = sorted((path.count("/"), path) for path in files if path.rpartition("/")[2].lower() in ROOTS)
    if named and (len(named) == 1 or named[0][0] < named[1][0]):
        return named[0][1]
    if len(files) == 1:
        return next(iter(files))
    raise Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "which file does it begin in? Say root=, such as openapi.yaml"
    )


def unzipped(raw: bytes) -> dict[str, bytes]:
    """The files of an archive, by path. Raises Problem."""
    if raw.count(ENTRY) > MAX_FILES:  # checked before a large directory becomes objects
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MAX_FILES} files")
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            return _contents(archive, [entry for entry in archive.infolist() if not entry.is_dir()])
    except DAMAGED:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "not a zip archive that can be read") from None


def _contents(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    left = MAX_SPEC
    for entry in entries:
        if entry.compress_type not in METHODS:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "the archive's files must be stored or deflated: zip -Z deflate",
            )
        with archive.open(entry) as file:
            content = file.read(left + 1)
        left -= len(content)
        if left < 0:
            told = f"the files are larger than {MAX_SPEC // 2**20} MiB together"
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, told)
        files[entry.filename] = content
    return files


async def _parts(request: Request, raw: bytes) -> dict[str, bytes]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield raw

    try:
        form = await MultiPartParser(request.headers, stream(), max_files=MAX_FILES, max_fields=0).parse()
    except (MultiPartException, KeyError):
        raise Problem(HTTPStatus.BAD_REQUEST, "not a form of files only") from None
    try:
        return {
            part.filename: await part.read()
            for _, part in form.multi_items()
            if isinstance(part, UploadFile) and part.filename
        }
    finally:
        await form.close()
