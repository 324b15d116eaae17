"""The owner of the other end of a loopback connection, from both sources in the kernel."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from server import peers
from server.peers import Address, LocalCaller, by_netlink, by_table

Lookup = Callable[[Address, Address], int | None]
NOBODY = 65534
CONNECTS = """
import os, socket, sys
os.setuid(int(sys.argv[1]))
client = socket.create_connection((sys.argv[2], int(sys.argv[3])))
print(client.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=["127.0.0.1", "::1"])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.create_server((request.param, 0), family=family) as found:
        yield found


@pytest.fixture(params=[by_netlink, by_table])
def lookup(request: pytest.FixtureRequest) -> Lookup:
    found: Lookup = request.param
    if found is by_netlink and not has_netlink():
        pytest.skip("this kernel has no sock_diag for TCP")
    return found


def has_netlink() -> bool:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(end(server)) as client,
    ):
        return asked(by_netlink, end(client), end(server)) is not None


def end(one: socket.socket) -> Address:
    host, port, *_ = one.getsockname()
    return host, port


def asked(lookup: Lookup, client: Address, server: Address) -> int | None:
    try:
        return lookup(client, server)
    except OSError:
        return None


def test_a_connection_of_ours_is_ours(listener: socket.socket, lookup: Lookup) -> None:
    with socket.create_connection(end(listener)) as client:
        assert lookup(end(client), end(listener)) == os.getuid()
        client.shutdown(socket.SHUT_WR)  # still owned
        assert lookup(end(client), end(listener)) == os.getuid()


def test_a_connection_that_was_closed_is_nobodys_not_roots(listener: socket.socket, lookup: Lookup) -> None:
    client = socket.create_connection(end(listener))
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    at = end(client)
    client.close()
    assert asked(lookup, at, end(listener)) is None  # FIN_WAIT2, without a process
    served, _ = listener.accept()
    served.recv(100)
    served.close()
    assert asked(lookup, at, end(listener)) is None  # TIME_WAIT


def test_who_listens_at_a_port_is_not_who_calls_from_it(listener: socket.socket, lookup: Lookup) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert asked(lookup, end(other), end(listener)) is None


@pytest.mark.root
def test_a_connection_of_another_user_is_that_users(listener: socket.socket, lookup: Lookup) -> None:
    host, port = end(listener)
    words = [sys.executable, "-c", CONNECTS, str(NOBODY), host, str(port)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        client = host, int(process.stdout.readline())
        assert lookup(client, (host, port)) == NOBODY
        process.communicate("")


def test_the_kernel_is_asked_once_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Address] = []

    def owner(client: Address, server: Address) -> int:
        calls.append(client)
        return 7

    monkeypatch.setattr(peers, "owner", owner)
    caller = LocalCaller(("127.0.0.1", 1), ("127.0.0.1", 2))
    assert [caller.uid, caller.uid] == [7, 7]
    assert len(calls) == 1
    assert LocalCaller(None, ("127.0.0.1", 2)).uid is None


def test_where_the_kernel_cannot_be_asked_the_list_is_read(
    monkeypatch: pytest.MonkeyPatch, listener: socket.socket
) -> None:
    def refuses(*_: object) -> int:
        raise OSError

    monkeypatch.setattr(peers, "by_netlink", refuses)
    with socket.create_connection(end(listener)) as client:
        assert peers.owner(end(client), end(listener)) == os.getuid()
