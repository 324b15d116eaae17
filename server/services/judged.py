"""A stored exchange, judged once more: with the exact places of its deviations, which are not stored."""

from __future__ import annotations

from collections.abc import Sequence

from server.analysis.specs.deviation import Deviation
from server.analysis.views import most_seen
from server.catalogue import Catalogue
from server.store.rows import ExchangeRow


def judged_again(catalogue: Catalogue, row: ExchangeRow) -> Sequence[Deviation]:
    """The deviations of an exchange from the present specifications; none if there are none."""
    ruling = catalogue.judge(row.api, most_seen(row.views))
    return ruling.judgement.deviations if ruling else ()
