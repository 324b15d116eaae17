"""Specifications without HTTP: which API a document describes, and which APIs are re-validated."""

from __future__ import annotations

import pytest

from server.analysis.specs.model import SpecError
from server.core import Core
from server.services.attaching import AttachTarget
from server.services.errors import NoTarget, NotFound, UnknownApi
from server.services.inventory import Inventory
from server.services.narrowing import Filters
from server.services.sent import Sent
from server.services.specifications import Specifications

NOWHERE = b"openapi: 3.1.0\ninfo: {title: Shop, version: '1'}\npaths: {}\n"
SOMEWHERE = NOWHERE + b"servers: [{url: 'http://said.local'}]\n"


class Told:
    """Records which APIs are to be re-validated."""

    def __init__(self, core: Core) -> None:
        self.numbers: list[int] = []
        self.specifications = Specifications(core.store, core.acceptor, core.load, self.numbers.append)
        self.inventory = Inventory(core.store, core.acceptor.catalogue)

    def hosts(self) -> list[str]:
        return [host for row in self.inventory.apis(Filters(), 9, None).rows for host in row.hosts]


@pytest.fixture
def told(core: Core) -> Told:
    return Told(core)


@pytest.mark.parametrize(
    ("document", "target", "host"),
    [
        (NOWHERE, AttachTarget(host="Asked.Local", otherwise="fetched.local"), "asked.local"),
        (SOMEWHERE, AttachTarget(otherwise="fetched.local"), "said.local"),
        (NOWHERE, AttachTarget(otherwise="fetched.local"), "fetched.local"),
    ],
)
def test_the_host_is_what_is_asked_for_then_what_the_document_says_then_where_it_is_from(
    told: Told, document: bytes, target: AttachTarget, host: str
) -> None:
    added = told.specifications.add(Sent(document), target)
    assert told.hosts() == [host]
    assert told.numbers == [told.inventory.found(added.api).number]


def test_what_names_no_api_is_not_stored(told: Told) -> None:
    for target, error in ((AttachTarget(), NoTarget), (AttachTarget(api="none"), UnknownApi)):
        with pytest.raises(error):
            told.specifications.add(Sent(NOWHERE), target)
    with pytest.raises(SpecError):
        told.specifications.add(Sent(b"[]"), AttachTarget(host="shop"))
    assert (told.specifications.listed(9, None).rows, told.numbers) == ([], [])


def test_only_a_specification_that_is_there_is_removed_and_tells_its_api(told: Told) -> None:
    added = told.specifications.add(Sent(NOWHERE), AttachTarget(host="shop"))
    with pytest.raises(NotFound):
        told.specifications.remove("none")
    told.specifications.remove(added.id)
    with pytest.raises(NotFound):
        told.specifications.remove(added.id)
    assert told.numbers == [told.inventory.found(added.api).number] * 2
    with pytest.raises(NotFound):
        told.specifications.of_api(added.api, None)
