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


def test_messages_are_measured_whatever_the_pieces() -> None:
    empty, large = bytes(5), b"\0\0\0\1\0" + b"x" * 256
    stream = MESSAGE + empty + large + MESSAGE
    for cut in range(len(stream)):
        messages = MessageCounter()
        messages.feed(stream[:cut])
        messages.feed(stream[cut:])
        assert (messages.count, messages.bytes, messages.largest) == (4, 276, 256)


def test_a_message_with_a_hole_has_its_size_and_one_that_is_cut_has_none() -> None:
    messages = MessageCounter()
    messages.feed(MESSAGE[:7])
    assert messages.skip(8)
    messages.feed(MESSAGE[:9])
    assert (messages.count, messages.bytes, messages.largest) == (1, 10, 10)
