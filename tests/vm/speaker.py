"""A process that exchanges messages with itself over TLS: `speaker.py CERTIFICATE KEY CONNECTIONS EXCHANGES`.

It waits for a line on standard input. Its exit status is 0 if it received what it sent.
"""

from __future__ import annotations

import os
import socket
import ssl
import sys
import threading

from tests.vm import speech


def serve(listener: socket.socket, context: ssl.SSLContext, connections: int, exchanges: int) -> None:
    for _ in range(connections):
        connection, _ = listener.accept()
        with context.wrap_socket(connection, server_side=True) as talk:
            for number in range(exchanges):
                if receive(talk, len(speech.request(os.getpid(), number))):
                    talk.sendall(speech.answer(os.getpid(), number))


def receive(talk: ssl.SSLSocket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        piece = talk.recv(size - len(received))
        if not piece:
            raise EOFError("the other end is gone")
        received += piece
    return received


def call(address: tuple[str, int], context: ssl.SSLContext, exchanges: int) -> None:
    with context.wrap_socket(socket.create_connection(address)) as talk:
        for number in range(exchanges):
            talk.sendall(speech.request(os.getpid(), number))
            expected = speech.answer(os.getpid(), number)
            if receive(talk, len(expected)) != expected:
                raise ValueError(f"exchange {number} was answered wrongly")


def main() -> None:
    certificate, key = sys.argv[1:3]
    connections, exchanges = map(int, sys.argv[3:5])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sys.stdin.readline()
        serving = threading.Thread(target=serve, args=(listener, server, connections, exchanges), daemon=True)
        serving.start()
        for _ in range(connections):
            call(listener.getsockname(), client, exchanges)
        serving.join()


if __name__ == "__main__":
    main()
