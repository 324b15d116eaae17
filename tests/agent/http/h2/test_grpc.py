"""MessageCounter counts the messages of a gRPC stream, whatever its pieces and gaps."""

from __future__ import annotations

from agent.http.h2.grpc import MessageCounter


def counted(*pieces: bytes | int) -> int | None:
    """Counts messages; a number stands for that many missing bytes."""
    messages = MessageCounter()
    for piece in pieces:
        if isinstance(piece, bytes):
            messages.feed(piece)
        elif not messages.skip(piece):
            return None
    return messages.count


MESSAGE = b"\0\0\0\0\x0a" + b"0123456789"


def test_a_hole_within_one_message_loses_no_count() -> None:
    assert counted(MESSAGE[:7], 8, MESSAGE) == 2
    assert counted(MESSAGE[:7], 4, MESSAGE[11:], MESSAGE) == 2
    assert counted(MESSAGE, 0, MESSAGE) == 2


def test_a_hole_in_which_a_message_begins_loses_it() -> None:
    assert counted(MESSAGE, 1) is None
    assert counted(MESSAGE[:7], 9) is None
    assert counted(MESSAGE[:3], 2) is None
