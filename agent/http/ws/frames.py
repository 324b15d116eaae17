"""The frames of one half of a WebSocket connection (RFC 6455 section 5), counted as they pass.

| state   | bytes                                      | gap                                 |
|---------|--------------------------------------------|-------------------------------------|
| HEADER  | a header, perhaps in pieces: PAYLOAD       | SEARCH                              |
|         | what such an end cannot send: SEARCH       |                                     |
| PAYLOAD | its last byte: HEADER; of a Close frame:   | within: PAYLOAD; its last byte: as  |
|         | OVER                                       | if it was seen; beyond: SEARCH      |
| SEARCH  | a segment of whole frames: HEADER          | SEARCH                              |
|         | any other segment: SEARCH                  |                                     |
| OVER    | OVER: what follows is no frame             | OVER                                |

A header is short, and nearly any two bytes could be one. So after a loss a segment (one call of the
application) is trusted only if it is frames from its first byte to its last, each as this end must send it;
most programs write so. Until then bytes are `unseen`, and the counts are of what was seen. A client masks
every frame, a server none.
"""

from __future__ import annotations

from agent.frozen import dataclass
from agent.http.messages import WebSocketCounts
from agent.http.ws.texts import Texts

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NO_STATUS = 1005  # a Close frame without a code (section 7.1.5)

MAX_HEADER = 14  # bytes: two, a length of eight, a key
_OPCODES = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))
_FIN, _RESERVED, _COMPRESSED, _OPCODE = 0x80, 0x70, 0x40, 0x0F
_MASKED, _LENGTH = 0x80, 0x7F
_MOST_CONTROL = 125


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """A frame's header. `first` is its first byte, `key` empty without masking; `size` and `length` are bytes
    of it and of the payload.
    """

    first: int
    key: bytes
    size: int
    length: int


@dataclass(frozen=True, slots=True)
class Close:
    """The Close frame of a half."""

    time_ns: int
    code: int


