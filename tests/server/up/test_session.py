"""`spectap up` as a whole, with stand-ins for its children: the order of events, and how it ends."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from server.up.options import Listen, UpError, UpOptions
from server.up.programs import Installation
from server.up.screen import Screen
from server.up.session import Up

FAKE = Path(__file__).with_name("fake_program.py")
PATIENCE_S = 60.0


class Reacting(io.StringIO):
    """A screen that reacts when a text appears on it."""

    def __init__(self, *reactions: tuple[str, Callable[[], None]]) -> None:
        super().__init__()
        self._reactions = list(reactions)

    def write(self, text: str) -> int:
        if self._reactions and self._reactions[0][0] in text:
            self._reactions.pop(0)[1]()
        return super().write(text)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


class House:
    """Stand-ins, and a log of what happened to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.log.touch()

    def programs(self, **behaviours: str) -> Installation:
        def fake(role: str) -> tuple[str, ...]:
            return (sys.executable, str(FAKE), str(self.log), role, behaviours.get(role, "well"))

        return Installation(
            server=fake("server"),
            agent=fake("agent"),
            orders=fake("orders"),
            payments=fake("payments"),
            shop=fake("shop"),
        )

    def options(self, **changes: object) -> UpOptions:
        values: dict[str, object] = {
            "listen": Listen("127.0.0.1", 0),
            "data": self.folder / "data",
            "demo": False,
            "ports": (),
            "agent": (),
            "open_to_local_users": False,
            "log_json": False,
            "verbose": False,
        }
        return UpOptions(**{**values, **changes})  # type: ignore[arg-type]

    def run(self, out: io.StringIO, options: UpOptions | None = None, **behaviours: str) -> int:
        chosen = options or self.options()
        return Up(chosen, self.programs(**behaviours), Screen(chosen.log_json, out)).run()

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()

    def happened(self) -> list[str]:
        """The log without the arguments."""
        return [" ".join(line.split()[:2]) if "started" in line else line for line in self.lines()]

    def started(self, role: str) -> str:
        """The line with the role's arguments."""
        return next(line for line in self.lines() if line.startswith(f"{role} started"))

    def pids(self) -> list[int]:
        return [int(line.split()[2]) for line in self.lines() if " started " in line]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.mark.parametrize("ask", [interrupt, terminate])
def test_the_agent_stops_before_the_server_and_shows_its_progress(
    house: House, ask: Callable[[], None]
) -> None:
    out = Reacting(("Ctrl-C stops", ask))
    assert house.run(out) == 0
    happened = house.happened()
    assert set(happened[:2]) == {"server started", "agent started"}
    assert happened[2:] == [
        "agent asked to stop",
        "agent ended",
        "server asked to stop",
        "server ended",
    ]
    shown = out.getvalue()
    assert "of 3 probes detached" in shown
    assert shown.index("stopping") < shown.index("probes detached") < shown.index("stopped")


def test_it_says_what_is_watched_where_to_look_and_what_was_counted(house: House) -> None:
    out = Reacting(("bytes lost", interrupt))
    house.run(out)
    shown = out.getvalue()
    assert "(through tracepoints)" in shown
    assert "capturing TLS in openssl: /usr/lib/libssl.so.3" in shown
    assert "open http://127.0.0.1:" in shown
    assert "617 exchanges · 1 API · 3 operations · 2 undocumented · 7 bytes lost" in shown
    assert "stopped: 1,234 views of exchanges captured, 1,230 stored, 3 lost" in shown
    assert "5,007 bytes seen = 5,000 parsed + 7 late, balanced" in shown
    assert "1,234 exchanges parsed = 1,230 shipped + 3 refused + 1 in_flight, balanced" in shown


def test_it_says_what_is_captured_only_once_the_agent_has_said_so(house: House) -> None:
    out = Reacting(("Ctrl-C stops", interrupt))
    assert house.run(out, agent="shy") == 0
    shown = out.getvalue()
    assert "capturing TLS in openssl: /usr/lib/libssl.so.3" in shown
    assert "unknown means" not in shown
    assert "no TLS library found" not in shown


def test_it_says_where_the_agents_status_is_and_it_is_there(house: House) -> None:
    out = Reacting(("Ctrl-C stops", interrupt))
    house.run(out)
    address = house.started("agent").split("--status-listen ")[1].split()[0]
    assert f"the agent's status: http://{address}/status\n" in out.getvalue()


def test_with_log_json_every_line_is_json(house: House) -> None:
    out = Reacting(("bytes lost", interrupt))
    assert house.run(out, house.options(log_json=True)) == 0
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert all({"time", "from", "message"} <= set(line) for line in lines)
    assert any(line.get("exchanges") == 1234 for line in lines)


def test_the_agent_is_told_not_to_watch_us(house: House) -> None:
    house.run(Reacting(("Ctrl-C stops", interrupt)), house.options(ports=(80, 8443)))
    server, agent = house.started("server"), house.started("agent")
    assert f"--exclude-pid {os.getpid()}" in agent
    assert f"--exclude-pid {server.split()[2]}" in agent
    assert "--port 80 --port 8443" in agent
    assert "token" not in agent


def test_the_agent_gets_the_options_that_are_its_own(house: House) -> None:
    house.run(Reacting(("Ctrl-C stops", interrupt)), house.options(agent=("--mask=nick", "--heads-only")))
    assert "--mask=nick --heads-only" in house.started("agent")


