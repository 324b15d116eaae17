"""A watch knows what there is, through every way in which the API's answers end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.kube import watch as watches
from agent.kube.gateway_api import HttpRoute
from agent.kube.objects import KubernetesObject, Pod
from agent.kube.watch import LEAST_PAUSE_S, MOST_PAUSE_S, ObjectKind, Watch, pause_s
from tests.agent.kube.api import (
    HTTP_ROUTES,
    NAMESPACES,
    PODS,
    SECRET,
    Api,
    access_to,
    http_route,
    namespace,
    pod,
    serving,
)

OF_NODE = ObjectKind("pods", PODS, Pod, fields="spec.nodeName=node-1")
PATIENCE = 60.0


class Known:
    """A sink: the objects by name."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.lists = 0

    def replace(self, objects: Sequence[KubernetesObject]) -> None:
        self.lists += 1
        self.names = [one.metadata.name for one in objects]

    def put(self, one: KubernetesObject) -> None:
        self.names = [name for name in self.names if name != one.metadata.name] + [one.metadata.name]

    def remove(self, one: KubernetesObject) -> None:
        self.names = [name for name in self.names if name != one.metadata.name]


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.01)


@contextmanager
def following(url: str, folder: Path) -> Iterator[tuple[Watch[Pod], Known]]:
    known = Known()
    watch = Watch(access_to(url, folder), OF_NODE, known, pause=lambda failures: 0.01)
    watch.start()
    try:
        yield watch, known
    finally:
        watch.stop()


def lists(api: Api) -> list[dict[str, str]]:
    return [query for _, query, _ in api.asked if "watch" not in query]


def test_what_there_is_and_what_changes_of_the_selected_is_known(tmp_path: Path) -> None:
    api = Api()
    api.put(PODS, pod("one"))
    api.put(PODS, pod("elsewhere", node="node-2"))
    with serving(api) as url, following(url, tmp_path) as (watch, known):
        assert watch.wait(PATIENCE)
        assert known.names == ["one"]
        api.put(PODS, pod("two"))
        until(lambda: known.names == ["one", "two"], "an added pod")
        api.put(PODS, pod("one"))
        until(lambda: known.names == ["two", "one"], "a changed pod")
        api.remove(PODS, "two")
        until(lambda: known.names == ["one"], "a removed pod")
        assert watch.trouble is None
        assert known.lists == 1
        assert lists(api)[0]["resourceVersion"] == "0"  # from the API server's cache


def test_no_text_in_an_annotation_ends_the_watch(tmp_path: Path) -> None:
    api = Api()
    with serving(api) as url, following(url, tmp_path) as (watch, known):
        assert watch.wait(PATIENCE)
        api.put(PODS, pod("odd", annotations={"note": 'a\u0085b\u2028c\u2029d\ud7ff"}}'}))
        until(lambda: known.names == ["odd"], "the pod")
        assert watch.trouble is None


def test_a_long_list_comes_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "PAGE", 2)
    api = Api()
    for number in range(5):
        api.put(PODS, pod(f"pod-{number}"))
    with serving(api) as url, following(url, tmp_path) as (watch, known):
        assert watch.wait(PATIENCE)
        assert known.names == [f"pod-{number}" for number in range(5)]
        assert [query.get("continue") for query in lists(api)] == [None, "2", "4"]


def test_a_watch_that_ends_goes_on_from_where_it_was_without_a_list(tmp_path: Path) -> None:
    api = Api()
    with serving(api) as url, following(url, tmp_path) as (watch, known):
        assert watch.wait(PATIENCE)
        api.put(PODS, pod("one"))
        until(lambda: known.names == ["one"], "an added pod")
        api.end_watches()
        api.put(PODS, pod("two"))
        until(lambda: known.names == ["one", "two"], "a pod added after the end")
        assert len(lists(api)) == known.lists == 1


def test_a_bookmark_moves_it_on_past_changes_that_are_forgotten(tmp_path: Path) -> None:
    api = Api()
    with serving(api) as url, following(url, tmp_path) as (watch, known):
        assert watch.wait(PATIENCE)
        until(lambda: api.watches == 1, "the watch")
        api.put(PODS, pod("elsewhere", node="node-2"))
        api.bookmark(PODS)
        api.end_watches()
        until(lambda: api.watches == 1, "the next watch")
        assert api.asked[-1][1]["resourceVersion"] == str(api.version)
        assert api.asked[-1][1]["allowWatchBookmarks"] == "true"
        assert known.lists == 1


