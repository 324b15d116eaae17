"""gRPC over HTTP/2, as far as needed to count the messages in each direction.

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
    """Counts messages in one direction of a stream, whatever the pieces."""

    __slots__ = ("_left", "_prefix", "count")

    def __init__(self) -> None:
        self.count = 0
        self._prefix = b""
        self._left = 0

    def skip(self, length: int) -> bool:
        """Skips missing bytes. False if more than part of one message is missing, so that none can be counted
        any more.
        """
        if length > self._left:
            return False
        self._left -= length
        self.count += bool(length and not self._left)
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
                self._left = int.from_bytes(self._prefix[1:], "big")
                self._prefix = b""
            if not self._left:
                self.count += not self._prefix
