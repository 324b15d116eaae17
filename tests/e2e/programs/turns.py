"""An echo server of which a second process answers every third call, on the socket of the first one.

The second process is there before the port is printed: it is the only child. It is passed each socket
(SCM_RIGHTS), and answers one call of it when told to by a byte.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

from tests.e2e.programs.echo import Conversation, Log

OWN_TURNS = 2  # of three


def answer_one(connection: socket.socket, talk: Conversation) -> bool:
    """Answers a call; false if there is none any more."""
    while data := connection.recv(65536):
        for message, answer in talk.feed(data):
            connection.sendall(answer.wire)
            talk.sent(message, answer)
            return True
    return False


def help_out(first: socket.socket, log: Log) -> None:
    """The second process: has at most one connection at a time."""
    while True:
        data, descriptors, _, _ = socket.recv_fds(first, 1, 1)
        if not data:
            return
        with socket.socket(fileno=descriptors[0]) as connection:
            answer_one(connection, Conversation(log, (), None, None))
        first.sendall(b".")


def serve(listener: socket.socket, second: socket.socket, log: Log) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            talk, calls = Conversation(log, (), None, None), 0
            while answer_one(connection, talk):
                calls += 1
                if calls % OWN_TURNS == 0:
                    socket.send_fds(second, [b"."], [connection.fileno()])
                    second.recv(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path, required=True)
    log = Log(parser.parse_args().log)
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        ours.close()
        help_out(theirs, log)
        return
    theirs.close()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        serve(listener, ours, log)


if __name__ == "__main__":
    main()
