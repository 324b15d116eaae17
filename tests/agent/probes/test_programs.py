"""Where a function's programs are attached."""

from __future__ import annotations

import resource

from agent.probes.elf import Function
from agent.probes.programs import ENTRY, RETURN, SPARE_FILES, places, room_for_probes
from agent.probes.tls import OPENSSL

WRITE = "crypto/tls.(*Conn).Write"


def test_a_function_whose_returning_instructions_are_known_gets_no_return_probe() -> None:
    found = list(places({WRITE: Function(100, (120, 130))}))
    assert found == [("go_return", ENTRY, 120), ("go_return", ENTRY, 130), ("go_write", ENTRY, 100)]


def test_all_returns_are_attached_before_the_first_entry() -> None:
    functions = {"SSL_read": Function(100), "SSL_free": Function(300), "SSL_write": Function(200)}
    assert list(places(functions)) == [
        ("openssl_return", RETURN, 100),
        ("openssl_return", RETURN, 200),
        ("openssl_read", ENTRY, 100),
        ("openssl_free", ENTRY, 300),
        ("openssl_write", ENTRY, 200),
    ]


def test_a_function_that_is_only_entered_gets_one_probe() -> None:
    assert list(places({"SSL_free": Function(7, (9,))})) == [(OPENSSL.hooks["SSL_free"].entry, ENTRY, 7)]


def test_probes_take_the_open_files_that_the_system_allows_but_some() -> None:
    """Any user can map many copies of a library; without a file left, the agent would end."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] // 2, before[1]))
    try:
        assert room_for_probes() == before[1] - SPARE_FILES
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
