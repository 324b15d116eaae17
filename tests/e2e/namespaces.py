"""Network namespaces for a client and a server, with a router between them that translates addresses.

This is how a Kubernetes Service works: the client calls a virtual address, netfilter (in the router's
PREROUTING or the client's OUTPUT) forwards it to the server, and the server never sees the called address.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

SERVICE, SERVICE_PORT = "10.96.0.10", 80
SERVER, SERVER_PORT = "10.201.2.2", 8080
CLIENT, TO_CLIENT, TO_SERVER = "10.201.1.2", "10.201.1.1", "10.201.2.1"


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The names of the three namespaces."""

    client: str
    router: str
    server: str


def within(namespace: str, argv: list[str]) -> list[str]:
    """A command that runs in a namespace (`ip` is replaced by it)."""
    return ["ip", "netns", "exec", namespace, *argv]


def _do(command: str) -> None:
    subprocess.run(command.split(), check=True, capture_output=True)


@contextmanager
def translated(where: str, masquerade: bool = False) -> Iterator[Namespaces]:
    """`where` the destination is translated: "router" or "client". With `masquerade` the server sees the
    router as its client.
    """
    name = f"spectap-{os.getpid()}"
    made = Namespaces(f"{name}-c", f"{name}-r", f"{name}-s")
    with ExitStack() as stack:
        for one in (made.client, made.router, made.server):
            _do(f"ip netns add {one}")
            stack.callback(_do, f"ip netns del {one}")
            _do(f"ip -n {one} link set lo up")
        for end, address, router in ((made.client, CLIENT, TO_CLIENT), (made.server, SERVER, TO_SERVER)):
            _do(f"ip -n {end} link add up0 type veth peer name {end[-1]}0 netns {made.router}")
            _do(f"ip -n {end} address add {address}/24 dev up0")
            _do(f"ip -n {made.router} address add {router}/24 dev {end[-1]}0")
            _do(f"ip -n {made.router} link set {end[-1]}0 up")
            _do(f"ip -n {end} link set up0 up")
            _do(f"ip -n {end} route add default via {router}")
        _do(f"ip netns exec {made.router} sysctl -qw net.ipv4.ip_forward=1")
        chain, at = ("PREROUTING", made.router) if where == "router" else ("OUTPUT", made.client)
        rule = f"-d {SERVICE} -p tcp --dport {SERVICE_PORT} -j DNAT --to-destination {SERVER}:{SERVER_PORT}"
        _do(f"ip netns exec {at} iptables -w -t nat -A {chain} {rule}")
        if masquerade:
            rule = f"-d {SERVER} -p tcp -j MASQUERADE --to-ports 20000-29999"
            _do(f"ip netns exec {made.router} iptables -w -t nat -A POSTROUTING {rule}")
        yield made
