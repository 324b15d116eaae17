"""multipart/form-data (RFC 7578): fields masked by name and text, files replaced, other headers masked."""

from __future__ import annotations

import re

from agent.redact import labels, placeholders
from agent.redact.forms import Cut, decoded
from agent.redact.json_walk import Masked
from agent.redact.text import TextMasker

MAX_PARTS = 1000  # further ones are left out
MAX_PART_HEADER = 32  # bytes of the name of another header of a part

_PART_HEADERS = frozenset((b"content-disposition", b"content-type", b"content-transfer-encoding"))
_DISPOSITION = re.compile(rb"(?i)^content-disposition:([^\r\n]*)", re.MULTILINE)
_NAME = re.compile(rb'(?i);[ \t]*name=(?:"((?:[^"\\\r\n]|\\.)*)"?|([^;\r\n]*))')
_ESCAPE = re.compile(rb"\\(.)")
_FILE = re.compile(rb"(?i)^content-disposition:[^\r\n]*?;[ \t]*filename\*?=", re.MULTILINE)
_FILE_NAME = re.compile(rb'(?i)(;[ \t]*filename\*?=)("(?:[^"\\\r\n]|\\.)*"|[^;\r\n]*)')


def mask(raw: bytes, boundary: bytes, masker: TextMasker, masked: Masked) -> Cut:
    """The masked form; a part without its end is left out. `masked` is called with the field's name."""
    delimiter = b"\r\n--" + boundary
    preamble, *pieces = (b"\r\n" + raw).split(delimiter, MAX_PARTS + 1)
    if not pieces:
        return Cut(b"", len(raw))
    end = pieces.pop()
    close = end[: 4 if end.startswith(b"--\r\n") else 2] if end.startswith(b"--") else b""
    parts = [_Part(piece) for piece in pieces]
    rules = labels.beside([(part.name, part.start) for part in parts], masker.names, masker.keys)
    shown = [part.masked(masker, masked, rule) for part, rule in zip(parts, rules, strict=True)]
    left_out = len(preamble) + len(end) - len(close)
    return Cut(delimiter.join([b"", *shown, close])[2:] if shown or close else b"", left_out)


class _Part:
    """One field or file. Parsers differ on which of several names in its header is valid, so any may be."""

    def __init__(self, piece: bytes) -> None:
        self._head, self._blank, self._content = piece.partition(b"\r\n\r\n")
        lines = _DISPOSITION.findall(self._head)
        found = [quoted or plain for line in lines for quoted, plain in _NAME.findall(line)]
        self._names = [decoded(_ESCAPE.sub(rb"\1", name)) for name in found]

    @property
    def name(self) -> str:
        return self._names[0] if self._names else ""

    @property
    def start(self) -> str:
        """The start of the content, as long as a name may be."""
        return self._content[: labels.MAX_LABEL].decode("utf-8", "replace")

    def masked(self, masker: TextMasker, masked: Masked, rule: str | None) -> bytes:
        """The masked part; `rule`, if given, masks all of it."""
        shown = masker.name(self.name)[0]
        odd = next(filter(None, (masker.name(name)[1] for name in self._names)), None)
        if not self._blank or not self._names or odd is not None:
            masked(shown, odd or "malformed")
            return b"\r\n\r\n" + placeholders.of_bytes(len(self._content))
        head = _masked_head(self._head, masker)
        if _FILE.search(self._head):
            masked(self.name, "file")
            return head + self._blank + placeholders.of_bytes(len(self._content))
        by_name = next(filter(None, map(masker.names.rule, self._names)), rule)
        new, rule = _masked_field(self._content, masker, by_name)
        if rule is not None or head != self._head:
            masked(self.name, rule or "header")
        return head + self._blank + new


def _masked_head(head: bytes, masker: TextMasker) -> bytes:
    """The part's header lines: those not about the form are masked like any header."""
    lines = _FILE_NAME.sub(rb'\1"redacted"', head).split(b"\r\n")
    for i, line in enumerate(lines):
        name, colon, value = line.partition(b":")
        if name.lower() in _PART_HEADERS:
            text, rule = masker.text(value.decode("latin-1"))
            lines[i] = line if rule is None else name + colon + text.encode("latin-1", "replace")
        elif line:
            lines[i] = name[:MAX_PART_HEADER] + colon + placeholders.of_bytes(len(value))
    return b"\r\n".join(lines)


def _masked_field(content: bytes, masker: TextMasker, rule: str | None) -> tuple[bytes, str | None]:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return placeholders.of_bytes(len(content)), rule or "binary"
    if rule is not None:
        return placeholders.of_text(text).encode(), rule if text else None
    new, rule = masker.text(text)
    return content if rule is None else new.encode("utf-8", "replace"), rule
