"""Names of parameters and types are the singular of what a path calls them."""

from __future__ import annotations

import pytest

from server.analysis.rebuild.singular import singular
from tests.server.analysis.rebuild.traffic import call, rebuilt

PLURALS = """
access access · addresses address · aliases alias · analyses analysis · analysis analysis · APIs API
bases base · bonuses bonus · boxes box · branches branch · browsers browser · bus bus · buses bus
caches cache · campuses campus · canvas canvas · canvases canvas · cases case · categories category
causes cause · children child · classes class · companies company · cookies cookie · courses course
criteria criterion · data data · databases database · diagnoses diagnosis · dns dns · expenses expense
gas gas · gases gas · heroes hero · houses house · ids id · indexes index · indices index
kubernetes kubernetes · leaves leaf · lens lens · lenses lens · licenses license · matrices matrix
media media · metadata metadata · metrics metric · movies movie · news news · objectives objective
os os · people person · phases phase · photos photo · pies pie · prizes prize · processes process
promises promise · purchases purchase · quizzes quiz · releases release · responses response
series series · shelves shelf · sizes size · sms sms · species species · status status · statuses status
storageClasses storageClass · ties tie · tries try · userIDs userID · user_statuses user_status
users user · vertices vertex · virus virus · viruses virus · warehouses warehouse · People Person
oauth2clients oauth2client · 42 42
"""


@pytest.mark.parametrize(
    "pair", [pair.strip() for line in PLURALS.strip().splitlines() for pair in line.split("·")]
)
def test_a_plural_gives_its_singular_and_a_singular_stays(pair: str) -> None:
    plural, one = pair.split(" ")
    assert singular(plural) == one
    assert singular(one) == one


def test_parameters_are_named_after_one_of_the_things_that_a_path_lists() -> None:
    things = ("releases", "statuses", "databases", "movies", "people")
    found = rebuilt(
        [call(path=f"/{thing}/{number}", answer={"id": number}) for thing in things for number in range(3)]
    )
    assert [*found["paths"]] == [
        "/databases/{databaseId}",
        "/movies/{movieId}",
        "/people/{personId}",
        "/releases/{releaseId}",
        "/statuses/{statusId}",
    ]
