"""Where a function's programs are attached."""

from __future__ import annotations

import resource

from agent.probes.elf import Function
from agent.probes.programs import ENTRY, RETURN, SPARE_FILES, places, room_for_probes
from agent.probes.tls import HOOKS, OPENSSL, Hook

READ = Hook("enter", "leave", has_plaintext=True)


def test_a_function_whose_returning_instructions_are_known_gets_no_return_probe() -> None:
    found = list(places(READ, Function(100, (120, 130))))
    assert found == [("leave", ENTRY, 120), ("leave", ENTRY, 130), ("enter", ENTRY, 100)]


def test_of_another_the_return_is_attached_before_the_entry() -> None:
    assert list(places(READ, Function(100))) == [("leave", RETURN, 100), ("enter", ENTRY, 100)]


def test_a_function_that_is_only_entered_gets_one_probe() -> None:
    assert list(places(HOOKS["SSL_free"], Function(7, (9,)))) == [(OPENSSL.hooks["SSL_free"].entry, ENTRY, 7)]


def test_probes_take_the_open_files_that_the_system_allows_but_some() -> None:
    """Any user can map many copies of a library; without a file left, the agent would end."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] // 2, before[1]))
    try:
        assert room_for_probes() == before[1] - SPARE_FILES
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
