"""TLS libraries in another user's root file system: real folders, links and pipes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.probes import roots
from agent.probes.roots import libraries, opened, resolved
from tests.agent.probes.test_targets import cache_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    (folder / "lib").symlink_to("usr/lib")
    return folder


def test_where_the_loader_has_a_cache_it_says_what_is_there(root: Path) -> None:
    (root / "etc").mkdir()
    (root / "etc/ld.so.cache").write_bytes(cache_of(["/lib/x86_64-linux-gnu/libssl.so.3", "/opt/libc.so.6"]))
    (root / "usr/lib/libssl.so.1.1").touch()
    assert libraries(str(root)) == ["/usr/lib/x86_64-linux-gnu/libssl.so.3"]


def test_without_a_cache_the_loaders_folders_are_searched(root: Path) -> None:
    for name in ("libssl.so.3", "libc.so", "x86_64-linux-gnu/libssl.so.1.1"):
        (root / "usr/lib" / name).touch()
    (root / "usr/local/lib").mkdir(parents=True)
    (root / "usr/local/lib/libssl.so").symlink_to("/usr/lib/libssl.so.3")
    (root / "home").mkdir()
    (root / "home/libssl.so.3").touch()
    assert libraries(str(root)) == ["/usr/lib/libssl.so.3", "/usr/lib/x86_64-linux-gnu/libssl.so.1.1"]


@pytest.mark.parametrize(
    ("links", "path", "expected"),
    [
        ({"lib": "usr/lib"}, "/lib/a", "/usr/lib/a"),
        ({"usr/lib/a": "/usr/b"}, "/lib/a", "/usr/b"),
        ({"usr/lib/a": "../../../../../../etc/passwd"}, "/lib/a", "/etc/passwd"),
        ({"usr/lib/a": "/proc/self/root/etc/passwd"}, "/lib/a", "/proc/self/root/etc/passwd"),
        ({"usr/lib/a": "b", "usr/lib/b": "a"}, "/lib/a", "/lib/a"),
        ({}, "/./lib//nothing/../there", "/usr/lib/there"),
    ],
)
def test_links_are_followed_within_the_root(
    root: Path, links: dict[str, str], path: str, expected: str
) -> None:
    for name, target in links.items():
        if not (root / name).is_symlink():
            (root / name).symlink_to(target)
    assert resolved(str(root), path) == expected


def test_a_folder_of_countless_names_is_read_up_to_a_bound(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roots, "MAX_LISTED", 3)
    for number in range(9):
        (root / f"usr/lib/libssl.so.{number}").touch()
    assert len(libraries(str(root))) <= 3


@pytest.mark.parametrize("spoil", ["pipe", "folder", "link", "device"])
def test_only_a_regular_file_is_opened_and_nothing_is_waited_for(root: Path, spoil: str) -> None:
    path = root / "libssl.so.3"
    if spoil == "pipe":
        os.mkfifo(path)
    elif spoil == "folder":
        path.mkdir()
    elif spoil == "link":
        path.symlink_to("/etc/passwd")
    else:
        path = Path("/dev/null")
    with pytest.raises(OSError, match=r"libssl|null"):
        opened(str(path))


def test_a_cache_that_is_a_pipe_or_huge_is_no_trouble(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "etc").mkdir()
    os.mkfifo(root / "etc/ld.so.cache")
    (root / "usr/lib/libssl.so.3").touch()
    assert libraries(str(root)) == ["/usr/lib/libssl.so.3"]
    (root / "etc/ld.so.cache").unlink()
    (root / "etc/ld.so.cache").write_bytes(cache_of(["/usr/lib/libssl.so.3"]))
    monkeypatch.setattr(roots, "MAX_CACHE", 10)
    assert libraries(str(root)) == []


def test_one_root_has_one_key_whoever_sees_it() -> None:
    assert roots.key_of(os.getpid()) == roots.key_of(os.getpid()) is not None
    assert roots.key_of(2**22 + 1) is None
