"""Both listeners send each answer in one piece."""

from __future__ import annotations

import socket
from http.server import ThreadingHTTPServer

import pytest

from agent.listening import Answers, Listener, Listening

HELLO = Listening("hello", "say hello", "--hello", 1)


class Hello(Answers):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(200, "text/plain", b"hello\n")


def test_an_answer_is_one_write() -> None:
    """On a socket that keeps writes apart, each message is one."""
    listener = Listener(("127.0.0.1", 0), Hello, HELLO)
    client, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with client, server:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        Hello(server, ("here", 0), listener)
        answer = client.recv(4096)
    listener.close()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\nhello\n")


def test_a_connection_for_which_no_thread_can_start_leaves_room_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_thread(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    listener = Listener(("127.0.0.1", 0), Hello, HELLO)
    monkeypatch.setattr(ThreadingHTTPServer, "process_request", no_thread)
    with socket.socket() as client:
        for _ in range(2):
            with pytest.raises(RuntimeError):
                listener.process_request(client, ("here", 0))
    listener.close()
