"""Reading the body of one message by its framing (RFC 9112 section 6.3).

| framing         | bytes                                   | gap                          | end        |
|-----------------|-----------------------------------------|------------------------------|------------|
| Content-Length  | of the body, as many as are left        | of the body, as many as left | incomplete |
| chunked         | h11 reads them; malformed: framing lost | framing lost                 | incomplete |
| until the close | all of the body                         | all of the body              | complete   |

A body of known length is counted here and not by h11, so that a gap inside it does not break the framing and
nothing has to be invented to fill it.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Protocol

import h11

from agent.http.h1.framing import Framing
from agent.http.h1.heads import reason
from agent.http.messages import Headers
from agent.http.payload import BodyAccumulator
from agent.streams.half import GapReason

_data_of = attrgetter("data")  # h11 calls it bytes, but it may be a bytearray


class BodyReader(Protocol):
    """`over`: the body has ended; `error`: the bytes are malformed; `until_close`: the body ends with the
    connection.
    """

    @property
    def over(self) -> bool: ...

    @property
    def trailers(self) -> Headers: ...

    @property
    def error(self) -> str | None: ...

    @property
    def until_close(self) -> bool: ...

    def read(self, data: bytes, at: int, payload: BodyAccumulator) -> int:
        """Adds the part of `data` from `at` on that belongs to the body to `payload`; returns where that
        ends.
        """
        ...

    def skip(self, length: int, why: GapReason, payload: BodyAccumulator) -> int | None:
        """Skips `length` missing bytes. Returns how many of them are beyond the body; None if the framing is
        lost.
        """
        ...


class CountedBody:
    """A body of which `left` bytes follow."""

    __slots__ = ("left", "over")
    trailers: Headers = ()
    error = None
    until_close = False

    def __init__(self, length: int) -> None:
        self.left = length
        self.over = False

    def read(self, data: bytes, at: int, payload: BodyAccumulator) -> int:
        """See `BodyReader`."""
        take = min(self.left, len(data) - at)
        payload.add(data if take == len(data) else data[at : at + take])
        self.left -= take
        self.over = not self.left
        return at + take

    def skip(self, length: int, why: GapReason, payload: BodyAccumulator) -> int | None:
        """See `BodyReader`."""
        inside = min(length, self.left)
        payload.skip(inside, why)
        self.left -= inside
        self.over = not self.left
        return length - inside


class UntilCloseBody:
    """All further bytes are the body."""

    __slots__ = ()
    trailers: Headers = ()
    error = None
    until_close = True
    over = False

    def read(self, data: bytes, at: int, payload: BodyAccumulator) -> int:
        """See `BodyReader`."""
        payload.add(data[at:])
        return len(data)

    def skip(self, length: int, why: GapReason, payload: BodyAccumulator) -> int | None:
        """See `BodyReader`."""
        payload.skip(length, why)
        return 0


class ChunkedBody:
    """A chunked body; `connection` has read the head."""

    __slots__ = ("_connection", "error", "over", "trailers")
    until_close = False

    def __init__(self, connection: h11.Connection) -> None:
        self._connection = connection
        self.over = False
        self.trailers: Headers = ()
        self.error: str | None = None

    def read(self, data: bytes, at: int, payload: BodyAccumulator) -> int:
        """See `BodyReader`."""
        connection = self._connection
        connection.receive_data(data[at:])
        try:
            while (event := connection.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Data):
                    payload.add(bytes(_data_of(event)))
                elif isinstance(event, h11.EndOfMessage):
                    self.over, self.trailers = True, tuple(event.headers)
                    return len(data) - len(connection.trailing_data[0])
        except h11.RemoteProtocolError as error:
            self.error = reason(error)
        return len(data)

    def skip(self, length: int, why: GapReason, payload: BodyAccumulator) -> int | None:
        """See `BodyReader`."""
        payload.skip(0, why)
        return None


def body_reader(framing: Framing, connection: h11.Connection | None) -> BodyReader | None:
    """The reader of a body; None if the message has none. `connection` is the h11 connection that has read
    the head.
    """
    if framing.chunked:
        assert connection is not None
        return ChunkedBody(connection)
    if framing.length is None:
        return UntilCloseBody()
    return CountedBody(framing.length) if framing.length else None
