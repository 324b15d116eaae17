"""Pods arrive among a source's events, and the kernel is told which are captured."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.events import Event, PodGone, PodSeen, PodsWatched, Tick
from agent.kubernetes import node_pods
from agent.kubernetes.choice import ANNOTATED, CAPTURE, CaptureChoice, PodSettings
from agent.kubernetes.kernel_choice import CgroupFinder
from agent.kubernetes.node_pods import NodePods, NoPods
from agent.probes.cgroups import Cgroup
from agent.wire import Resident
from tests.agent.kube.api import NAMESPACES, PODS, SECRET, UID, Api, access_to, namespace, pod, serving

PATIENCE = 60.0
CGROUP = Cgroup(11, 2)
FINDER = CgroupFinder(lambda: {Path("/kubepods"): Cgroup(7, 1)}, lambda folders: {UID: CGROUP})


class Node:
    """A node with an API; `until` reads events until one of this type comes."""

    def __init__(self, url: str, folder: Path, choice: CaptureChoice) -> None:
        self.table: dict[Cgroup, bool | None] = {}
        settings = PodSettings(access_to(url, folder), "node-1", "east", choice)
        self.pods = NodePods(settings, self.table.__setitem__, FINDER)
        self.changes = 0
        self._events = self.pods.woven(self._ticks(), self._changed)

    def _changed(self) -> None:
        self.changes += 1

    def _ticks(self) -> Iterator[Event]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            threading.Event().wait(0.01)
            yield Tick(time.monotonic_ns())

    def until(self, kind: type[Event]) -> Event:
        return next(event for event in self._events if isinstance(event, kind))


@pytest.mark.parametrize("mode", ["all", ANNOTATED])
def test_pods_are_among_the_events_and_the_kernel_knows_who_opted_out(mode: str, tmp_path: Path) -> None:
    api = Api()
    api.put(NAMESPACES, namespace("shop"))
    api.put(PODS, pod(annotations={CAPTURE: "true"}))
    with serving(api) as url:
        node = Node(url, tmp_path, CaptureChoice(mode))
        assert any("not captured until" in note for note in node.pods.notes)
        node.pods.start()
        try:
            watched = node.until(PodsWatched)
            assert isinstance(watched, PodsWatched)
            assert watched.unknown is watched.others is (mode == "all")
            seen = node.until(PodSeen)
            assert isinstance(seen, PodSeen)
            assert (seen.uid, seen.captured) == (UID, True)
            assert seen.time_ns > 0
            api.put(PODS, pod(annotations={CAPTURE: "false"}))
            seen = node.until(PodSeen)
            assert isinstance(seen, PodSeen)
            assert not seen.captured
            assert node.table[CGROUP] is (False if mode == "all" else None)
            api.remove(PODS, pod()["metadata"]["name"])
            gone = node.until(PodGone)
            assert isinstance(gone, PodGone)
            assert gone.uid == UID
            assert node.table[CGROUP] is None
            assert [*node.pods.notes] == []
        finally:
            node.pods.stop()


def test_the_server_is_told_of_pods_when_they_change_and_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Api()
    api.put(NAMESPACES, namespace("shop"))
    api.put(PODS, pod())
    with serving(api) as url:
        node = Node(url, tmp_path, CaptureChoice())
        assert node.pods.residents() is None
        node.pods.start()
        try:
            node.until(PodSeen)
            node.until(Tick)
            assert node.changes == 1
            told = node.pods.residents()
            assert told is not None
            assert (told.cluster, told.node) == ("east", "node-1")
            assert told.pods == (
                Resident(
                    ips=("10.1.0.5",),
                    pod="cart-7d4b9c6f5-abcde",
                    namespace="shop",
                    workload="cart",
                    workload_kind="Deployment",
                    labels={
                        "app.kubernetes.io/name": "cart",
                        "helm.sh/chart": "shop-1.2.3",
                        "meta.helm.sh/release-name": "shop",
                    },
                    since=1_795_435_200_000_000_000,
                ),
            )
            assert SECRET not in str(told)
            assert node.pods.residents() is None
            api.put(PODS, pod(ip="10.1.0.6"))
            node.until(PodSeen)
            told = node.pods.residents()
            assert told is not None
            assert told.pods[0].ips == ("10.1.0.6",)
            monkeypatch.setattr(node_pods, "REPEAT_S", 0.0)
            assert node.pods.residents() == told
        finally:
            node.pods.stop()


def test_a_node_without_pods_has_probably_another_name(tmp_path: Path) -> None:
    api = Api()
    api.put(PODS, pod(node="node-2"))
    with serving(api) as url:
        node = Node(url, tmp_path, CaptureChoice())
        node.pods.start()
        try:
            deadline = time.monotonic() + PATIENCE
            while not any("--node" in note for note in node.pods.notes):
                assert time.monotonic() < deadline
                node.until(Tick)
        finally:
            node.pods.stop()


def test_without_kubernetes_the_events_are_as_they_were() -> None:
    events: list[Event] = [Tick(1), Tick(2)]
    assert [*NoPods().woven(events)] == events
    assert NoPods().captures(1)
    assert [*NoPods().notes] == []