class WebSocketReader:
    """`masked`: the half is the client's. `extended`: an extension was agreed on, so that reserved bits have
    a meaning. `texts` is how many bytes of JSON texts are kept.
    """

    __slots__ = (
        *(
            "_binary",
            "_bytes",
            "_closing",
            "_coded",
            "_compressed",
            "_extended",
            "_frames",
            "_header",
            "_key",
            "_kind",
        ),
        *("_last", "_left", "_masked", "_opcode", "_phase", "_pings", "_pongs", "_searching", "_text"),
        *("_unseen", "close", "last_ns", "passed", "texts"),
    )

    def __init__(self, masked: bool, extended: bool, texts: int = 0) -> None:
        self._masked, self._extended = masked, extended
        self.texts = Texts(texts) if texts else None
        self.close: Close | None = None
        self.last_ns: int | None = None  # of the last frame's last byte
        self.passed = 0  # bytes since the last frame that were none
        self._header = b""
        self._searching = False
        self._left = 0  # bytes of the payload
        self._opcode = 0
        self._last = False  # whether it ends its message
        self._key = b""
        self._phase = 0  # of the key
        self._kind = 0  # of the message that is open: TEXT, BINARY, or 0
        self._coded = False  # whether that is compressed
        self._closing = b""  # the first bytes of a Close frame's payload
        self._frames = self._text = self._binary = self._pings = self._pongs = 0
        self._compressed = self._bytes = self._unseen = 0

    @property
    def held(self) -> int:
        """Bytes of memory, roughly."""
        return 0 if self.texts is None else self.texts.held

    @property
    def facts(self) -> WebSocketCounts:
        """What has passed so far."""
        return WebSocketCounts(
            frames=self._frames,
            text=self._text,
            binary=self._binary,
            pings=self._pings,
            pongs=self._pongs,
            compressed=self._compressed,
            bytes=self._bytes,
            unseen=self._unseen,
        )

    @property
    def exact(self) -> bool:
        """Whether every byte was read."""
        return not self._unseen

    def feed(self, data: bytes, time_ns: int) -> int:
        """Reads a segment. Returns how many of its bytes are frames; those after a Close frame are none."""
        if self._searching and not self._found(data):
            self._unseen += len(data)
            self.passed += len(data)
            return 0
        at, size = 0, len(data)
        while at < size and self.close is None:
            if self._left:
                at = self._payload(data, at, time_ns)
                continue
            begun = self._header
            header = parse(begun + data[at : at + MAX_HEADER], 0) if begun else parse(data, at)
            if header is None:
                self._header += data[at:]
                return size
            at += header.size - len(begun)
            self._header = b""
            if not self._legal(header):
                self._lose(size - at + header.size)
                return max(0, at - header.size)
            self._begin(header, time_ns)
        return at

    def skip(self, length: int, time_ns: int) -> None:
        """Records that the next bytes are missing."""
        if self.close is not None:
            return
        if self._searching or length > self._left or self._opcode == CLOSE or not length:
            within = min(length, self._left) if self._opcode < CLOSE else 0
            self._bytes += within
            self._lose(length - within)
            return
        if self.texts is not None and self._opcode < CLOSE:
            self.texts.lose()
        self._bytes += length
        self._left -= length
        self._phase += length
        if not self._left:
            self._ended(time_ns)

    def _found(self, data: bytes) -> bool:
        """Whether a segment is whole frames."""
        at = 0
        while at < len(data):
            header = parse(data, at)
            if header is None or not self._legal(header) or not _is_short(header):
                return False
            at += header.size + header.length
        self._searching = at != len(data)
        return not self._searching

    def _legal(self, header: FrameHeader) -> bool:
        first = header.first
        opcode = first & _OPCODE
        if opcode not in _OPCODES or bool(header.key) is not self._masked or header.length >> 63:
            return False
        if first & _RESERVED and not self._extended:
            return False
        return opcode < CLOSE or (first & _FIN != 0 and header.length <= _MOST_CONTROL)

    def _lose(self, unseen: int) -> None:
        self._unseen += unseen
        self.passed += unseen
        self._searching = True
        self._header = b""
        self._left = self._kind = 0
        if self.texts is not None:
            self.texts.lose()

    def _begin(self, header: FrameHeader, time_ns: int) -> None:
        self.passed = 0
        self._opcode = opcode = header.first & _OPCODE
        self._last = header.first & _FIN != 0
        self._key, self._phase = header.key, 0
        self._left = header.length
        if opcode in (TEXT, BINARY):
            self._kind = opcode
            self._coded = header.first & _COMPRESSED != 0
            if self.texts is not None:
                self.texts.begin(opcode == TEXT, self._coded)
        elif opcode == CLOSE:
            self._closing = b""
        if not self._left:
            self._ended(time_ns)

    def _payload(self, data: bytes, at: int, time_ns: int) -> int:
        end = min(at + self._left, len(data))
        opcode, texts = self._opcode, self.texts
        if opcode == CLOSE:
            self._closing += unmasked(data[at : min(end, at + 2)], self._key, self._phase)
        elif texts is not None and opcode < CLOSE and texts.wants:
            texts.add(unmasked(data[at:end], self._key, self._phase))
        self._phase += end - at
        self._bytes += end - at
        self._left -= end - at
        if not self._left:
            self._ended(time_ns)
        return end

    def _ended(self, time_ns: int) -> None:
        """The frame is over."""
        self._frames += 1
        self.last_ns = time_ns
        opcode = self._opcode
        if opcode < CLOSE:
            if self._last:
                self._message_ended(time_ns)
        elif opcode == PING:
            self._pings += 1
        elif opcode == PONG:
            self._pongs += 1
        else:
            code = int.from_bytes(self._closing[:2], "big") if len(self._closing) >= 2 else NO_STATUS
            self.close = Close(time_ns, code)

    def _message_ended(self, time_ns: int) -> None:
        self._text += self._kind == TEXT
        self._binary += self._kind == BINARY
        self._compressed += self._coded and self._kind != 0
        self._kind = 0
        if self.texts is not None:
            self.texts.end(time_ns)


def parse(data: bytes, at: int) -> FrameHeader | None:
    """The header at `at`; None if it is not whole."""
    have = len(data) - at
    if have < 2:
        return None
    second = data[at + 1]
    length, size = second & _LENGTH, 2
    if length > _MOST_CONTROL:
        size = 4 if length == 126 else 10
        if have < size:
            return None
        length = int.from_bytes(data[at + 2 : at + size], "big")
    key = b""
    if second & _MASKED:
        key = data[at + size : at + size + 4]
        size += 4
        if have < size:
            return None
    return FrameHeader(data[at], key, size, length)


def _is_short(header: FrameHeader) -> bool:
    """Whether the length is in its shortest form, as it must be (section 5.2)."""
    extended = header.size - 2 - len(header.key)
    least = {0: 0, 2: 126, 8: 1 << 16}[extended]
    return header.length >= least


def unmasked(data: bytes, key: bytes, phase: int) -> bytes:
    """The payload's bytes; the first is masked by the key's byte at `phase` (section 5.3)."""
    if not key:
        return data
    size = len(data)
    at = phase % 4
    pad = (key[at:] + key[:at]) * (size // 4 + 1)
    mixed = int.from_bytes(data, "big") ^ int.from_bytes(pad[:size], "big")
    return mixed.to_bytes(size, "big")
