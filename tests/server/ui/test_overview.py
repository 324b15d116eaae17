"""Every number that is a link is the length of the list that it leads to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from server.analysis.specs.load import load
from tests.server.running import Client, serving
from tests.server.ui.estate import furnish
from tests.server.ui.reading import crawled, read


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(Path(tmp_path_factory.mktemp("estate")), load) as client:
        furnish(client)
        yield client


def length(http: httpx.Client, address: str | None) -> int:
    """The number of rows of a list, on all its pages."""
    total = 0
    while address is not None:
        answer = http.get(address)
        assert answer.status_code == 200, address
        page = read(answer.text)
        total += sum(tag == "tr" for tag, _ in page.elements) - sum(
            tag == "thead" for tag, _ in page.elements
        )
        address = next((link for link in page.links if "cursor=" in link), None)
    return total


def counted(http: httpx.Client) -> dict[str, set[int]]:
    """Each address to which a number leads, with the numbers."""
    found: dict[str, set[int]] = {}
    for _, answer in crawled(http):
        for tag, values in read(answer.text).elements:
            if tag == "a" and "data-count" in values:
                found.setdefault(values["href"], set()).add(int(values["data-count"]))
    return found


def test_every_number_that_is_a_link_is_the_length_of_the_list_it_leads_to(client: Client) -> None:
    found = counted(client.http)
    assert len(found) >= 15
    wrong = {
        address: (numbers, actual)
        for address, numbers in found.items()
        if numbers != {actual := length(client.http, address)}
    }
    assert wrong == {}
