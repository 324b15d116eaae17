"""Which files are TLS libraries: from a process's maps, and from the loader's cache."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.probes import targets

MAPS = """\
55d0c0a00000-55d0c0a2b000 r--p 00000000 fe:00 131 /usr/bin/curl
7f1000000000-7f1000020000 r--p 00000000 fe:00 77 /usr/lib/x86_64-linux-gnu/libssl.so.3
7f1000020000-7f1000080000 r-xp 00020000 fe:00 77 /usr/lib/x86_64-linux-gnu/libssl.so.3
7f1000090000-7f10000f0000 r-xp 00020000 fe:00 78 /opt/app with space/lib/libssl-1a2b3c.so.1.1
7f1000100000-7f1000180000 r-xp 00020000 fe:00 79 /usr/lib/libssl.so.1.1 (deleted)
7f1000190000-7f10001a0000 r-xp 00000000 fe:00 80 /usr/lib/python3/lib-dynload/_ssl.cpython-311.so (deleted)
7f10001b0000-7f10001c0000 r-xp 00000000 fe:00 81 /usr/lib/x86_64-linux-gnu/libcrypto.so.3
7f10001d0000-7f10001e0000 rwxp 00000000 00:00 0
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0 [stack]
"""


def cache_of(paths: list[str]) -> bytes:
    """A loader cache in ldconfig's format."""
    table, strings = b"", b""
    start_of_strings = targets.CACHE_HEADER + len(paths) * targets.CACHE_ENTRY.size
    for path in paths:
        key = start_of_strings + len(strings)
        strings += path.rsplit("/", 1)[-1].encode() + b"\0"
        value = start_of_strings + len(strings)
        strings += path.encode() + b"\0"
        table += targets.CACHE_ENTRY.pack(3, key, value, 0, 0)
    header = targets.CACHE_MAGIC + struct.pack("<II", len(paths), len(strings))
    return header.ljust(targets.CACHE_HEADER, b"\0") + table + strings


def test_libraries_are_found_in_executable_mappings_once_and_in_order() -> None:
    assert [file.path for file in targets.mapped_libraries(MAPS)] == [
        "/usr/lib/x86_64-linux-gnu/libssl.so.3",
        "/opt/app with space/lib/libssl-1a2b3c.so.1.1",
        "/usr/lib/libssl.so.1.1",
        "/usr/lib/python3/lib-dynload/_ssl.cpython-311.so",
    ]


def test_a_file_is_reached_by_its_path_or_if_it_is_gone_by_its_mapping() -> None:
    links = {file.path: file.link for file in targets.mapped_libraries(MAPS)}
    assert links["/usr/lib/x86_64-linux-gnu/libssl.so.3"] == "root/usr/lib/x86_64-linux-gnu/libssl.so.3"
    assert links["/usr/lib/libssl.so.1.1"] == "map_files/7f1000100000-7f1000180000"


def test_a_file_and_the_one_that_took_its_place_are_two() -> None:
    both = (
        "00400000-00500000 r-xp 0 fe:00 1 /lib/libssl.so (deleted)\n7f00-7f01 r-xp 0 fe:00 2 /lib/libssl.so\n"
    )
    assert [file.link for file in targets.mapped_libraries(both)] == [
        "map_files/400000-500000",
        "root/lib/libssl.so",
    ]


def test_what_an_agent_brought_and_took_back_is_no_library() -> None:
    stub = "7f00-7f01 r-xp 0 fe:00 1 /tmp/.spectap-java-1a/libspectap_java.so"
    assert targets.mapped_libraries(f"{stub}\n")
    assert not targets.mapped_libraries(f"{stub} (deleted)\n")


def test_the_loaders_cache_names_every_libssl_and_nothing_else() -> None:
    cache = cache_of(["/lib/libcrypto.so.3", "/lib/libssl.so.3", "/opt/libssl.so.1.1", "/lib/libssl.so.3"])
    assert targets.loader_libraries(cache) == ["/lib/libssl.so.3", "/opt/libssl.so.1.1"]


def test_an_old_format_in_front_of_the_cache_is_skipped() -> None:
    cache = b"ld.so-1.7.0\0" + b"\0" * 100 + cache_of(["/lib/libssl.so.3"])
    assert targets.loader_libraries(cache) == ["/lib/libssl.so.3"]


@pytest.mark.parametrize(
    "path", ["/d" * 3000 + "/libssl.so", "/libssl" + "x" * 400 + ".so", "/libssl" + ".so" * 100_000 + "/"]
)
def test_what_is_too_long_for_a_path_or_a_name_is_no_library(path: str) -> None:
    """The last one would take minutes to match, during which the whole agent stands still."""
    assert targets.loader_libraries(cache_of([path, "/lib/libssl.so.3"])) == ["/lib/libssl.so.3"]


@given(st.binary(max_size=400))
def test_any_bytes_behind_the_magic_number_are_names_or_nothing(noise: bytes) -> None:
    assert isinstance(targets.loader_libraries(targets.CACHE_MAGIC + noise), list)


@given(st.text(max_size=400))
def test_any_text_is_a_list_of_libraries(text: str) -> None:
    assert isinstance(targets.mapped_libraries(text), list)
