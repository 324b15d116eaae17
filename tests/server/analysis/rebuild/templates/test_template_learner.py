"""The learner's contract: what it returns, whatever it decides."""

from __future__ import annotations

import msgpack
import pytest

from server.analysis.rebuild.templates.model import ParameterType
from server.analysis.rebuild.templates.template_learner import TemplateLearner

PATHS = ["/users/1", "/users/2", "/users/2/posts/2024-01-31", "/v1/a b/{x}", "/", "/users/"]


def segments(path: str) -> tuple[str, ...]:
    return tuple(path[1:].split("/"))


def learner(paths: list[str]) -> TemplateLearner:
    learning = TemplateLearner()
    for path in paths:
        learning.observe("GET", segments(path))
    return learning


def test_values_that_show_their_kind_become_typed_parameters_named_after_the_word_before() -> None:
    template = learner(PATHS).templates().resolve(segments("/users/77/posts/2026-02-28"))
    assert template is not None
    assert template.text == "/users/{userId}/posts/{postDate}"
    assert [parameter.type for parameter in template.parameters] == [
        ParameterType.INTEGER,
        ParameterType.DATE,
    ]


@pytest.mark.parametrize("path", PATHS)
def test_each_observed_path_has_a_template(path: str) -> None:
    assert learner(PATHS).templates().resolve(segments(path)) is not None


def test_what_was_not_found_teaches_nothing() -> None:
    learning = TemplateLearner()
    assert not learning.observe("GET", ("wp-admin",), status=404)
    assert learning.templates().templates == ()


def test_a_learner_survives_its_state() -> None:
    learning = learner(PATHS)
    again = TemplateLearner.restore(msgpack.unpackb(msgpack.packb(learning.state())))
    assert again.templates().templates == learning.templates().templates


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version"):
        TemplateLearner.restore({**learner(PATHS).state(), "version": 99})


def test_a_few_calls_are_no_reason_to_take_words_for_values() -> None:
    learning = learner(["/api/users", "/api/orders", "/health"])
    assert {template.text for template in learning.templates().templates} == {
        "/api/users",
        "/api/orders",
        "/health",
    }


HTTPBIN = """GET /get args
POST /post form
PUT /put form
DELETE /delete form
PATCH /patch form
GET /anything all
GET /anything/foo/bar all
GET /ip origin
GET /json slideshow
GET /xml -
GET /html -
GET /headers headers
GET /uuid uuid
GET /cookies cookies
GET /cookies/set/flavour/oat cookies
GET /bearer token
GET /status/204 -
GET /delay/1 form
GET /base64/aGVsbG8= -
GET /image/png -
GET /image/jpeg -
GET /gzip gzipped
GET /deflate deflated
GET /basic-auth/someone/pass token
GET /cache args
GET /encoding/utf8 -"""
"""One call each of operations of a service with words at its root, and the keys of their answers."""


def test_words_called_once_each_stay_words_however_many_they_are() -> None:
    learning = TemplateLearner()
    for method, path, shape in map(str.split, HTTPBIN.splitlines()):
        learning.observe(method, segments(path), shape=None if shape == "-" else shape)
    expected = {path for _, path, _ in map(str.split, HTTPBIN.splitlines())}
    expected = expected - {"/status/204", "/delay/1"} | {"/status/{statusId}", "/delay/{delayId}"}
    assert {template.text for template in learning.templates().templates} == expected


def test_first_words_that_are_answered_alike_stay_words() -> None:
    words = ["session", "checkout", "profile", "search", "cart", "items", "orders"]
    learning = TemplateLearner()
    for word in words:
        learning.observe("POST", ("api", "v2", word), shape="ok")
    assert {template.text for template in learning.templates().templates} == {f"/api/v2/{w}" for w in words}


def test_names_after_a_plural_that_are_answered_alike_are_values_soon() -> None:
    learning = TemplateLearner()
    for word in ("health", "login", "orders"):
        learning.observe("GET", (word,), shape=word)
    for name in ("otter", "falcon", "heron", "badger", "ibex", "lynx"):
        learning.observe("GET", ("users", name), shape="user")
    assert "/users/{userName}" in {template.text for template in learning.templates().templates}
