"""The options of `spectap up` and its checks: one sentence each, with the remedy."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pytest

import server.up
from agent.options import OPTIONS
from server import agent_program
from server.up import options, programs
from server.up.options import Listen, UpError, check_host, free_listen, listen_of, options_of, port_of
from server.up.session import Up


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    options.add_arguments(parser)
    return parser.parse_args(arguments)


def test_without_arguments_it_listens_on_loopback_and_watches_everything() -> None:
    found = options_of(parsed())
    assert (str(found.listen), found.data, found.demo, found.ports) == ("127.0.0.1:8080", None, False, ())


def test_ports_may_be_repeated() -> None:
    assert options_of(parsed("--port", "80", "--port", "443")).ports == (80, 443)


def test_up_takes_every_filter_every_rule_of_redaction_and_the_cost_that_the_agent_has() -> None:
    theirs = {
        one.name: (one.flag, one.many)
        for one in OPTIONS
        if one.group in ("filters", "redaction", "cost", "java")
    }
    del theirs["--port"]  # up's own; the demo's ports are added
    assert {one.name: (one.metavar is None, one.many) for one in options.PASSED} == theirs


def test_what_is_the_agents_is_passed_on_as_it_is() -> None:
    words = ("--mask=-x", "--mask=nick", "--process", "nginx", "--heads-only", "--body-cap", "many")
    assert options_of(parsed(*words)).agent == (
        "--process=nginx",
        "--body-cap=many",
        "--heads-only",
        "--mask=-x",
        "--mask=nick",
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--body-cap=many",), "--body-cap takes a whole number from 0 to 16777216"),
        (("--exclude-pid=0",), "--exclude-pid takes a whole number from 1 to 2147483647"),
        (("--cpu=all",), "--cpu takes a number from 0 to 100"),
        (("--priority=high",), "argument --priority: invalid choice: 'high'"),
    ],
)
def test_what_the_agent_refuses_is_said_before_anything_starts(
    words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server.up, "check_host", lambda: None)
    monkeypatch.setattr(Up, "run", lambda up: pytest.fail("it started"))
    assert server.up.run(parsed(*words)) == 64
    shown = capsys.readouterr().err
    assert shown.startswith(f"spectap up: {said}")  # argparse adds the choices, in its version's way
    assert shown.count("\n") == 1


def test_what_the_agent_takes_lets_it_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.up, "check_host", lambda: None)
    monkeypatch.setattr(Up, "run", lambda up: 7)
    assert server.up.run(parsed("--mask", "nick", "--pid", "1")) == 7


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback", "url"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080, True, "http://127.0.0.1:8080"),
        ("localhost:1", "localhost", 1, True, "http://localhost:1"),
        ("[::1]:8080", "::1", 8080, True, "http://[::1]:8080"),
        ("0.0.0.0:80", "0.0.0.0", 80, False, "http://127.0.0.1:80"),
        ("[::]:80", "::", 80, False, "http://[::1]:80"),
        ("192.0.2.7:80", "192.0.2.7", 80, False, "http://192.0.2.7:80"),
    ],
)
def test_listen_addresses(text: str, host: str, port: int, loopback: bool, url: str) -> None:
    listen = listen_of(text)
    assert (listen.host, listen.port, listen.loopback, listen.url) == (host, port, loopback, url)
    assert str(listen) == text


@pytest.mark.parametrize(
    "text",
    ["", "8080", ":8080", "127.0.0.1", "example.org:80", "1.2.3.4:99999", "a@127.0.0.1:1", "[::1:1", "::1"],
)
def test_anything_else_is_a_usage_error(text: str) -> None:
    with pytest.raises(argparse.ArgumentError, match="not ADDRESS:PORT"):
        parsed("--listen", text)


@pytest.mark.parametrize("text", ["0", "65536", "-1", "http", "", "\N{SUPERSCRIPT TWO}"])
def test_a_port_is_a_number_in_range(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not a port"):
        port_of(text)


def test_port_zero_takes_a_free_one() -> None:
    assert free_listen(Listen("127.0.0.1", 0)).port > 0


def test_only_root_may(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert server.up.run(parsed()) == 1
    assert capsys.readouterr().err == (
        "spectap up: capturing other processes' traffic needs root: run it with sudo\n"
    )


def test_a_kernel_without_btf_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(options, "BTF", tmp_path / "vmlinux")
    with pytest.raises(UpError, match="CONFIG_DEBUG_INFO_BTF"):
        check_host()


def test_an_old_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 12))
    with pytest.raises(UpError, match=r"Python 3\.10, and spectap needs 3\.11"):
        check_host()


def test_an_installation_without_the_agent_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(agent_program, "find_spec", lambda name: None)
    with pytest.raises(UpError, match=r"agent is not installed .* `make setup`"):
        programs.installed()


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("in the way")
    with pytest.raises(UpError, match="choose another --data"):
        programs.tokens_in(tmp_path)
