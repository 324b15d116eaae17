"""Searches for a secret in every form: plain, in pieces, encoded, or compressed in a database.

The canary test relies on `found_in`, so it has its own tests (test_needles.py).
"""

from __future__ import annotations

import base64
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from urllib.parse import quote

import zstandard

PIECE = 12  # characters of a secret that are found even without the rest
DEPTH = 3  # maximum depth of nested compression
SQLITE_HEAD = b"SQLite format 3\0"


def _windows(secret: bytes) -> set[bytes]:
    if len(secret) <= PIECE:
        return {secret}
    return {secret[at : at + PIECE] for at in range(len(secret) - PIECE + 1)}


def _base64_forms(secret: bytes) -> Iterator[bytes]:
    """The characters that base64 of any text around the secret must contain, per alignment."""
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + secret)
        first = {0: 0, 1: 2, 2: 3}[shift]
        whole = text.rstrip(b"=")[first:]
        inner = whole[:-2] if (shift + len(secret)) % 3 else whole
        yield inner
        yield inner.replace(b"+", b"-").replace(b"/", b"_")


def needles(secret: bytes) -> dict[bytes, str]:
    """All forms that reveal the secret, lower-cased, with their names."""
    escaped = "".join(f"%{byte:02x}" for byte in secret).encode()
    forms = {piece.lower(): "as it is" for piece in _windows(secret)}
    forms.update({form.lower(): "base64" for form in _base64_forms(secret)})
    forms[escaped] = "percent-encoded"
    forms[quote(secret, safe="").lower().encode()] = "percent-encoded where needed"
    forms[quote(quote(secret, safe=""), safe="").lower().encode()] = "percent-encoded twice"
    forms["".join(f"\\u{byte:04x}" for byte in secret).encode()] = "JSON-escaped"
    forms[secret.hex().encode()] = "hex"
    forms[secret[::-1].lower()] = "backwards"
    return forms


def found_in(secrets: dict[str, bytes], places: dict[str, bytes]) -> list[str]:
    """A sentence for each place that contains a secret in any form."""
    found = []
    haystacks = [(place, text.lower()) for place, data in places.items() for text in layers(data)]
    for name, secret in secrets.items():
        forms = needles(secret)
        for place, text in haystacks:
            form = next((kind for needle, kind in forms.items() if needle in text), None)
            if form is not None:
                found.append(f"{name} is in {place}, {form}")
    return sorted(set(found))


def layers(data: bytes, depth: int = DEPTH) -> Iterator[bytes]:
    """The data, and its content where it is compressed or a database."""
    yield data
    if depth == 0:
        return
    for inner in (*_cells(data), *_uncompressed(data)):
        yield from layers(inner, depth - 1)


def _uncompressed(data: bytes) -> Iterator[bytes]:
    if data[:4] == zstandard.FRAME_HEADER:
        yield zstandard.ZstdDecompressor().decompressobj().decompress(data)
    elif data[:2] in (b"\x1f\x8b", b"\x78\x01", b"\x78\x9c", b"\x78\xda"):
        try:
            yield zlib.decompressobj(wbits=47).decompress(data)
        except zlib.error:
            return


def _cells(data: bytes) -> Iterator[bytes]:
    """All texts and blobs of a SQLite database, given as its file's bytes (without journals)."""
    if not data.startswith(SQLITE_HEAD):
        return
    database = sqlite3.connect(":memory:")
    try:
        # Bytes 18 and 19 of the header require a WAL, which an image in memory cannot have.
        database.deserialize(data[:18] + b"\1\1" + data[20:])
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"'):
                for cell in row:
                    if isinstance(cell, (str, bytes)):
                        yield cell.encode("utf-8", "surrogateescape") if isinstance(cell, str) else cell
    finally:
        database.close()


def database_images(folder: Path) -> dict[str, bytes]:
    """Each database below `folder` with its journal applied, read from a copy: the agent's spool is locked
    while the agent runs. A copy that a writer tore is repeated.
    """
    images = {}
    for path in folder.rglob("*"):
        if path.is_file() and path.read_bytes().startswith(SQLITE_HEAD):
            images[f"{path.name} (rows)"] = _image(path)
    return images


def _image(path: Path, tries: int = 20) -> bytes:
    with TemporaryDirectory() as scratch:
        copied = Path(scratch) / "copy"
        for suffix in ("", "-wal"):
            beside = path.with_name(path.name + suffix)
            if beside.exists():
                copyfile(beside, copied.with_name(copied.name + suffix))
        source, image = sqlite3.connect(copied), sqlite3.connect(":memory:")
        try:
            source.backup(image)
            return image.serialize()
        except sqlite3.DatabaseError:
            if tries == 0:
                raise
        finally:
            source.close()
            image.close()
    return _image(path, tries - 1)


def files(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` unchanged, including journals and deleted rows."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
