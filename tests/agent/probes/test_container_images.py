"""Processes get the image of their container, at once or later, and only while they run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.events import ProcessSeen
from agent.probes import container_images
from agent.probes.container_images import ContainerImages

A, B = "a" * 64, "b" * 64


class Found:
    """Stands in for the look-up: the images known now, and those found since."""

    def __init__(self, **known: str) -> None:
        self.known, self.since = known, dict[str, str]()

    def of(self, container: str) -> str | None:
        return self.known.get(container)

    def late(self) -> dict[str, str]:
        since, self.since = self.since, {}
        return since


def process(pid: int, container: str | None = None) -> ProcessSeen:
    cgroup = None if container is None else f"/system.slice/docker-{container}.scope"
    return ProcessSeen(time_ns=1, pid=pid, start_ticks=5, name="app", executable="/app", cgroup=cgroup)


def test_a_process_of_a_container_has_its_image_and_others_none() -> None:
    images = ContainerImages(Found(**{A: "shop:1"}))
    assert images.describe(process(1, A)) == replace(process(1, A), image="shop:1")
    assert images.describe(process(2)) == process(2)
    assert images.describe(process(3, B)) == process(3, B)


def test_a_running_process_is_described_again_once_its_image_is_found() -> None:
    found = Found()
    images = ContainerImages(found)
    for pid, container in ((1, A), (2, A), (3, B), (4, A)):
        images.describe(process(pid, container))
    images.end(2)
    images.describe(process(4))  # a new process with that pid
    found.since = {A: "shop:1"}
    assert [*images.late()] == [replace(process(1, A), image="shop:1")]
    found.since = {A: "shop:1"}
    assert [*images.late()] == []


def test_processes_without_an_image_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_images, "MAX_PROCESSES", 2)
    found = Found()
    images = ContainerImages(found)
    for pid in range(5):
        images.describe(process(pid, A))
    found.since = {A: "shop:1"}
    assert [one.pid for one in images.late()] == [3, 4]
