"""What the learner decides, on generated traffic of an API and on hostile traffic."""

from __future__ import annotations

import random

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.analysis.rebuild.templates.model import (
    MergeWords,
    ParameterType,
    Rename,
    Retype,
    Split,
    TemplateOrigin,
    TemplatePlace,
)
from server.analysis.rebuild.templates.nodes import NAMES_KEY, distinct
from server.analysis.rebuild.templates.template_learner import MOST_SEGMENTS, TemplateLearner
from tests.bench.templates_corpus import Operation
from tests.bench.templates_score import learn, score
from tests.bench.templates_traffic import Request, traffic

SHOP = [
    Operation(method, f"/v2{path}", {}, tuple(fields.split()))
    for method, path, fields in (
        ("GET", "/orders", "items next"),
        ("POST", "/orders", "id"),
        ("GET", "/orders/{orderId}", "id total lines customer"),
        ("DELETE", "/orders/{orderId}", ""),
        ("GET", "/orders/search", "hits facets"),
        ("GET", "/orders/{orderId}/lines", "items"),
        ("GET", "/shops/{name}", "name owner city"),
        ("PATCH", "/shops/{name}", "name owner city"),
        ("GET", "/shops/{name}/products/{slug}", "slug price stock"),
        ("PUT", "/shops/{name}/products/{slug}", "slug price stock"),
        ("GET", "/shops/{name}/products/{slug}/reviews", "items stars"),
        ("GET", "/shops/{name}/staff", "people"),
        ("GET", "/shops/{name}/settings", "theme hours"),
        ("GET", "/shops/{name}/opening-hours", "days"),
        ("GET", "/users/{username}", "login avatar"),
        ("GET", "/users/{username}/orders", "items next"),
        ("GET", "/reports/{sid}.json", "rows"),
        ("GET", "/status", "up"),
    )
]


def segments(path: str) -> tuple[str, ...]:
    return tuple(path[1:].split("/"))


def text_of(learner: TemplateLearner, path: str) -> str | None:
    found = learner.templates().resolve(segments(path))
    return found.text if found else None


def shuffled(requests: list[Request], seed: int) -> list[Request]:
    return random.Random(seed).sample(requests, len(requests))


@pytest.mark.parametrize("seed", range(5))
def test_names_as_ids_are_found_and_more_traffic_makes_it_no_worse(seed: int) -> None:
    few, many, most = (score(learn(t), t) for t in (traffic(SHOP, amount, seed) for amount in (5, 40, 800)))
    assert few.f1 >= 0.75
    assert many.f1 >= max(few.f1, 0.9)
    assert many.placed >= 0.85
    assert most.f1 >= many.f1  # by then all values have repeated, and no new ones appear