def test_after_410_all_are_listed_anew_and_what_has_gone_meanwhile_is_gone(tmp_path: Path) -> None:
    api = Api()
    api.put(PODS, pod("one"))
    with serving(api) as url, following(url, tmp_path) as (watch, known):
        assert watch.wait(PATIENCE)
        until(lambda: api.watches == 1, "the watch")
        with api.changed:
            del api.objects[PODS]["one"]
            api.objects[PODS]["two"] = pod("two")
            api.version += 1
        api.forget_changes()
        until(lambda: known.names == ["two"], "the second list")
        assert lists(api)[-1]["resourceVersion"] == ""  # the newest: the cache may be as old
        assert watch.trouble is None


def test_what_is_known_stays_while_the_api_is_away(tmp_path: Path) -> None:
    api = Api()
    api.put(PODS, pod("one"))
    with serving(api) as url:
        port = int(url.rpartition(":")[2])
        known = Known()
        watch = Watch(access_to(url, tmp_path), OF_NODE, known, pause=lambda failures: 0.01)
        watch.start()
        assert watch.wait(PATIENCE)
    try:
        until(lambda: watch.trouble is not None, "the API is away")
        assert "cannot be reached" in str(watch.trouble)
        assert known.names == ["one"]
        api.put(PODS, pod("two"))
        with serving(api, port):
            until(lambda: known.names == ["one", "two"], "the API is back")
            until(lambda: watch.trouble is None, "no trouble is left")
            assert known.lists == 1
    finally:
        watch.stop()


def test_a_renewed_token_is_read_anew(tmp_path: Path) -> None:
    api = Api()
    with serving(api) as url, following(url, tmp_path) as (watch, known):
        assert watch.wait(PATIENCE)
        api.token = "b"
        api.end_watches()
        until(lambda: watch.trouble is not None, "the old token is refused")
        assert "HTTP 401" in str(watch.trouble)
        (tmp_path / "token").write_text("b\n")
        api.put(PODS, pod("one"))
        until(lambda: known.names == ["one"], "the new token")


@pytest.mark.parametrize(
    ("status", "said"),
    [(403, "grant it these two verbs"), (500, "answers HTTP 500"), (302, "answers HTTP 302")],
)
def test_a_refusal_is_said_with_its_cure_and_without_the_answer(
    status: int, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    api = Api()
    api.refuses = status
    with serving(api) as url, following(url, tmp_path) as (watch, _):
        until(lambda: watch.trouble is not None, "the refusal")
        assert said in str(watch.trouble)
        assert SECRET not in caplog.text
        api.refuses = None
        assert watch.wait(PATIENCE)
        until(lambda: watch.trouble is None, "it is over")


def test_of_namespaces_only_metadata_is_asked_for(tmp_path: Path) -> None:
    api = Api()
    api.put(NAMESPACES, namespace("shop"))
    known = Known()
    kind = ObjectKind("namespaces", NAMESPACES, KubernetesObject, metadata_only=True)
    with serving(api) as url:
        watch = Watch(access_to(url, tmp_path), kind, known)
        watch.start()
        assert watch.wait(PATIENCE)
        until(lambda: api.watches == 1, "the watch")
        watch.stop()
    assert known.names == ["shop"]
    accepted = [headers["accept"] for _, _, headers in api.asked]
    assert accepted[0].startswith("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=1")
    assert accepted[1].startswith("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=1")


def test_pauses_grow_and_are_bounded() -> None:
    for failures in (1, 2, 5, 10_000):
        longest = min(MOST_PAUSE_S, LEAST_PAUSE_S * 2 ** min(failures - 1, 10))
        assert longest / 2 <= pause_s(failures) <= longest


def test_a_kind_that_the_cluster_does_not_have_is_no_trouble_and_is_found_once_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watches, "ABSENT_S", 0.01)
    api, known = Api(), Known()
    api.absent.add(HTTP_ROUTES)
    api.put(HTTP_ROUTES, http_route("web", "shop.test", backends=[]))
    kind = ObjectKind("httproutes", HTTP_ROUTES, HttpRoute, is_optional=True)
    with serving(api) as url:
        watch = Watch(access_to(url, tmp_path), kind, known)
        watch.start()
        try:
            until(lambda: known.lists > 1, "looking again")
            assert watch.is_listed
            assert (watch.trouble, known.names, caplog.messages) == (None, [], [])
            api.absent.clear()
            until(lambda: known.names == ["web"], "the kind")
            api.absent.add(HTTP_ROUTES)
            api.end_watches()
            until(lambda: known.names == [], "the kind's end")
        finally:
            watch.stop()
