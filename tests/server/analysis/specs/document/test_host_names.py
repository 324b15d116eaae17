"""Which hosts a document's servers name, and which hosts of traffic they fit."""

from __future__ import annotations

from typing import Any

import pytest

from server.analysis.specs.document.host_names import HostNames, named_hosts


@pytest.mark.parametrize(
    ("name", "host", "scheme", "fits"),
    [
        ("shop.example", "shop.example", "https", True),
        ("Shop.Example", "shop.example:8443", "https", True),
        ("shop.example", "api.shop.example", "https", False),
        ("shop.example:443", "shop.example", "https", True),
        ("shop.example:443", "shop.example", "http", False),
        ("shop.example:8443", "shop.example:8443", "https", True),
        ("shop.example:8443", "shop.example", "https", False),
        ("localhost:8080", "127.0.0.1:8080", "http", True),
        ("127.0.0.1:8080", "[::1]:8080", "http", True),
        ("localhost:8080", "localhost:3000", "http", False),
        ("[::1]:8080", "[::1]:8080", "http", True),
        ("*.shop.example", "eu.shop.example", "https", True),
        ("*.shop.example", "shop.example", "https", False),
        ("s*p.example:*", "shop.example:1", "https", True),
        ("shop.example", "shop.example.", "https", True),
        ("shopxexample", "shop.example", "https", False),
        ("shop.example", "shopxexample", "https", False),
        ("bücher.example", "xn--bcher-kva.example", "https", True),
        ("xn--bcher-kva.example", "bücher.example:8443", "https", True),
        ("*.bücher.example", "eu.xn--bcher-kva.example", "https", True),
        ("[::1]:8080", "[0:0:0:0:0:0:0:1]:8080", "http", True),
        ("[2001:db8::7]", "[2001:0db8:0000::0007]:443", "https", True),
        ("[2001:db8::7]", "[2001:db8::8]", "https", False),
        ("a..b", "a..b", "http", True),
    ],
)
def test_a_name_fits_a_host_of_traffic(name: str, host: str, scheme: str, fits: bool) -> None:
    names = HostNames([name])
    assert names.fit(host, scheme) is fits
    assert names.fit(host, scheme) is fits  # as remembered


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ({"servers": [{"url": "https://Shop.example/v1"}]}, ("shop.example",)),
        ({"servers": [{"url": "/v1"}]}, ()),
        ({}, ()),
        ({"swagger": "2.0", "host": "shop.example:8080"}, ("shop.example:8080",)),
        (
            {"servers": [{"url": "https://{t}.shop.example", "variables": {"t": {"default": "demo"}}}]},
            ("*.shop.example",),
        ),
        (
            {"servers": [{"url": "https://{h}:{p}/", "variables": {"h": {"default": "a"}, "p": {}}}]},
            (),
        ),
        (
            {
                "servers": [
                    {
                        "url": "{s}://{r}.shop.example",
                        "variables": {
                            "s": {"default": "https"},
                            "r": {"default": "eu", "enum": ["eu", "us"]},
                        },
                    }
                ]
            },
            ("eu.shop.example", "us.shop.example"),
        ),
        (
            {
                "servers": [{"url": "https://shop.example"}],
                "paths": {
                    "/a": {"servers": [{"url": "https://files.example"}]},
                    "/b": {"get": {"servers": [{"url": "https://pay.example"}]}, "summary": "b"},
                    "/c": None,
                },
            },
            ("shop.example", "files.example", "pay.example"),
        ),
    ],
)
def test_the_hosts_that_a_documents_servers_name(document: Any, names: tuple[str, ...]) -> None:
    assert named_hosts(document).names == names


def test_hosts_of_traffic_are_remembered_within_a_bound() -> None:
    names = HostNames(["shop.example"])
    for number in range(10_000):
        assert not names.fit(f"h{number}.example", "http")
    assert len(names._known) <= 4096
    assert names.fit("shop.example", "http")
