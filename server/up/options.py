"""The options of `spectap up`, and the checks before it starts anything.

Each error is one sentence with the cure.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from server.agent_options import BODIES, COST, FILTERS, SHAPES, declare, given
from server.config import DEFAULT_LISTEN, default_data

BTF = Path("/sys/kernel/btf/vmlinux")
OLDEST_PYTHON = (3, 11)
PASSED = (*FILTERS, *BODIES, *SHAPES, *COST)


class UpError(Exception):
    """Why it cannot start or had to stop: a sentence with the cure."""


@dataclass(frozen=True, slots=True)
class Listen:
    """The server's listening address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self._bracketed(self.host)}:{self.port}"

    @property
    def loopback(self) -> bool:
        return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback

    @property
    def url(self) -> str:
        """The URL for clients on this machine."""
        host = self.host
        if host != "localhost" and ipaddress.ip_address(host).is_unspecified:
            host = "::1" if ":" in host else "127.0.0.1"
        return f"http://{self._bracketed(host)}:{self.port}"

    @staticmethod
    def _bracketed(host: str) -> str:
        return f"[{host}]" if ":" in host else host


@dataclass(frozen=True, slots=True)
class UpOptions:
    """`data` is None for the default directory, or for a temporary one with the demo.

    `agent` is passed to the agent unchanged.
    """

    listen: Listen
    data: Path | None
    demo: bool
    ports: tuple[int, ...]
    agent: tuple[str, ...]
    open_to_local_users: bool
    log_json: bool
    verbose: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options to `parser`, which handles usage errors."""
    add = parser.add_argument
    add(
        "--listen",
        type=listen_of,
        default=listen_of(DEFAULT_LISTEN),
        metavar="HOST:PORT",
        help="address and port of the pages and the API (default: %(default)s)",
    )
    add(
        "--data",
        type=Path,
        metavar="DIR",
        help=f"the server's data directory (default: {default_data()})",
    )
    add("--demo", action="store_true", help="also run two sample services and a client")
    add("--port", type=port_of, action="append", metavar="N", help="capture only this port; repeatable")
    declare(parser, PASSED)
    add(
        "--open-to-local-users",
        action="store_true",
        help="admit every user of this machine (default: only root and who started it by sudo)",
    )
    add("--log-json", action="store_true", help="one JSON object per line")
    add("-v", "--verbose", action="store_true", help="also show info messages of the server and the agent")


def options_of(parsed: argparse.Namespace) -> UpOptions:
    """The parsed arguments as UpOptions."""
    return UpOptions(
        listen=parsed.listen,
        data=parsed.data,
        demo=parsed.demo,
        ports=tuple(parsed.port or ()),
        agent=tuple(given(parsed, PASSED)),
        open_to_local_users=parsed.open_to_local_users,
        log_json=parsed.log_json,
        verbose=parsed.verbose,
    )


def listen_of(text: str) -> Listen:
    """HOST:PORT with a literal address or localhost; port 0 takes a free one."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
        if host is None or port is None or parts.path or "@" in text:
            raise ValueError
        if host != "localhost":
            ipaddress.ip_address(host)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not ADDRESS:PORT, such as 127.0.0.1:8080") from None
    return Listen(host, port)


def port_of(text: str) -> int:
    """A TCP port."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (1 to 65535)")
    return int(text)


def check_host() -> None:
    """Raises UpError if this host or user cannot capture at all. The agent checks further requirements."""
    if sys.version_info < OLDEST_PYTHON:
        raise UpError(
            f"this is Python {sys.version_info[0]}.{sys.version_info[1]}, and spectap needs "
            "3.11 or later: use Debian 12 or 13 or Ubuntu 24.04 and set it up with `make setup`"
        )
    if os.geteuid() != 0:
        raise UpError("capturing other processes' traffic needs root: run it with sudo")
    if not BTF.exists():
        raise UpError(
            f"this kernel has no type information ({BTF} is missing): "
            "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y, as in Debian 12, 13 and Ubuntu 24.04"
        )


def free_listen(listen: Listen) -> Listen:
    """`listen` with a currently free port; 0 chooses one. Raises UpError if it is in use."""
    try:
        family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        with socket.create_server((listen.host, listen.port), family=family) as server:
            return Listen(listen.host, server.getsockname()[1])
    except OSError as error:
        cure = (
            "choose another address with --listen, or stop the process that uses it"
            f" (ss -ltnp 'sport = :{listen.port}' shows it)"
        )
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UpError(f"cannot listen at {listen} ({reason}): {cure}") from None
