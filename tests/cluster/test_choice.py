"""Which pods are captured, by their annotations."""

from __future__ import annotations

import pytest

from tests.cluster.installed import Installed
from tests.cluster.workloads import NAMESPACE, Shop
from tests.e2e.processes import wait_until

pytestmark = pytest.mark.cluster


def test_a_namespace_that_opts_out_is_not_captured_until_it_opts_in_again(
    spectap: Installed, shop: Shop
) -> None:
    before, known = shop.call("https"), spectap.not_captured()
    spectap.wait_for(before)
    annotate = ("annotate", "namespace", NAMESPACE, "--overwrite")
    spectap.cluster.kubectl(*annotate, "spectap.io/capture=false")
    wait_until(lambda: shop.call("https") and spectap.not_captured() > known, "the annotation's effect")
    known = spectap.not_captured()
    hidden = shop.call("http", "https")
    wait_until(lambda: spectap.not_captured() > known, "calls that are not captured")
    spectap.cluster.kubectl(*annotate, "spectap.io/capture=true")
    seen_again(spectap, shop)
    assert not any(spectap.exchanges(hidden).values())


def seen_again(spectap: Installed, shop: Shop) -> None:
    made: list[str] = []

    def one_is_stored() -> bool:
        made.extend(shop.call("https"))
        return any(spectap.exchanges(made).values())

    wait_until(one_is_stored, "a call that is captured again")
