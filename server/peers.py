"""The user at the other end of a loopback connection: the owner of its socket.

sock_diag(7) returns the one socket with these addresses and ports; without that kernel module, /proc/net/tcp
(proc(5)) is read. A socket closed by its process has no owner, though kernels before 6.16 report root: it is
recognised by its missing inode.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

Address: TypeAlias = tuple[str, int]

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST = 1
NLMSG_ERROR = 2
NO_COOKIE = b"\xff" * 8
HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
REQUEST = struct.Struct("=BBBxI")  # family, protocol, extensions, states; the socket's id follows
ID = struct.Struct("!HH16s16s4s8s")  # ports, addresses, interface, cookie
ANSWER = struct.Struct("=BBBB48sIIIII")  # family, state, timer, retransmits, id, expires, queues, uid, inode
ERROR = struct.Struct("=i")
ENDS = 36  # bytes of an id that identify the socket
ANY_STATE = 0xFFFFFFFF
STATES = frozenset({1, 4, 5, 8})  # ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT of tcp_states.h
PATIENCE_S = 1.0
TABLES = {4: Path("/proc/net/tcp"), 6: Path("/proc/net/tcp6")}


class LocalCaller:
    """The user at the other end of one connection; queried from the kernel once, when needed."""

    def __init__(self, client: Address | None, server: tuple[str, int | None] | None) -> None:
        self._client, self._server = client, server

    @cached_property
    def uid(self) -> int | None:
        """The user's id; None if unknown: the other end is on another machine, or gone."""
        host, port = self._server or ("", None)
        if self._client is None or port is None:
            return None
        return owner(self._client, (host, port))


def owner(client: Address, server: Address) -> int | None:
    """The uid of the process that opened the socket `client`, connected to `server`, on this machine."""
    try:
        return by_netlink(client, server)
    except OSError:
        return by_table(client, server)


def by_netlink(client: Address, server: Address) -> int | None:
    """Queries sock_diag. Raises OSError if there is no such socket, or no sock_diag."""
    family = socket.AF_INET6 if ":" in client[0] else socket.AF_INET
    ends = (_packed(end).ljust(16, b"\0") for end in (client, server))
    id = ID.pack(client[1], server[1], *ends, bytes(4), NO_COOKIE)
    body = REQUEST.pack(family, socket.IPPROTO_TCP, 0, ANY_STATE) + id
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(PATIENCE_S)
        kernel.send(HEADER.pack(HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 0, 0) + body)
        answer = kernel.recv(4096)
    if HEADER.unpack_from(answer)[1] == NLMSG_ERROR:
        (code,) = ERROR.unpack_from(answer, HEADER.size)
        raise OSError(-code, os.strerror(-code))
    _, state, _, _, found, *_, uid, inode = ANSWER.unpack_from(answer, HEADER.size)
    return uid if found[:ENDS] == id[:ENDS] and inode and state in STATES else None


def by_table(client: Address, server: Address) -> int | None:
    """Reads the table of all sockets in this network namespace."""
    ends = [_listed(client), _listed(server)]
    try:
        table = TABLES[_ip(client).version].read_text()
    except OSError:
        return None
    for line in table.splitlines()[1:]:
        fields = line.split()
        if fields[1:3] == ends and int(fields[3], 16) in STATES and fields[9] != "0":
            return int(fields[7])
    return None


def _ip(end: Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(end[0].partition("%")[0])


def _packed(end: Address) -> bytes:
    return _ip(end).packed


def _listed(end: Address) -> str:
    """An address as in /proc/net/tcp: 32-bit words in the machine's byte order."""
    packed = _packed(end)
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words) + f":{end[1]:04X}"