def test_many_words_at_one_place_with_few_calls_each_stay_words() -> None:
    learner = TemplateLearner()
    things = ("chat", "users", "files", "team", "admin", "pins", "reactions", "conversations")
    verbs = ("list", "info", "delete", "update", "open", "close", "setTopic", "archive")
    methods = [f"{thing}.{verb}" for thing in things for verb in verbs]
    for method in methods * 2:
        learner.observe("POST", ("api", method), shape=method)
    assert [template.text for template in learner.templates().templates] == sorted(
        f"/api/{m}" for m in methods
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_order_of_traffic_leaves_no_trace(seed: int, order: int) -> None:
    requests = traffic(SHOP, 5, seed)
    assert learn(shuffled(requests, order)).templates().templates == learn(requests).templates().templates


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_two_learners_add_up_to_one(seed: int) -> None:
    requests = traffic(SHOP, 5, seed)
    half = len(requests) // 2
    learner = learn(requests[:half])
    learner.absorb(learn(requests[half:]))
    assert learner.templates().templates == learn(requests).templates().templates


def parts_of(requests: list[Request], chance: random.Random, most: int) -> list[list[Request]]:
    """The requests in any order, distributed over several learners, some of which may get none."""
    parts: list[list[Request]] = [[] for _ in range(chance.randint(2, most))]
    for request in chance.sample(requests, len(requests)):
        chance.choice(parts).append(request)
    return parts


def merged(learners: list[TemplateLearner], chance: random.Random) -> TemplateLearner:
    """All learners merged, any two at a time; each is stored and loaded before."""
    while len(learners) > 1:
        chance.shuffle(learners)
        some, other = learners.pop(), learners.pop()
        stored = TemplateLearner.restore(some.state())
        stored.absorb(other)
        learners.append(stored)
    return learners[0]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_any_partition_merged_in_any_order_gives_the_same_templates(seed: int, chance: random.Random) -> None:
    requests = traffic(SHOP, 5, seed)
    learner = merged([learn(part) for part in parts_of(requests, chance, 6)], chance)
    assert learner.templates().templates == learn(requests).templates().templates


def spreads(learner: TemplateLearner, *path: str) -> list[int]:
    node = learner._root
    for segment in path:
        node = node.children[segment]
    return [distinct(node.children[key].spread) for key in sorted(node.children)]


def crowd(names: range, rounds: int = 1) -> TemplateLearner:
    """Users by name, merged after each round."""
    learner = TemplateLearner()
    for _ in range(rounds):
        for name in names:
            for word in ("orders", "settings"):
                learner.observe("GET", ("users", f"user-{chr(97 + name % 26)}{chr(97 + name // 26)}", word))
        learner._make_room()
    return learner


def test_behind_how_many_folded_words_a_node_stands_does_not_grow_by_seeing_them_again() -> None:
    assert spreads(crowd(range(60)), "users", NAMES_KEY) == spreads(crowd(range(60), 5), "users", NAMES_KEY)
    assert spreads(crowd(range(60)), "users", NAMES_KEY) == pytest.approx([60, 60], abs=6)


@pytest.mark.parametrize("cut", [1, 20, 59])
def test_learners_that_folded_words_add_up_to_one_that_folded_all(cut: int) -> None:
    some, more, whole = crowd(range(min(cut + 5, 60))), crowd(range(cut, 60)), crowd(range(60))
    some.absorb(more)
    some._make_room()
    assert spreads(some, "users", NAMES_KEY) == spreads(whole, "users", NAMES_KEY)


_TEXT = st.text(max_size=6) | st.sampled_from(["a", "b", "1", "x.json", "", "\0", "\udcff", "{", "%"])
_PATHS = st.lists(st.lists(_TEXT, min_size=1, max_size=5).map(tuple), min_size=1, max_size=40)


@settings(max_examples=100, deadline=None)
@given(_PATHS)
@example([("",), ("", "")])
def test_any_path_that_succeeded_has_a_template_and_survives_the_state(paths: list[tuple[str, ...]]) -> None:
    learner = TemplateLearner()
    for path in paths:
        assert learner.observe("GET", path)
    learned = learner.templates()
    assert [path for path in paths if learned.resolve(path) is None] == []
    assert sum(times for template in learned.templates for _, times in template.calls) == len(paths)
    packed = msgpack.packb(learner.state(), unicode_errors="surrogatepass")
    again = TemplateLearner.restore(msgpack.unpackb(packed, unicode_errors="surrogatepass"))
    assert again.templates().templates == learned.templates


def test_a_masked_segment_is_a_value() -> None:
    learner = TemplateLearner()
    learner.observe("GET", ("inbox", "aaaa"), masked=frozenset({1}))
    assert [template.text for template in learner.templates().templates] == ["/inbox/{inboxName}"]


def test_versions_and_a_base_that_never_changes_stay_words() -> None:
    dated, learner = TemplateLearner(), TemplateLearner()
    for sid in range(30):
        for word in ("Calls", "Queues", "Media"):
            dated.observe("GET", ("2010-04-01", word, f"AC{sid:032x}.json"))
            learner.observe("GET", ("api", "v2beta1", word, str(sid)))
    assert text_of(dated, "/2010-04-01/Calls/AC00000000000000000000000000000007.json") == (
        "/2010-04-01/Calls/{callId}.json"
    )
    assert text_of(learner, "/api/v2beta1/Media/7") == "/api/v2beta1/Media/{mediaId}"


def flood(learner: TemplateLearner, times: int, seed: int = 0) -> int:
    """Returns the maximum number of nodes."""
    chance, most = random.Random(seed), 0
    for _ in range(times):
        path = tuple(
            f"{chance.choice('ghxyz')}{chance.getrandbits(40):x}q" for _ in range(chance.randint(1, 6))
        )
        learner.observe("GET", path, shape=chance.randrange(4))
        most = max(most, sum(1 for _ in learner._root.walk()) if learner._nodes > learner._most - 9 else 0)
    return most


def test_a_flood_of_distinct_paths_stays_within_the_bound_and_real_operations_survive_it() -> None:
    learner = learn(traffic(SHOP, 40, 1))
    before = {template.text for template in learner.templates().templates}
    learner._most = 4000
    assert flood(learner, 20_000) <= 4000 + MOST_SEGMENTS
    assert learner._nodes == sum(1 for _ in learner._root.walk())
    after = {template.text for template in learner.templates().templates}
    assert len(before - after) <= len(before) // 10


def test_a_flood_that_is_not_found_leaves_nothing() -> None:
    learner = TemplateLearner()
    for number in range(1000):
        learner.observe("GET", (f"backup{number}.zip",), status=404)
    assert learner._nodes == 1


def test_a_person_merges_names_and_types_what_later_traffic_adds_to() -> None:
    learner = TemplateLearner()
    learner.observe("GET", ("teams", "red", "score"))
    place = TemplatePlace(("teams",))
    learner.decide([MergeWords(place), Rename(place, "team"), Retype(place, ParameterType.DATE)])
    for team in ("blue", "green"):
        learner.observe("GET", ("teams", team, "score"))
    (template,) = learner.templates().templates
    assert (template.text, template.parameters[0].type) == ("/teams/{team}/score", ParameterType.DATE)
    assert template.parameters[0].values == 3


def test_a_person_splits_off_a_word_and_a_number() -> None:
    learner = TemplateLearner()
    place = TemplatePlace(("items",))
    learner.decide([MergeWords(place), Split(place, "latest"), Split(place, "404")])
    for word in ("a", "b", "latest", "404", "405"):
        learner.observe("GET", ("items", word))
    assert [template.text for template in learner.templates().templates] == [
        "/items/404",
        "/items/latest",
        "/items/{itemId}",
    ]


def test_decisions_below_a_parameter_find_their_place() -> None:
    learner = TemplateLearner()
    learner.decide([Rename(TemplatePlace(("users", "{}", "posts")), "number")])
    learner.observe("GET", ("users", "7", "posts", "8"))
    assert [template.text for template in learner.templates().templates] == ["/users/{userId}/posts/{number}"]


def test_given_templates_come_first_and_only_what_is_new_is_added() -> None:
    learner = TemplateLearner()
    learner.observe("GET", ("pets", "rex"))
    learner.set_given({"/pets/{petName}": frozenset()})
    learner.observe("GET", ("pets", "bella"))
    for name in ("bella", "rex", "tom"):
        learner.observe("GET", ("pets", name, "toys"))
    first, new = learner.templates().templates
    assert (first.text, first.origin, first.calls) == ("/pets/{petName}", TemplateOrigin.GIVEN, (("GET", 2),))
    assert (new.text, new.origin) == ("/pets/{petName}/toys", TemplateOrigin.LEARNT)


def test_what_became_of_a_template_is_told() -> None:
    learner = TemplateLearner()
    learner.observe("GET", ("teams", "red"))
    (old,) = learner.templates().templates
    learner.decide([MergeWords(TemplatePlace(("teams",)))])
    successor = learner.templates().successor(old)
    assert successor is not None
    assert successor.text == "/teams/{teamName}"


@pytest.mark.parametrize("calls", [3, 5, 10, 20])
def test_a_few_words_beside_numbers_or_uuids_are_words_of_the_api(calls: int) -> None:
    rng, learner = random.Random(1), TemplateLearner()
    for _ in range(calls):
        for path in (f"/users/{rng.randrange(900)}", f"/orders/{rng.getrandbits(128):032x}", "/users/me"):
            learner.observe("GET", segments(path), shape=1)
        for path in (f"/users/{rng.randrange(900)}/posts", "/users/me/posts"):
            learner.observe("GET", segments(path), shape=2)
        for path in (f"/products/{rng.randrange(90)}", "/products/new", "/products/search"):
            learner.observe("GET", segments(path), shape=3)
    assert {one.text for one in learner.templates().templates if "orders" not in one.text} == {
        "/users/{userId}",
        "/users/{userId}/posts",
        "/users/me",
        "/users/me/posts",
        "/products/{productId}",
        "/products/new",
        "/products/search",
    }


def test_many_names_beside_numbers_are_values_as_they_are() -> None:
    learner = TemplateLearner()
    for name in ("alpha", "beta", "gamma", "delta", "omega", "sigma", "kappa", "zeta", "17", "23"):
        learner.observe("GET", ("repos", name), shape=1)
    assert [one.text for one in learner.templates().templates] == ["/repos/{repoId}"]
