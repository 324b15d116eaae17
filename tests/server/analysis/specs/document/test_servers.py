"""The hosts in a document's servers."""

from __future__ import annotations

from typing import Any

import pytest

from server.analysis.specs.document.servers import MAX_HOSTS, hosts


def server(url: str, **variables: Any) -> Any:
    return {"url": url, "variables": variables}


@pytest.mark.parametrize(
    ("servers", "found"),
    [
        ([server("http://{h}/v1", h={"default": "shop.test"})], ["shop.test"]),
        (
            [
                server(
                    "https://{r}.shop.test:{port}/{v}",
                    r={"default": "eu", "enum": ["us", "eu"]},
                    port={"default": 8443},
                )
            ],
            ["eu.shop.test:8443", "us.shop.test:8443"],
        ),
        (
            [server("{scheme}://shop.test/v1", scheme={"default": "http", "enum": ["http", "https"]})],
            ["shop.test"],
        ),
        ([server("{base}/v1", base={"default": "http://shop.test"})], ["shop.test"]),
        (
            [server("http://user@Shop.test"), server("/v1"), server("http://{unknown}/"), server("http://[")],
            ["shop.test"],
        ),
        ([{"url": "http://{h}", "variables": []}, None, {"url": 1}, server("http://{h}", h=7)], []),
    ],
)
def test_hosts_of_servers_variables_filled_in(servers: Any, found: list[str]) -> None:
    assert hosts({"servers": servers}) == found


def test_a_swagger_document_names_its_host() -> None:
    assert hosts({"host": "Shop.test:8080"}) == ["shop.test:8080"]


def test_hosts_of_many_variables_are_bounded() -> None:
    variables = {f"v{n}": {"default": "a", "enum": [f"x{i}" for i in range(1000)]} for n in range(6)}
    url = "http://" + ".".join(f"{{{name}}}" for name in variables) + "/"
    assert len(hosts({"servers": [server(url, **variables)] * 100})) == MAX_HOSTS
