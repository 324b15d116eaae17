"""Which of two paths exist that differ in the slash at their end."""

from __future__ import annotations

from typing import Any

from server.analysis.rebuild.document import DocumentOptions, document
from server.analysis.rebuild.existing import extended
from server.analysis.rebuild.given_paths import templates_of
from server.analysis.rebuild.learn_input import LearnOutcome
from server.analysis.rebuild.learner import Learner
from server.analysis.rebuild.versions import diff
from tests.server.analysis.rebuild.traffic import call, learnt, rebuilt

USER = {"id": 1, "name": "Ada"}
PLAIN = [call(path=f"/users/{number}", answer=USER) for number in range(5)]
SLASHED = [call(path=f"/users/{number}/", answer=USER) for number in range(5)]


def to(path: str) -> dict[str, str]:
    return {"location": f"http://shop.internal{path}"}


def test_two_forms_with_the_same_answers_are_one_path() -> None:
    found = rebuilt([*PLAIN, *SLASHED], evidence=True)
    assert [*found["paths"]] == ["/users/{userId}"]
    assert found["paths"]["/users/{userId}"]["get"]["x-spectap"]["count"] == 10


def test_a_method_of_one_form_alone_is_one_of_the_path_that_both_are() -> None:
    made = call("POST", "/users/3/", 201, USER, sent=USER)
    assert [*rebuilt([*PLAIN, *SLASHED, made])["paths"]["/users/{userId}"]] == ["get", "post"]


def test_two_forms_with_different_answers_are_two_paths() -> None:
    listing = [call(path=f"/users/{number}/", answer={"files": []}) for number in range(5)]
    assert [*rebuilt([*PLAIN, *listing])["paths"]] == ["/users/{userId}", "/users/{userId}/"]


def test_forms_that_no_method_shares_are_described_as_they_were_called() -> None:
    made = call("POST", "/users/", 201, USER, sent=USER)
    assert [*rebuilt([call(path="/users", answer=[USER]), made])["paths"]] == ["/users", "/users/"]


def test_a_form_that_redirects_to_the_other_is_left_out() -> None:
    added = [
        call(path=f"/users/{number}", status=301, answer_headers=to(f"/users/{number}/"))
        for number in range(5)
    ]
    dropped = [
        call(path=f"/users/{number}/", status=307, answer_headers=to(f"/users/{number}"))
        for number in range(5)
    ]
    assert [*rebuilt([*added, *SLASHED])["paths"]] == ["/users/{userId}/"]
    assert [*rebuilt([*dropped, *PLAIN])["paths"]] == ["/users/{userId}"]
    assert learnt(added).counts == {LearnOutcome.REDIRECTED: 5}


def test_a_redirect_to_another_path_is_an_answer() -> None:
    moved = call(path="/people/7", status=301, answer_headers=to("/users/7"))
    assert [*rebuilt([moved])["paths"]] == ["/people/{personId}"]


def test_a_refused_form_adds_nothing_to_the_other() -> None:
    lost = [call(path=f"/users/{number}/", status=404, answer={"error": "none"}) for number in range(5)]
    assert rebuilt([*PLAIN, *lost]) == rebuilt(PLAIN)


def test_an_existing_specification_decides_which_form_is_written() -> None:
    described = {"get": {"responses": {"200": {"description": "OK"}}}}
    existing: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Shop", "version": "1"},
        "paths": {"/users": described, "/orders/": described},
    }
    learner = Learner()
    learner.set_given(templates_of(existing))
    for one in (call(path="/users/", answer=[USER]), call(path="/orders", answer=[USER])):
        learner.learn(one)
    found: dict[str, Any] = extended(existing, document(learner, DocumentOptions("Shop")))
    assert [*found["paths"]] == ["/users", "/orders/"]


def test_that_two_forms_became_one_breaks_nobody() -> None:
    apart = rebuilt([*PLAIN, call(path="/users/1/", answer={"files": []})])
    together = rebuilt([*PLAIN, *SLASHED])
    joined = [change for change in diff(apart, together) if change.operation.endswith("/")]
    assert [(change.what, change.breaking) for change in joined] == [("joined GET /users/{}", False)]
