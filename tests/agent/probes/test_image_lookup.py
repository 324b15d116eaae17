"""The look-up of images: what hangs it hangs nobody else, and what comes late is reported."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from agent.probes import image_lookup
from agent.probes.image_lookup import ImageLookup
from tests.e2e.processes import wait_until

HANGS, NONE, FAILS = "hangs", "none", "fails"


class Files:
    """Stands in for the runtimes' files: reading those of HANGS waits until it may go on."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.go_on = threading.Event()

    def image(self, container: str) -> str | None:
        self.read.append(container)
        if container == HANGS:
            self.go_on.wait()
        if container == FAILS:
            raise ZeroDivisionError
        return None if container == NONE else f"image of {container}"


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture
def lookup(files: Files) -> Iterator[ImageLookup]:
    made = ImageLookup(files.image)
    yield made
    files.go_on.set()
    made.stop()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_lookup, "PATIENCE_S", 60.0)


@pytest.mark.usefixtures("patient")
def test_each_container_is_looked_up_once(files: Files, lookup: ImageLookup) -> None:
    for _ in range(2):
        assert (lookup.of("a"), lookup.of(NONE), lookup.of("b")) == ("image of a", None, "image of b")
    assert files.read == ["a", NONE, "b"]
    assert lookup.late() == {}
    assert lookup.hung() is None


@pytest.mark.usefixtures("patient")
def test_a_lookup_that_fails_is_no_image_and_ends_nothing(lookup: ImageLookup) -> None:
    assert (lookup.of(FAILS), lookup.of("a")) == (None, "image of a")


@pytest.mark.usefixtures("patient")
def test_what_is_known_is_bounded(files: Files, lookup: ImageLookup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_lookup, "MAX_KNOWN", 2)
    for container in ("a", "b", "c", "a"):
        assert lookup.of(container) == f"image of {container}"
    assert files.read == ["a", "b", "c", "a"]


def test_what_hangs_is_said_and_what_was_asked_meanwhile_is_reported_later(
    files: Files, lookup: ImageLookup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_lookup, "PATIENCE_S", 0.0)
    monkeypatch.setattr(image_lookup, "SLOW_S", 0.0)
    monkeypatch.setattr(image_lookup, "MAX_WAITING", 2)
    assert lookup.of(HANGS) is None
    wait_until(lambda: files.read == [HANGS], "the look-up to hang")
    assert [lookup.of(container) for container in ("a", NONE, "without room")] == [None] * 3
    assert f"container {HANGS} " in str(lookup.hung())
    files.go_on.set()
    wait_until(lambda: NONE in files.read and lookup.hung() is None, "the look-ups")
    assert lookup.late() == {HANGS: f"image of {HANGS}", "a": "image of a"}
    assert lookup.late() == {}
    assert "without room" not in files.read
