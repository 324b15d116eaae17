"""Lists filtered by an API that does not exist, and lists in pages."""

from __future__ import annotations

import pytest

from server.core import Core
from server.ingest.decode import decode
from server.services.deviations import Deviations
from server.services.errors import NotFound
from server.services.exchanges import StoredExchanges
from server.services.inventory import Inventory
from server.services.narrowing import Filters
from server.services.proposals import Proposals
from server.store.rows import Listed
from tests.server.narrowed import by
from tests.server.records import NOON, batch, record
from tests.server.settled import accept


def test_an_api_that_does_not_exist_matches_nothing_anywhere(core: Core) -> None:
    store, catalogue = core.store, core.acceptor.catalogue
    deviations = Deviations(store, catalogue, Proposals(store, catalogue, core.load), core.jobs.judge_again)
    unknown, any_api = by(api="none"), Filters()
    store.write(lambda db: accept(core.acceptor, decode(batch(1, [record(0)])), NOON)).result()
    assert [len(Inventory(store, catalogue).apis(one, 9, None).rows) for one in (unknown, any_api)] == [0, 1]
    exchanges = StoredExchanges(store, catalogue)
    assert [len(exchanges.listed(one, 9, None).rows) for one in (unknown, any_api)] == [0, 1]
    assert deviations.listed(unknown, 9, None) == Listed([])


@pytest.mark.parametrize("id", ["", "-1", "1.5", "nope", "9" * 30, "7"])
def test_what_is_no_deviation_is_not_found_whatever_is_decided_of_it(core: Core, id: str) -> None:
    store, catalogue = core.store, core.acceptor.catalogue
    deviations = Deviations(store, catalogue, Proposals(store, catalogue, core.load), core.jobs.judge_again)
    for decide in (
        lambda: deviations.ignore(id, "known", None),
        lambda: deviations.accept(id, None, None),
        lambda: deviations.undo(id),
        lambda: deviations.reviewed(id),
    ):
        with pytest.raises(NotFound):
            decide()
