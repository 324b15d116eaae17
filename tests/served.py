"""Servers of the standard library, in a thread of the test."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LOOK_S = 0.02  # between two looks for the end


@contextmanager
def served(server: socketserver.TCPServer) -> Iterator[int]:
    """Serves, and at the end closes it. Yields its port."""
    thread = threading.Thread(target=server.serve_forever, args=(LOOK_S,))
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
