"""Undoes content codings: gzip, deflate (zlib or raw), br, zstd, alone or stacked, with a bound on output.

Truncated or corrupt input yields the prefix that can be decoded. No decompression bomb or stack of codings
costs more memory than the bound and the library's own window.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import IO, cast

import brotli  # type: ignore[import-untyped]
import zstandard

from agent.http.messages import Body, BodyState, Headers

MAX_CODINGS = 4
"""Content codings of one body; more are an attack or an error."""

_STEP = 16 * 1024
_ZSTD_WINDOW = 1 << 23  # RFC 9659: a zstd content coding must not need more than 8 MiB


class _Corrupt(Exception):
    """The bytes are invalid in this coding; what was decoded before stays valid."""


class _Unfinished(Exception):
    """The bytes end within the coding."""


Decoder = Callable[[Iterator[bytes]], Iterator[bytes]]


def decode(body: Body, headers: Headers, limit: int) -> Body:
    """`body` with its content codings undone, at most `limit` bytes; `size` stays the size on the wire.

    A prefix of a coded body gives the decodable prefix and keeps its state; output beyond `limit` is
    TRUNCATED; invalid bytes and unknown codings are UNDECODABLE.
    """
    codings = _codings(headers) if body.coded else []
    if not codings or not body.data:
        return body
    if len(codings) > MAX_CODINGS or any(coding not in _DECODERS for coding in codings):
        return replace(body, data=b"", state=BodyState.UNDECODABLE)
    pieces: Iterator[bytes] = (body.data[at : at + _STEP] for at in range(0, len(body.data), _STEP))
    for coding in reversed(codings):
        pieces = _DECODERS[coding](pieces)
    whole = body.state is BodyState.COMPLETE
    data, state = _bounded(pieces, limit, whole)
    return replace(body, data=data, state=state if whole or state is BodyState.UNDECODABLE else body.state)


def _bounded(pieces: Iterator[bytes], limit: int, whole: bool) -> tuple[bytes, BodyState]:
    """At most `limit` decoded bytes; `whole` is false if the input is only a prefix."""
    out = bytearray()
    try:
        for piece in pieces:
            room = limit - len(out)
            out += piece[:room]
            if len(piece) > room:
                return bytes(out), BodyState.TRUNCATED
    except _Corrupt:
        return bytes(out), BodyState.UNDECODABLE
    except _Unfinished:
        return bytes(out), BodyState.UNDECODABLE if whole else BodyState.COMPLETE
    return bytes(out), BodyState.COMPLETE


def _codings(headers: Headers) -> list[bytes]:
    """Content-Encoding's values in the order they were applied (RFC 9110 section 8.4)."""
    listed = b",".join([value for name, value in headers if name == b"content-encoding"])
    if not listed:
        return []
    names = [coding.strip().lower() for coding in listed.split(b",")]
    return [coding for coding in names if coding not in (b"", b"identity")]


def _gzip(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """A sequence of members (RFC 1952 section 2.2); zeros after the last one are padding."""
    member = zlib.decompressobj(zlib.MAX_WBITS | 16)
    for piece in pieces:
        while piece:
            if member.eof:
                piece = piece.lstrip(b"\0")
                if not piece:
                    break
                member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            yield from _inflate(member, piece)
            piece = member.unused_data
    if not member.eof:
        raise _Unfinished


def _deflate(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The zlib format, or raw deflate as some servers send it (RFC 9110 section 8.4.1.2)."""
    first = next(pieces, b"")
    zlib_header = len(first) < 2 or (first[0] & 0x0F == 8 and int.from_bytes(first[:2], "big") % 31 == 0)
    stream = zlib.decompressobj(zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS)
    yield from _inflate(stream, first)
    for piece in pieces:
        yield from _inflate(stream, piece)
    if not stream.eof:
        raise _Unfinished


def _inflate(stream: zlib._Decompress, piece: bytes) -> Iterator[bytes]:
    try:
        while piece and not stream.eof:
            yield stream.decompress(piece, _STEP)
            piece = stream.unconsumed_tail
        while not stream.eof and (rest := stream.decompress(b"", _STEP)):
            yield rest
    except zlib.error as error:
        raise _Corrupt from error


def _br(pieces: Iterator[bytes]) -> Iterator[bytes]:
    stream = brotli.Decompressor()
    try:
        for piece in pieces:
            if stream.is_finished():
                return
            out = stream.process(piece, output_buffer_limit=_STEP)
            while out or not stream.can_accept_more_data():  # it may accept more input and still have output
                yield out
                if stream.is_finished():
                    break
                out = stream.process(b"", output_buffer_limit=_STEP)
        if not stream.is_finished():
            raise _Unfinished
    except brotli.error as error:
        raise _Corrupt from error


def _zstd(pieces: Iterator[bytes]) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    with decompressor.stream_reader(cast(IO[bytes], _File(pieces)), read_across_frames=True) as stream:
        try:
            while piece := stream.read(_STEP):
                yield piece
        except zstandard.ZstdError as error:
            raise _Corrupt from error


class _File:
    """A file object over pieces, for zstandard to read from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def read(self, size: int) -> bytes:
        """The next piece, whatever size is requested; empty at the end."""
        return next((piece for piece in self._pieces if piece), b"")


_DECODERS: dict[bytes, Decoder] = {
    b"gzip": _gzip,
    b"x-gzip": _gzip,
    b"deflate": _deflate,
    b"br": _br,
    b"zstd": _zstd,
}
