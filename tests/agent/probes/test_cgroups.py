"""Processes are selected by cgroup, including all descendants; a cgroup that cannot be used gives the
reason.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.events import Chunk, Direction
from agent.ledger import Bytes
from agent.probes import cgroups
from agent.probes.cgroups import MOUNTS, CgroupError, find, find_all, mounted
from agent.probes.kernel import CaptureFilters
from tests.agent.probes.watch import Watch, watching

HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw shared:9 - cgroup2 cgroup2 rw
"""
TEXT = b"GET /cgroup HTTP/1.1\r\nHost: test\r\n\r\n"
CLIENT = """
import socket, sys
sys.stdin.readline()
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as client:
    client.sendall(sys.argv[2].encode())
    client.recv(1)
"""


def test_mounts_are_told_by_their_type() -> None:
    assert mounted("cgroup2", HYBRID) == [Path("/sys/fs/cgroup/uni fied")]
    assert mounted("cgroup", HYBRID) == [Path("/sys/fs/cgroup/memory")]


def test_a_host_without_version_2_says_so() -> None:
    with pytest.raises(CgroupError, match="not mounted"):
        find("/system.slice", HYBRID)


def test_more_than_the_kernel_side_has_room_for_is_refused() -> None:
    with pytest.raises(CgroupError, match="at most 16"):
        find_all(["/"] * 9, ["/"] * 8)


def test_the_kernel_side_has_as_much_room() -> None:
    header = Path(__file__).parents[3] / "bpf/maps.h"
    assert f"#define CGROUPS_MAX {cgroups.MAX} " in header.read_text()


@contextmanager
def created(name: str, *below: str) -> Iterator[Path]:
    """A new cgroup, with others below it in the order in which they can be made."""
    places = mounted("cgroup2", MOUNTS.read_text())
    if not places or places[0].stat().st_ino != cgroups.ROOT_ID:
        pytest.skip("cgroup v2 is not mounted here")
    own = places[0] / f"spectap-test-{os.getpid()}{name}"
    folders = [own, *(own / path for path in below)]
    for folder in folders:
        folder.mkdir()
    yield own
    for folder in reversed(folders):
        folder.rmdir()


@pytest.fixture
def hierarchy() -> Iterator[Path]:
    """A new cgroup with two descendants."""
    with created("", "in", "in/below") as own:
        yield own


@pytest.mark.root
def test_a_cgroup_is_found_by_folder_and_by_its_path_in_the_hierarchy(hierarchy: Path) -> None:
    text = MOUNTS.read_text()
    found = find(str(hierarchy / "in"), text)
    assert (found.id, found.level) == ((hierarchy / "in").stat().st_ino, 2)
    assert find(f"/{hierarchy.name}/in", text) == found
    assert find("/", text) == cgroups.Cgroup(cgroups.ROOT_ID, 0)
    with pytest.raises(CgroupError, match="there is no cgroup"):
        find(f"/{hierarchy.name}/none", text)
    for old in mounted("cgroup", text):
        with pytest.raises(CgroupError, match="version 1"):
            find(str(old), text)


@pytest.mark.root
def test_a_process_is_in_its_cgroup_and_in_all_above(hierarchy: Path) -> None:
    below = hierarchy / "in/below"
    expected = {folder.stat().st_ino for folder in (below, below.parent, hierarchy)} | {cgroups.ROOT_ID}
    lines = f"7:cpu:/elsewhere\n0::/{hierarchy.name}/in/below\n"
    assert cgroups.ids_of(lines.encode()) == expected
    assert cgroups.ids_of(b"0::/\n") == {cgroups.ROOT_ID}
    assert cgroups.ids_of(b"") == cgroups.ids_of(lines.encode(), HYBRID) == set()


@pytest.mark.root
def test_only_what_is_in_a_watched_cgroup_and_in_no_excluded_one_is_told(hierarchy: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        filters = CaptureFilters(
            only_ports=frozenset({port}),
            only_cgroups=(str(hierarchy),),
            except_cgroups=(f"/{hierarchy.name}/in/below",),
        )
        with watching(filters) as watch:
            for folder in (hierarchy.parent, hierarchy / "in" / "below", hierarchy, hierarchy / "in"):
                call_from(folder, listening)
            inside = 2 * len(TEXT)
            watch.until(lambda: length(sent_to(watch, port)) >= inside, "the calls from inside")
            watch.until(lambda: watch.lost(Bytes.FILTERED) >= inside, "the calls from elsewhere")
            assert [chunk.data for chunk in sent_to(watch, port)] == [TEXT] * 2


def call_from(folder: Path, listening: socket.socket) -> None:
    """A process in this cgroup sends TEXT and receives one byte."""
    argv = [sys.executable, "-c", CLIENT, str(listening.getsockname()[1]), TEXT.decode()]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as process:
        (folder / "cgroup.procs").write_text(str(process.pid))
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
        server, _ = listening.accept()
        with server:
            left = len(TEXT)
            while left:
                left -= len(server.recv(left))
            server.sendall(b".")
            process.wait(60)


def length(chunks: list[Chunk]) -> int:
    return sum(chunk.length for chunk in chunks)


def sent_to(watch: Watch, port: int) -> list[Chunk]:
    told = (event for event in watch.told if isinstance(event, Chunk))
    return [c for c in told if c.direction is Direction.SENT and c.peer and c.peer.port == port]
