"""A listening socket with a source that captures its port alone, and attachments without a kernel."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from agent.probes.attachments import Attachments
from agent.probes.kernel import CaptureFilters
from tests.agent.probes.unattached import Probes
from tests.agent.probes.watch import Watch, watching


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture(scope="module")
def watch(listener: socket.socket) -> Iterator[Watch]:
    port = listener.getsockname()[1]
    with watching(CaptureFilters(only_ports=frozenset({port}))) as watch:
        yield watch


@pytest.fixture
def probes() -> Probes:
    return Probes()


@pytest.fixture
def files(probes: Probes) -> Attachments:
    return Attachments(probes.attach, probes.detach)
