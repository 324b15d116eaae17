"""gRPC over HTTP/2, as far as needed to count and measure the messages in each direction.

A message is one byte of compression flag, four of length, and the content (gRPC's PROTOCOL-HTTP2 document);
the content is not read.
"""

from __future__ import annotations

from agent.http.messages import Headers

PREFIX = 5


def is_grpc(headers: Headers) -> bool:
    """Whether the content type is gRPC's."""
    kind = next((value for name, value in headers if name == b"content-type"), b"")
    return kind.startswith(b"application/grpc") and not kind.startswith(b"application/grpc-web")


class MessageCounter:
    """Counts messages in one direction of a stream, whatever the pieces. `bytes` is the content of all of
    them, `largest` that of the largest, as sent (perhaps compressed); both without the prefix.
    """

    __slots__ = ("_left", "_prefix", "_size", "bytes", "count", "largest")

    def __init__(self) -> None:
        self.count = 0
        self.bytes = 0
        self.largest = 0
        self._size = 0  # of the message that is being read
        self._prefix = b""
        self._left = 0

    def skip(self, length: int) -> bool:
        """Skips missing bytes. False if more than part of one message is missing, so that none can be counted
        any more.
        """
        if length > self._left:
            return False
        self._left -= length
        if length and not self._left:
            self._ended()
        return True

    def feed(self, data: bytes) -> None:
        """Reads the next bytes; a message counts once its last byte has arrived."""
        at = 0
        while at < len(data):
            if self._left:
                take = min(self._left, len(data) - at)
                self._left -= take
                at += take
            else:
                take = PREFIX - len(self._prefix)
                self._prefix += data[at : at + take]
                at += take
                if len(self._prefix) < PREFIX:
                    return
                self._left = self._size = int.from_bytes(self._prefix[1:], "big")
                self._prefix = b""
            if not self._left and not self._prefix:
                self._ended()

    def _ended(self) -> None:
        self.count += 1
        self.bytes += self._size
        self.largest = max(self.largest, self._size)
