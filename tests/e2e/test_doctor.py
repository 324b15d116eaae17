"""The doctor on this host: it captures its own calls, recognises real programs, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.probes.tls import GO
from tests.e2e import bpf_programs, go_programs
from tests.e2e.doctor_schema import assert_valid
from tests.e2e.processes import REPOSITORY, Running, environment, running, wait_until
from tests.e2e.spectap import PATIENCE_TO_STOP, command

pytestmark = pytest.mark.root

SECRET = "--password=hunter2-in-the-arguments"
NOBODY = 65534
GO_SOURCE = """package main
import ("crypto/tls"; "net"; "fmt")
func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil { panic(err) }
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	tls.NewListener(l, &tls.Config{}).Accept()
}
"""
PYTHON_SERVER = """
import socket, sys
%s
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""
START_32 = 'asm(".globl _start\\n_start: mov $29, %eax\\n int $0x80\\n jmp _start");'  # pause(2), for ever


def doctor(
    *arguments: str, uid: int | None = None, path: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [command("spectap-agent"), "doctor", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_TO_STOP,
        cwd=REPOSITORY,
        env=environment() | ({"PATH": path} if path else {}),
        user=uid,
        check=False,
    )


def document(*arguments: str) -> Any:
    """The JSON of one quick run."""
    done = doctor("--json", "--no-self-test", *arguments)
    assert done.returncode in (0, 2, 3), done.stderr
    return assert_valid(done.stdout)


def views(pid: int) -> dict[str, dict[str, Any]]:
    """The report on one process."""
    (program,) = document("--pid", str(pid))["programs"]
    assert program["pids"] == [pid]
    return {view["of"]: view for view in program["views"]}


@contextmanager
def python_server(folder: Path, *imports: str, name: str = "server") -> Iterator[Running]:
    code = PYTHON_SERVER % "\n".join(f"import {module}" for module in imports)
    with running(name, [sys.executable, "-c", code, SECRET], folder, stdin=True) as process:
        process.first_line()
        yield process


def build(path: Path, source: str, *flags: str) -> Path:
    compiler = shutil.which("cc") or pytest.skip("no C compiler")
    done = subprocess.run([compiler, "-x", "c", "-", "-o", path, *flags], input=source.encode(), check=False)
    if done.returncode:
        pytest.skip(f"the compiler cannot: {' '.join(flags)}")
    return path


def test_the_self_test_sees_its_calls_and_nothing_stays_behind() -> None:
    before = bpf_programs.loaded()
    done = doctor("--json", "--pid", str(os.getpid()))
    found = assert_valid(done.stdout)
    assert {check["subject"]: check["state"] for check in found["host"]}["programs"] == "ok"
    outcomes = {trial["protocol"]: trial["outcome"] for trial in found["self_test"]["trials"]}
    assert outcomes == {"plain": "seen", "tls": "seen", "h2": "seen"}
    assert done.returncode == {"all": 0, "some": 2}[found["sees"]]
    assert not bpf_programs.loaded() - before
    assert "detached" in done.stderr


def test_without_the_openssl_command_the_tls_call_is_skipped_with_the_reason(tmp_path: Path) -> None:
    done = doctor("--json", "--pid", str(os.getpid()), path=str(tmp_path))
    trials = {trial["protocol"]: trial for trial in assert_valid(done.stdout)["self_test"]["trials"]}
    assert trials["plain"]["outcome"] == "seen"
    assert trials["tls"]["outcome"] == "skipped"
    assert "openssl" in trials["tls"]["what"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_stopped_doctor_takes_everything_away(number: signal.Signals, tmp_path: Path) -> None:
    before = bpf_programs.loaded()
    with running("doctor", [command("spectap-agent"), "doctor"], tmp_path) as process:
        process.wait_for(lambda: "making calls" in process.output(), "the self-test's calls")
        process.process.send_signal(number)
        assert process.finish(PATIENCE_TO_STOP) == 1
        assert "Traceback" not in process.output()
    assert not bpf_programs.loaded() - before


def test_a_doctor_that_is_killed_leaves_neither_the_ends_of_the_calls_nor_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, scratch = bpf_programs.loaded(), tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    with running("doctor", [command("spectap-agent"), "doctor"], tmp_path) as process:
        ends = process.wait_for(lambda: children(process.pid), "both ends of the calls")
        process.process.kill()
        process.finish(PATIENCE_TO_STOP)
        wait_until(lambda: not any(runs(pid) for pid in ends), "the ends of the calls to leave")
    wait_until(lambda: not bpf_programs.loaded() - before, "the kernel to take the programs away")
    assert not list(scratch.iterdir())


def children(pid: int) -> list[int] | None:
    """Both ends of the self-test's calls, once they run."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found] if len(found) == 2 else None


def runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_a_user_without_root_is_told_so_and_what_can_be_told(tmp_path: Path) -> None:
    allowed = subprocess.run(
        [command("spectap-agent"), "--version"], user=NOBODY, capture_output=True, cwd="/", check=False
    )
    if allowed.returncode:
        pytest.skip("this tree is not readable for others")
    done = doctor("--json", uid=NOBODY)
    found = assert_valid(done.stdout)
    assert (done.returncode, found["sees"]) == (3, "none")
    states = {check["subject"]: check["state"] for check in found["host"]}
    assert (states["root"], states["btf"], states["tracefs"]) == ("refused", "ok", "unknown")
    assert found["self_test"]["why_not"]
    assert any("run this as root" in note for note in found["notes"])


def test_a_program_with_openssl_is_found_by_its_sockets_and_no_argument_is_told(tmp_path: Path) -> None:
    with python_server(tmp_path, "ssl") as server:
        port = int(server.first_line())
        text = doctor("--no-self-test")
        found = document()
        (program,) = [one for one in found["programs"] if server.pid in one["pids"]]
        assert port in program["listening"]
        (openssl,) = [view for view in program["views"] if view["of"] == "openssl"]
        assert openssl["sight"] == "seen"
        assert "SSL_read_ex" in openssl["functions"]
        assert SECRET not in text.stdout + text.stderr + str(found)
        assert "\x1b" not in text.stdout
        assert openssl["path"] in text.stdout


def test_a_program_without_tls_has_only_its_plain_calls(tmp_path: Path) -> None:
    with python_server(tmp_path) as server:
        assert {of: view["sight"] for of, view in views(server.pid).items()} == {"plain": "seen"}


def test_a_library_replaced_under_a_running_program_stays_seen(tmp_path: Path) -> None:
    library = next(Path("/usr/lib").glob("*/libssl.so.3"), None) or pytest.skip("no libssl.so.3 here")
    copy = tmp_path / "libssl.so.3"
    shutil.copy(library, copy)
    with python_server(tmp_path, f"ctypes; ctypes.CDLL({str(copy)!r})") as server:
        assert views(server.pid)["openssl"]["sight"] == "seen"
        copy.unlink()
        shutil.copy(library, copy)
        openssl = views(server.pid)["openssl"]
        assert (openssl["sight"], openssl["path"]) == ("seen", str(copy))


def test_go_and_its_tls_are_seen_also_once_the_program_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "main.go").write_text(GO_SOURCE)
    (tmp_path / "go.mod").write_text("module spectap.test/shop\n")
    program = go_programs.STRIPPED.make(tmp_path, sources=tmp_path)
    with running("shop", [str(program)], tmp_path) as shop:
        shop.first_line()
        found = views(shop.pid)
        assert {of: view["sight"] for of, view in found.items()} == {"plain": "seen", "go": "seen"}
        assert set(found["go"]["functions"]) == set(GO.hooks)
        program.unlink()
        assert views(shop.pid)["go"]["sight"] == "seen"


def test_a_32_bit_program_is_dark(tmp_path: Path) -> None:
    flags = ("-m32", "-nostdlib", "-static", "-no-pie")
    with running("old", [str(build(tmp_path / "old", START_32, *flags))], tmp_path) as old:
        old.wait_for(lambda: os.readlink(f"/proc/{old.pid}/exe").endswith("/old"), "its own program")
        assert {of: view["sight"] for of, view in views(old.pid).items()} == {"plain": "dark"}


def test_openssl_linked_in_without_symbols_is_dark(tmp_path: Path) -> None:
    source = '#include <unistd.h>\nconst char kept[] = "ssl/ssl_lib.c";\n'
    source += "int main(void) { return pause() + kept[0]; }\n"
    with running("hidden", [str(build(tmp_path / "hidden", source, "-s"))], tmp_path) as hidden:
        hidden.wait_for(lambda: os.readlink(f"/proc/{hidden.pid}/exe").endswith("/hidden"), "its own program")
        assert views(hidden.pid)["openssl"]["sight"] == "dark"


def test_a_pid_that_does_not_run_gives_nothing_to_see() -> None:
    done = doctor("--no-self-test", "--pid", str(2**22 + 1))  # above the kernel's PID_MAX_LIMIT
    assert done.returncode == 3
    assert "no such process" in done.stdout


def test_a_connection_at_a_port_of_tls_without_known_code_is_unknown(tmp_path: Path) -> None:
    with socket.socket() as listener:
        try:
            listener.bind(("127.77.0.1", 8443))
        except OSError:
            pytest.skip("port 8443 is taken")
        listener.listen()
        code = "import socket, sys; s = socket.create_connection(('127.77.0.1', 8443)); print(1, flush=True)"
        argv = [sys.executable, "-c", f"{code}; sys.stdin.read()"]
        with running("odd", argv, tmp_path, stdin=True) as odd:
            odd.first_line()
            assert views(odd.pid)["tls"]["sight"] == "unknown"
