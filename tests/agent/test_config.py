"""Settings: command line over environment over default; an unusable value is refused in one sentence."""

import argparse
import socket
from pathlib import Path

import pytest

from agent import checks, cli, config
from agent.checks import SettingError
from agent.config import Settings
from agent.java.attach import FILES
from agent.options import OPTIONS, Option, add_options


def settings(*arguments: str, **environment: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_options(parser, environment)
    return config.settings(parser.parse_args(arguments))


SERVER = ("--server", "http://127.0.0.1:8080")


def test_the_defaults_are_safe() -> None:
    found = settings(*SERVER)
    assert found.status_listen == ("127.0.0.1", 9464)
    assert found.bodies
    assert found.java is None
    assert found.body_cap == 65536
    assert found.priority == "idle"
    assert found.agent == found.node == socket.gethostname()
    assert (found.spool.name, found.spool_bytes, found.spool_age_s) == ("spool", 256 * 1024 * 1024, 24 * 3600)
    assert not found.only_ports | found.except_ports | found.only_pids | found.except_pids


def test_every_option_can_be_given_as_environment_and_the_command_line_wins() -> None:
    environment = {
        "SPECTAP_SERVER": "https://spectap.example:8443/",
        "SPECTAP_PORT": "80,8080",
        "SPECTAP_HEADS_ONLY": "true",
        "SPECTAP_BODY_CAP": "1000",
    }
    found = settings(**environment)
    assert found.server == "https://spectap.example:8443"
    assert found.only_ports == {80, 8080}
    assert not found.bodies
    assert found.body_cap == 1000
    assert settings("--body-cap", "7", **environment).body_cap == 7


FLAGS = [option for option in OPTIONS if option.flag]


@pytest.mark.parametrize("word", ["1", "true", "YES", "On", "0", "False", "no", "off"])
def test_a_flag_is_on_or_off_as_its_variable_says(word: str) -> None:
    assert settings(*SERVER, SPECTAP_HEADS_ONLY=word).bodies is (word in {"0", "False", "no", "off"})


@pytest.mark.parametrize("option", FLAGS, ids=lambda option: option.name)
@pytest.mark.parametrize("word", ["enabled", "maybe", "", "2", "on off"])
def test_a_flag_whose_variable_says_neither_is_refused(option: Option, word: str) -> None:
    with pytest.raises(SettingError) as refused:
        settings(*SERVER, **{option.variable: word})
    sentence = "takes 1 or 0, true or false, yes or no, on or off"
    assert str(refused.value) == f"{option.variable} {sentence}"


ANY_TEXT = {
    *("--agent", "--node", "--cluster", "--process", "--cgroup", "--exclude-cgroup", "--aggregation-header"),
    *("--mask", "--keep", "--key-file", "--cache", "--spool"),
}
"""Options for which any text is valid: names, paths, and values checked later."""


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_that_takes_not_any_text_refuses_a_wrong_variable(option: Option) -> None:
    if option.name in ANY_TEXT:
        assert not option.flag
        assert not option.choices
        return
    with pytest.raises(SettingError, match=f"{option.name}|{option.variable}"):
        settings(**{"SPECTAP_SERVER": SERVER[1], option.variable: "/no such/thing"})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "--server is missing"),
        (("--server", "127.0.0.1:8080"), "--server is not an http"),
        (("--server", "http://x:99999999"), "--server is not an http"),
        ((*SERVER, "--port", "0"), "--port takes a whole number from 1 to 65535"),
        ((*SERVER, "--port", "http"), "--port takes a whole number"),
        ((*SERVER, "--pid", "-4"), "--pid takes a whole number"),
        ((*SERVER, "--body-cap", "1e9"), "--body-cap takes a whole number"),
        ((*SERVER, "--ring-mib", "48"), "--ring-mib takes a power of two"),
        ((*SERVER, "--spool-mib", "-1"), "--spool-mib takes a whole number from 0"),
        ((*SERVER, "--spool-hours", "0"), "--spool-hours takes a whole number from 1"),
        ((*SERVER, "--token-file", "/nowhere"), "--token-file /nowhere cannot be read"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        settings(*arguments)


@pytest.mark.parametrize("listen", ["127.0.0.1", ":1", "127.0.0.1:x", "[::1:1"])
def test_the_status_page_has_a_host_and_a_port(listen: str) -> None:
    with pytest.raises(SettingError, match=r"takes HOST:PORT, such as 127\.0\.0\.1:9464"):
        settings(*SERVER, "--status-listen", listen)


@pytest.mark.parametrize("listen", ["0.0.0.0:9464", "10.1.2.3:9464", "example.org:80"])
def test_the_status_page_is_for_loopback_only_without_a_token(listen: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="give --status-token-file, or listen at"):
        settings(*SERVER, "--status-listen", listen)
    token = tmp_path / "token"
    token.write_text("a-token-of-the-status\n")
    found = settings(*SERVER, "--status-listen", listen, "--status-token-file", str(token))
    assert found.status_token == "a-token-of-the-status"


@pytest.mark.parametrize("option", [option for option in OPTIONS if not option.flag])
def test_an_empty_value_is_refused_wherever_it_is_said(option: Option) -> None:
    for said in ((option.name, ""), (option.name, "x", option.name, "")) if not option.choices else ():
        with pytest.raises(SettingError, match=f"^{option.name} or {option.variable} is empty"):
            settings(*SERVER, *said)
    for text in ("", "80,,81") if option.many else ("",):
        with pytest.raises(SettingError, match=option.variable):
            settings(**{"SPECTAP_SERVER": SERVER[1], option.variable: text})


def test_a_cgroup_that_is_not_there_is_a_wrong_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", *SERVER, "--cgroup", "/nope"]) == 64
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "cgroup" in said


def test_a_token_is_read_from_its_file_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("abc123\n")
    assert settings(*SERVER, "--token-file", str(file)).token == "abc123"
    file.write_text("two words")
    with pytest.raises(SettingError) as refused:
        settings(*SERVER, "--token-file", str(file))
    assert "words" not in str(refused.value)


def test_java_is_refused_without_what_make_java_builds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(checks, "BUILT", tmp_path)
    with pytest.raises(SettingError, match="run make java"):
        settings(*SERVER, "--java")
    for name in FILES:
        (tmp_path / name).touch()
    assert settings(*SERVER, "--java").java == tmp_path
    with pytest.raises(SettingError, match="leave out one"):
        settings(*SERVER, "--java", "--no-capture", "--telemetry-listen", "127.0.0.1:9000")