def test_a_listen_address_beyond_loopback_gets_tokens_that_only_root_reads(house: House) -> None:
    out = Reacting(("Ctrl-C stops", interrupt))
    assert house.run(out, house.options(listen=Listen("0.0.0.0", 0))) == 0
    ingest, admin = house.folder / "data/tokens/ingest", house.folder / "data/tokens/admin"
    assert [path.stat().st_mode & 0o777 for path in (ingest, admin)] == [0o600, 0o600]
    assert ingest.read_text() != admin.read_text()
    assert str(admin) in out.getvalue()
    assert ingest.read_text().strip() not in out.getvalue() + house.log.read_text()
    server, agent = house.started("server"), house.started("agent")
    assert str(ingest) in server
    assert str(ingest) in agent
    assert str(admin) not in agent


def test_a_second_request_is_advised_against_and_the_stop_goes_on(house: House) -> None:
    out = Reacting(("Ctrl-C stops", interrupt), ("stopping:", interrupt))
    assert house.run(out) == 0
    assert "waiting is best" in out.getvalue()
    assert house.happened()[-1] == "server ended"


def test_a_third_request_kills(house: House) -> None:
    out = Reacting(("Ctrl-C stops", interrupt), ("stopping:", interrupt), ("waiting is best", interrupt))
    assert house.run(out, agent="stuck") == 1
    assert "killing all processes" in out.getvalue()
    assert "agent ended" not in house.lines()
    assert not any(is_running(pid) for pid in house.pids())


@pytest.mark.parametrize("victim", ["agent", "server"])
def test_when_one_child_dies_the_other_is_stopped(house: House, victim: str) -> None:
    out = io.StringIO()
    assert house.run(out, None, **{victim: "dies"}) == 1
    assert f"the {victim} ended (exit code 9)" in out.getvalue()
    other = {"agent": "server", "server": "agent"}[victim]
    started = any(line.startswith(f"{other} started") for line in house.lines())
    assert (f"{other} ended" in house.lines()) == started
    assert not any(is_running(pid) for pid in house.pids())


@pytest.mark.parametrize("victim", ["agent", "server"])
def test_what_a_child_says_when_it_cannot_start_is_relayed(house: House, victim: str) -> None:
    out = io.StringIO()
    assert house.run(out, None, **{victim: "fails"}) == 1
    assert f"{victim}: the flux compensator is missing: buy one\n" in out.getvalue()
    assert f"spectap up: the {victim} ended (exit code 1); see its messages above\n" in out.getvalue()


def test_a_program_that_is_not_there_is_a_sentence(house: House) -> None:
    out = io.StringIO()
    programs = house.programs()
    lost = Installation(programs.server, ("/nowhere/spectap-agent",), ("",), ("",), ("",))
    assert Up(house.options(), lost, Screen(False, out)).run() == 1
    assert "agent: /nowhere/spectap-agent: No such file or directory" in out.getvalue()


def test_a_taken_port_is_a_sentence_and_nothing_is_started(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = Listen("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(
            UpError, match=r"cannot listen at .* in use\): choose another address with --listen"
        ):
            house.run(io.StringIO(), house.options(listen=listen))
    assert house.lines() == []


def test_the_demo_uploads_its_specification_before_its_shop_opens_and_shows_deviations(house: House) -> None:
    out = Reacting(("deviation, enum", interrupt))
    assert house.run(out, house.options(demo=True, ports=(80,))) == 0
    happened = house.happened()
    assert happened.index("server POST /api/v1/specs") < happened.index("shop started")
    assert happened.index("agent started") < happened.index("shop started")
    assert happened.index("shop asked to stop") < happened.index("agent asked to stop")
    assert happened.index("agent ended") < happened.index("server asked to stop")
    agent = house.started("agent")
    assert agent.count("--port 1234") == 2  # the demo's own ports are added to the filter
    shown = out.getvalue()
    assert "deviation, type: GET /v1/orders, query colour: \N{REPLACEMENT CHARACTER}[31m" in shown


def test_the_demo_keeps_nothing_unless_told_where(house: House) -> None:
    house.run(Reacting(("Ctrl-C stops", interrupt)), house.options(demo=True, data=None))
    server = house.started("server").split()
    assert not Path(server[server.index("--data") + 1]).exists()


def test_a_screen_that_goes_away_stops_nothing(house: House) -> None:
    class Closed(Reacting):
        def write(self, text: str) -> int:
            super().write(text)
            if "Ctrl-C stops" in text:
                raise BrokenPipeError
            return len(text)

    assert house.run(Closed(("Ctrl-C stops", interrupt))) == 0
    assert house.happened()[-1] == "server ended"


def test_children_do_not_outlive_a_killed_parent(house: House) -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[2:];"
        "from pathlib import Path; from test_session import House;"
        "house = House(Path(sys.argv[1])); house.run(sys.stdout, agent='quick')"
    )
    root = Path(__file__).parents[3]
    command = [sys.executable, "-u", "-c", program, str(house.folder), str(FAKE.parent), str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        assert any("Ctrl-C stops" in line for line in up.stdout)
        up.kill()
    assert len(house.pids()) == 2
    deadline = time.monotonic() + PATIENCE_S
    while any(is_running(pid) for pid in house.pids()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert {"agent ended", "server ended"} <= set(house.lines())


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
