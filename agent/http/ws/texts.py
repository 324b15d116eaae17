"""The JSON texts of one half of a WebSocket connection, kept up to a bound.

A text message that looks like JSON is kept if all of it was captured and it fits. Compressed messages (RFC
7692) go through one decompressor, since each may refer to those before it; what comes out counts against the
bound even if it is not kept, so that neither a bomb nor a long connection costs more than that. After a
compressed message with missing bytes none is decompressed any more.
"""

from __future__ import annotations

import zlib

MOST_TEXTS = 100
"""Kept of one half."""

DECOMPRESSOR_BYTES = 48 * 1024
"""Memory of one, roughly: a window of 32 KiB, tables and the object."""

_SYNC = b"\0\0\xff\xff"  # ends each message, and is not sent (RFC 7692 section 7.2.1)
_JSON = (b"{", b"[")
_INDENT = 64  # bytes of white space before JSON


class Texts:
    """`kept` are the texts so far, each with the time of its last byte. `most` is how many bytes may be
    kept, or come out of the decompressor.
    """

    __slots__ = ("_compressed", "_content", "_inflatable", "_inflate", "_is_text", "_room", "kept")

    def __init__(self, most: int) -> None:
        self.kept: list[tuple[int, bytes]] = []
        self._room = most
        self._content: bytearray | None = None  # of the current message, if it is wanted
        self._is_text = False
        self._compressed = False
        self._inflatable = True
        self._inflate: zlib._Decompress | None = None

    @property
    def held(self) -> int:
        """Bytes of memory, roughly."""
        content = 0 if self._content is None else len(self._content)
        inflate = 0 if self._inflate is None else DECOMPRESSOR_BYTES
        return content + inflate + sum(len(text) for _, text in self.kept)

    @property
    def wants(self) -> bool:
        """Whether the rest of the current message is to be added."""
        return self._content is not None

    def begin(self, is_text: bool, compressed: bool) -> None:
        """Begins a message."""
        self.lose()
        self._is_text, self._compressed = is_text, compressed
        if self._room and (self._inflatable if compressed else is_text):
            self._content = bytearray()

    def add(self, data: bytes) -> None:
        """Adds the next bytes of the message, unmasked."""
        content = self._content
        if content is None:
            return
        content += data
        if len(content) > self._room or not (self._compressed or _may_be_json(content)):
            self.lose()

    def lose(self) -> None:
        """Gives up the current message: bytes are missing, or too many."""
        if self._content is not None and self._compressed:
            self._stop_inflating()
        self._content = None

    def end(self, time_ns: int) -> None:
        """The message is over."""
        content, self._content = self._content, None
        if content is None:
            return
        text = self._inflated(bytes(content)) if self._compressed else bytes(content)
        if text is None:
            return
        if self._is_text and text.lstrip()[:1] in _JSON:
            self.kept.append((time_ns, text))
        elif not self._compressed:
            return
        self._room = 0 if len(self.kept) >= MOST_TEXTS else self._room - len(text)
        if not self._room:
            self._stop_inflating()

    def _inflated(self, content: bytes) -> bytes | None:
        """The message, decompressed; None if it is too long, or cannot be."""
        if self._inflate is None:
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        inflate = self._inflate
        try:
            text = inflate.decompress(content + _SYNC, self._room)
        except zlib.error:
            self._stop_inflating()
            return None
        if inflate.unconsumed_tail or inflate.eof:
            self._stop_inflating()
            return None
        return text

    def _stop_inflating(self) -> None:
        self._inflatable, self._inflate = False, None


def _may_be_json(start: bytearray) -> bool:
    first = start[:_INDENT].lstrip()[:1]
    return bytes(first) in _JSON or (not first and len(start) < _INDENT)
