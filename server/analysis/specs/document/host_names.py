"""The hosts that a document's server URLs name, or a user: names and patterns, with or without a port.

A name without a port fits every port; the loopback names are one, an address is the same however it is
written, and so is an international name. A server variable fits its `enum`, or any text if it has none
(OpenAPI 3.1, 4.8.6). A URL that is relative, or whose whole host is such a variable, names no host.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator

from server.analysis.inventory import name_of
from server.analysis.json import JsonObject, array_in, object_in, text_in
from server.analysis.specs.document.servers import netlocs

MAX_KNOWN = 4096  # hosts from traffic whose answer is kept
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_STANDARD = {"http": "80", "https": "443"}
_WORD = re.compile(r"[a-z0-9]")


class HostNames:
    """Hosts such as "shop.example", "shop.example:8443", "[::1]:8080", "*.shop.example"."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(dict.fromkeys(name.strip().lower() for name in names))
        self._patterns = [_pattern(name) for name in self.names]
        self._known: dict[tuple[str, str], bool] = {}

    def __bool__(self) -> bool:
        return bool(self.names)

    def fit(self, host: str, scheme: str) -> bool:
        """Whether a request's host, in lower case and with or without a port, is one of them."""
        known = self._known.get((host, scheme))
        if known is None:
            name, port = _parts(host)
            port = port or _STANDARD.get(scheme, "")
            known = any(
                pattern.fullmatch(name) and wanted in ("", "*", port) for pattern, wanted in self._patterns
            )
            if len(self._known) < MAX_KNOWN:
                self._known[host, scheme] = known
        return known


def named_hosts(document: JsonObject) -> HostNames:
    """The hosts in a document's servers: its own, and those of its paths and operations; `MAX_HOSTS` of
    each at most. Swagger 2.0 has one `host`.
    """
    found = [name for node in _with_servers(document) for name in netlocs(node, free="*")]
    host = text_in(document, "host") if "swagger" in document else None
    return HostNames(name for name in [*found, *([host] if host else [])] if _WORD.search(_parts(name)[0]))


def _with_servers(document: JsonObject) -> Iterator[JsonObject]:
    yield document
    for item in object_in(document, "paths").values():
        for node in (item, *item.values()) if isinstance(item, dict) else ():
            if isinstance(node, dict) and array_in(node, "servers"):
                yield node


def _parts(host: str) -> tuple[str, str]:
    """(name, port or ""); loopback names become one."""
    name = name_of(host)
    port = host.rpartition(":")[2] if host.count(":") == 1 or "]:" in host else ""
    name = _in_ascii(name.rstrip("."))
    return ("localhost" if name in _LOOPBACK else name), port


def _in_ascii(name: str) -> str:
    try:
        return ipaddress.ip_address(name).compressed if ":" in name else name.encode("idna").decode()
    except ValueError:  # UnicodeError among them: no name that could be resolved
        return name


def site(host: str) -> tuple[str, str]:
    """Equal for two hosts that are the same: the name, and the port unless it is one of HTTP's."""
    name, port = _parts(host)
    return name, "" if port in _STANDARD.values() else port


def _pattern(name: str) -> tuple[re.Pattern[str], str]:
    host, port = _parts(name)
    return re.compile(".*".join(map(re.escape, host.split("*")))), port
