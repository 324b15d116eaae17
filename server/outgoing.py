"""Outgoing connections of the server to URLs given by a person, restricted to allowed addresses.

Services are internal, so private addresses are allowed. Refused are link-local ones and those at which clouds
serve credentials to their machines. A name may resolve differently after the check (DNS rebinding): it is
resolved once per request, and the checked address is the one connected to.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from itertools import islice
from typing import TypeAlias

import httpx

from server.resolving import NotInTime, addresses
from server.time_limit import TimeLimit

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

PORTS = {"http": 80, "https": 443}
MAX_PORT = 65_535
MOST_TRIED = 3  # addresses of one name

FORBIDDEN = tuple(
    ipaddress.ip_network(network)
    for network in (
        "169.254.0.0/16",  # link-local: the metadata of AWS, Azure, Google, Oracle, OpenStack and others
        "fe80::/10",
        "fd00:ec2::/32",  # AWS: metadata, DNS and pod identity over IPv6
        "fd20:ce::254/128",  # Google: metadata over IPv6
        "168.63.129.16/32",  # Azure: the host's wire server
        "100.100.100.200/32",  # Alibaba: metadata
        "192.0.0.192/32",  # Oracle: metadata, older
        "224.0.0.0/4",  # multicast
        "ff00::/8",
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address


class Forbidden(httpx.TransportError):
    """The host has a forbidden address."""


class UnknownHost(httpx.ConnectError):
    """The host's name does not resolve."""


class CheckedTransport(httpx.BaseTransport):
    """An httpx transport that connects only to checked addresses. It uses no proxy, which would resolve
    names. Resolving and its connections end with `limit`.

    Raises Forbidden and UnknownHost besides what httpx raises.
    """

    def __init__(self, limit: TimeLimit, verify: bool | ssl.SSLContext = True) -> None:
        self._limit = limit
        # A persistent connection would be reused by its address, under another host's certificate.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._inner = httpx.HTTPTransport(verify=verify, trust_env=False, limits=limits)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        failure: httpx.TransportError = UnknownHost("no address")
        for address in islice(checked(request.url, self._limit.left), MOST_TRIED):
            left = self._limit.left
            if left <= 0:
                raise httpx.ConnectTimeout("no time is left", request=request)
            try:
                return self._inner.handle_request(self._at(address, request, left))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise failure

    def close(self) -> None:
        self._inner.close()

    def _at(self, address: str, request: httpx.Request, left: float) -> httpx.Request:
        """The same request to one address, with the same Host and certificate name."""
        steps = request.extensions.get("timeout", {}).items()
        return httpx.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,
            stream=request.stream,
            extensions={
                **request.extensions,
                "sni_hostname": request.url.raw_host.decode("ascii"),
                "timeout": {step: left if most is None else min(most, left) for step, most in steps},
                "trace": self._limit.watch,
            },
        )


def checked(url: httpx.URL, seconds: float) -> Iterator[str]:
    """The addresses of a URL's host, resolved within so many seconds. Raises Forbidden if any is, UnknownHost
    if there is none, and httpx.ConnectTimeout.
    """
    try:
        found = addresses(url.raw_host, url.port or PORTS[url.scheme], seconds)
    except NotInTime:
        raise httpx.ConnectTimeout("the name is not resolved in time") from None
    except OSError as error:
        raise UnknownHost(str(error)) from None
    if any(map(is_forbidden, found)):
        raise Forbidden("link-local addresses and those of cloud metadata are not connected to")
    return iter(found)


def is_forbidden(text: str) -> bool:
    """Whether an address is in FORBIDDEN, itself or embedded in an IPv6 address."""
    address = ipaddress.ip_address(text.partition("%")[0])
    return any(one in network for one in _meanings(address) for network in FORBIDDEN)


def _meanings(address: Address) -> Iterator[Address]:
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        yield from (inner for inner in (address.ipv4_mapped, address.sixtofour) if inner is not None)
        if address in NAT64:
            yield ipaddress.IPv4Address(address.packed[-4:])
