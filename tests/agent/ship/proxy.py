"""A TCP proxy between agent and server that cuts, stalls or answers by itself."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto

PIECE = 4096
BUSY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy"
GARBAGE = b"\x00\xffthis is not HTTP\r\n\r\n" * 50
PORTAL = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\nconnection: close\r\n\r\nlogin!"


class Weather(Enum):
    FAIR = auto()
    CUT_REQUEST = auto()  # within the request
    CUT_ANSWER = auto()  # once the server has begun to answer, before the agent receives it
    BUSY = auto()
    GARBAGE = auto()
    PORTAL = auto()  # status 200, not from the server
    SILENT = auto()  # accepts everything and never answers
    SLOW = auto()  # in small pieces


class Proxy:
    """`port` is where agents connect; `weather` applies to connections made from then on."""

    def __init__(self, server_port: int) -> None:
        self.weather = Weather.FAIR
        self.spoilt = 0  # connections
        self._server_port = server_port
        self._random = random.Random(7)
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut_all(self) -> None:
        """Cuts all connections."""
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        self.cut_all()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                agent, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._connection, args=(agent, self.weather))
            self._threads.append(thread)
            thread.start()

    def _connection(self, agent: socket.socket, weather: Weather) -> None:
        self.spoilt += weather is not Weather.FAIR
        self._open.add(agent)
        with agent, suppress(OSError):
            if weather in (Weather.BUSY, Weather.GARBAGE, Weather.PORTAL):
                agent.recv(PIECE)
                agent.sendall({"BUSY": BUSY, "GARBAGE": GARBAGE, "PORTAL": PORTAL}[weather.name])
            elif weather is Weather.SILENT:
                while agent.recv(PIECE):
                    pass
            else:
                self._through(agent, weather)
        self._open.discard(agent)

    def _through(self, agent: socket.socket, weather: Weather) -> None:
        with socket.create_connection(("127.0.0.1", self._server_port)) as server:
            self._open.add(server)
            back = threading.Thread(target=self._back, args=(server, agent, weather))
            back.start()
            left = self._random.randrange(20_000) if weather is Weather.CUT_REQUEST else None
            with suppress(OSError):
                while piece := agent.recv(200 if weather is Weather.SLOW else PIECE):
                    server.sendall(piece if left is None else piece[:left])
                    if left is not None:
                        left -= len(piece)
                        if left <= 0:
                            break
            for one in (server, agent):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            back.join()
            self._open.discard(server)

    def _back(self, server: socket.socket, agent: socket.socket, weather: Weather) -> None:
        with suppress(OSError):
            while piece := server.recv(PIECE):
                if weather is Weather.CUT_ANSWER:
                    break
                agent.sendall(piece)
        with suppress(OSError):
            agent.shutdown(socket.SHUT_RDWR)


@contextmanager
def between(server_port: int) -> Iterator[Proxy]:
    proxy = Proxy(server_port)
    try:
        yield proxy
    finally:
        proxy.close()
