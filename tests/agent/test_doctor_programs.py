"""What can be captured of a process: from a made-up /proc and program files compiled here."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.doctor import files, sockets
from agent.doctor.facts import LibraryView, Program, Sight
from agent.doctor.files import MAX_SEARCHED, PIECE, TEXTS, Mark
from agent.doctor.programs import Survey
from agent.probes.tls import BORINGSSL, GNUTLS, JAVA, OPENSSL, RUSTLS

ESTABLISHED, LISTEN = "01", "0A"
HTTPS = 443
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
OPENSSL_SOURCE = "int SSL_read(void) { return 1; }\nint SSL_write(void) { return 2; }\n"
MAIN = "int main(void) { return 0; }\n"


def build(path: Path, source: str, *flags: str) -> Path:
    compiler = shutil.which("cc") or pytest.skip("no C compiler")
    subprocess.run([compiler, "-x", "c", "-", "-o", path, *flags], input=source.encode(), check=True)
    return path


def text_of(mark: str) -> str:
    return TEXTS[mark][0].decode().rstrip("\0")


def carrying(*marks: str, section: str | None = None) -> str:
    """The source of a program with these marks, and optionally a section of this name."""
    lines = [
        f'__attribute__((used)) static const char mark{n}[] = "{text_of(m)}";' for n, m in enumerate(marks)
    ]
    if section:
        lines.append(f'__attribute__((used, section("{section}"))) static const char named[] = "x";')
    return "\n".join([*lines, MAIN])


def socket_line(inode: int, local: int, peer: int, state: str) -> str:
    ends = f"0100007F:{local:04X} 0100007F:{peer:04X}"
    return f"   0: {ends} {state} 00000000:00000000 00:00000000 00000000 0 0 {inode} 1 0 100 0 0 10 0\n"


class Proc:
    """A made-up /proc."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(
        self,
        pid: int,
        program: Path,
        *,
        maps: tuple[Path | str, ...] = (),
        tcp: tuple[tuple[int, int, str], ...] = ((8080, 0, LISTEN),),
        name: str = "shop",
        cgroup: str = "0::/\n",
        opened: tuple[str, ...] = (),
    ) -> None:
        folder = self.root / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "net").mkdir()
        (folder / "exe").symlink_to(program)
        (folder / "root").symlink_to("/")
        (folder / "stat").write_text(f"{pid} ({name}) S 1 1 1")
        (folder / "cgroup").write_text(cgroup)
        mapped = [f"7f00-7f01 r-xp 00000000 fe:00 1 {path}\n" for path in (program, *maps)]
        (folder / "maps").write_text("".join(mapped) + "7f02-7f03 r--p 0 00:00 0\n")
        lines = []
        for number, (local, peer, state) in enumerate(tcp):
            inode = pid * 1000 + number
            (folder / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
            lines.append(socket_line(inode, local, peer, state))
        (folder / "net" / "tcp").write_text(HEAD + "".join(lines))
        for number, target in enumerate(opened, len(tcp)):
            (folder / "fd" / str(number)).symlink_to(target)

    def survey(self, **failures: str) -> Survey:
        return Survey(failures, self.root)

    def one(self, **failures: str) -> Program:
        (program,) = self.survey(**failures).of_all()
        return program

    def sights(self) -> dict[str, Sight]:
        return {view.of: view.sight for view in self.one().views}


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path / "proc")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return build(tmp_path / "plain", MAIN)


@pytest.fixture
def libssl(tmp_path: Path) -> Path:
    return build(tmp_path / "libssl.so.3", OPENSSL_SOURCE, "-shared", "-fPIC")


def test_a_program_without_tls_is_seen(proc: Proc, plain: Path) -> None:
    proc.add(7, plain, tcp=((8080, 0, LISTEN), (8080, 40000, ESTABLISHED), (8080, 40001, ESTABLISHED)))
    found = proc.one()
    assert (found.pids, found.names, found.executable) == ((7,), ("shop",), str(plain))
    assert (found.listening, found.connections) == ((8080,), 2)
    assert [(view.of, view.sight) for view in found.views] == [("plain", Sight.SEEN)]


def test_openssl_is_seen_with_its_path_and_functions(proc: Proc, plain: Path, libssl: Path) -> None:
    proc.add(7, plain, maps=(libssl,))
    openssl = proc.one().views[1]
    assert openssl == LibraryView(
        "openssl", Sight.SEEN, "OpenSSL is captured", None, str(libssl), ("SSL_read", "SSL_write")
    )


def test_gnutls_is_seen_with_the_functions_that_are_probed(proc: Proc, plain: Path, tmp_path: Path) -> None:
    """Of one that only calls another, the other alone is probed."""
    names = ("record_recv", "record_send", "record_send2", "handshake")
    source = "".join(f"int gnutls_{name}(void) {{ return 1; }}\n" for name in names)
    library = build(tmp_path / "libgnutls.so.30", source, "-shared", "-fPIC")
    proc.add(7, plain, maps=(library,))
    functions = ("gnutls_handshake", "gnutls_record_recv", "gnutls_record_send2")
    assert proc.one().views[1] == LibraryView(
        "gnutls", Sight.SEEN, "GnuTLS is captured", None, str(library), functions
    )


def test_openssl_linked_in_with_symbols_is_seen(proc: Proc, tmp_path: Path) -> None:
    proc.add(7, build(tmp_path / "node", OPENSSL_SOURCE + MAIN))
    assert proc.sights() == {"plain": Sight.SEEN, "openssl": Sight.SEEN}


def test_a_library_that_the_kernel_would_not_probe_is_dark_with_the_reason(
    proc: Proc, plain: Path, libssl: Path
) -> None:
    proc.add(7, plain, maps=(libssl,))
    openssl = proc.one(**{str(libssl): "Operation not permitted"}).views[1]
    assert openssl.sight is Sight.DARK
    assert "Operation not permitted" in openssl.what


@pytest.mark.parametrize(
    ("library", "kind"),
    [
        ("/usr/lib/jvm/java-17/lib/server/libjvm.so", "java"),
        ("/usr/lib/firefox/libssl3.so", "nss"),
        ("/usr/lib/libmbedtls.so.14", "mbedtls"),
    ],
)
def test_another_tls_library_is_dark(proc: Proc, plain: Path, library: str, kind: str) -> None:
    proc.add(7, plain, maps=(library,))
    assert proc.sights() == {"plain": Sight.SEEN, kind: Sight.DARK}


def test_javas_tls_is_seen_while_the_agent_is_attached_and_its_cure_else_is_java(
    proc: Proc, plain: Path, tmp_path: Path
) -> None:
    jvm = "/usr/lib/jvm/java-17/lib/server/libjvm.so"
    source = "".join(f"void {function}(void) {{}}\n" for function in JAVA.hooks)
    stub = build(tmp_path / "libspectap_java.so", source, "-shared", "-fPIC")
    proc.add(7, plain, maps=(jvm, stub))
    assert proc.sights() == {"plain": Sight.SEEN, "java": Sight.SEEN}
    stub.unlink()
    (proc.root / "7/maps").write_text(
        f"7f00-7f01 r-xp 0 fe:00 1 {jvm}\n7f02-7f03 r-xp 0 fe:00 1 {stub} (deleted)\n"
    )
    (java,) = [view for view in proc.one().views if view.of == "java"]
    assert java.sight is Sight.DARK
    assert java.cure is not None
    assert java.cure.startswith("run the agent with --java, or ")


def test_another_tls_library_beside_openssl_is_unknown(proc: Proc, plain: Path, libssl: Path) -> None:
    proc.add(7, plain, maps=(libssl, "/usr/lib/libmbedtls.so.14"))
    assert proc.sights() == {"plain": Sight.SEEN, "openssl": Sight.SEEN, "mbedtls": Sight.UNKNOWN}


@pytest.mark.parametrize(
    ("marks", "section", "kind"),
    [
        ((Mark.GO_TLS,), ".go.buildinfo", "go"),
        ((OPENSSL.name,), None, "openssl"),
        ((GNUTLS.name,), None, "gnutls"),
        ((BORINGSSL.name,), None, "boringssl"),
        ((RUSTLS.name,), None, "rustls"),
        ((), ".svm_heap", "java"),
    ],
)
def test_tls_code_without_symbols_is_recognised_and_dark(
    proc: Proc, tmp_path: Path, marks: tuple[Mark, ...], section: str | None, kind: str
) -> None:
    proc.add(7, build(tmp_path / "stripped", carrying(*marks, section=section), "-s"))
    assert proc.sights() == {"plain": Sight.SEEN, kind: Sight.DARK}


def test_go_without_tls_is_no_tls_and_a_mere_mention_of_it_is_not_go(proc: Proc, tmp_path: Path) -> None:
    proc.add(7, build(tmp_path / "go", carrying(section=".note.go.buildid")))
    proc.add(8, build(tmp_path / "prose", carrying(Mark.GO_TLS)))
    assert [len(program.views) for program in proc.survey().of_all()] == [1, 1]


@pytest.mark.parametrize("tcp", [(40000, HTTPS, ESTABLISHED), (HTTPS, 0, LISTEN)], ids=["client", "server"])
def test_a_port_of_tls_without_any_known_code_is_unknown(
    proc: Proc, plain: Path, tcp: tuple[int, int, str]
) -> None:
    proc.add(7, plain, tcp=(tcp,))
    assert proc.sights() == {"plain": Sight.SEEN, "tls": Sight.UNKNOWN}


def test_a_library_that_is_gone_is_judged_by_the_file_that_the_process_still_maps(
    proc: Proc, plain: Path, libssl: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "gone" / "libssl.so.3"
    proc.add(7, plain, maps=(f"{gone} (deleted)",))
    assert proc.sights()["openssl"] is Sight.DARK
    (proc.root / "7/map_files").mkdir()
    (proc.root / "7/map_files/7f00-7f01").symlink_to(libssl)
    openssl = proc.one().views[1]
    assert (openssl.sight, openssl.path) == (Sight.SEEN, str(gone))


def test_an_unreadable_library_is_dark_with_the_reason(proc: Proc, plain: Path, tmp_path: Path) -> None:
    proc.add(7, plain, maps=(tmp_path / "gone" / "libssl.so.3",))
    openssl = proc.one().views[1]
    assert openssl.sight is Sight.DARK
    assert os.strerror(2) in openssl.what


def test_a_32_bit_program_is_dark_altogether(proc: Proc, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_bytes(b"\x7fELF\x01\x01\x01".ljust(64, b"\0"))
    proc.add(7, old)
    assert proc.sights() == {"plain": Sight.DARK}


def test_where_packets_are_read_plain_http_is_seen_and_no_tls_is(
    proc: Proc, plain: Path, libssl: Path
) -> None:
    proc.add(7, plain, maps=(libssl,))
    (program,) = Survey({}, proc.root, limits="no TLS").of_all()
    views = {view.of: view for view in program.views}
    assert {of: view.sight for of, view in views.items()} == {"plain": Sight.SEEN, "openssl": Sight.DARK}
    assert views["openssl"].what == "not probed: no TLS"
    assert views["openssl"].cure


def test_below_system_calls_an_io_uring_hides_nothing(proc: Proc, plain: Path) -> None:
    proc.add(7, plain, opened=("anon_inode:[io_uring]",))
    (program,) = Survey({}, proc.root, is_below_calls=True).of_all()
    assert [(view.of, view.sight) for view in program.views] == [("plain", Sight.SEEN)]


def test_an_io_uring_makes_plain_traffic_unknown(proc: Proc, plain: Path) -> None:
    proc.add(7, plain, opened=(sockets.IO_URING, "/dev/null"))
    assert proc.sights() == {"plain": Sight.UNKNOWN}


def test_like_processes_are_one_program_and_containers_stay_apart(proc: Proc, plain: Path) -> None:
    for pid, port in ((9, 81), (7, 80)):
        proc.add(pid, plain, tcp=((port, 0, LISTEN),))
    proc.add(8, plain, cgroup=f"0::/docker/{'b' * 64}\n", name="other")
    alone, both = sorted(proc.survey().of_all(), key=lambda program: len(program.pids))
    assert (both.pids, both.names, both.listening) == ((7, 9), ("shop",), (80, 81))
    assert (alone.pids, alone.names, alone.container) == ((8,), ("other",), "b" * 64)


def test_a_process_without_tcp_is_looked_at_only_by_its_pid(proc: Proc, plain: Path) -> None:
    proc.add(7, plain, tcp=((8080, 40000, "06"),), opened=("socket:[5]",))  # TIME_WAIT, and a Unix socket
    assert proc.survey().of_all() == ()
    (program,) = proc.survey().of([7])
    assert program.views[0].sight is Sight.SEEN


def test_a_pid_that_does_not_run_is_said_to_be_none(proc: Proc) -> None:
    (program,) = proc.survey().of([4711])
    (view,) = program.views
    assert (program.pids, view.of, view.sight) == ((4711,), "process", Sight.UNKNOWN)
    assert "no such process" in view.what


def test_names_cannot_write_to_the_terminal(proc: Proc, plain: Path) -> None:
    proc.add(7, plain, name="a\x1b[2Jb\nc")
    assert proc.one().names == ("a\\x1b[2Jb\\nc",)


def test_the_table_of_connections_is_read_by_inode() -> None:
    text = HEAD + socket_line(1, 80, 0, LISTEN) + socket_line(2, 40000, 443, ESTABLISHED)
    text += socket_line(0, 80, 40001, "06") + "torn line\n"
    assert sockets.table(text) == {
        1: sockets.Socket(80, 0, True),
        2: sockets.Socket(40000, 443, False),
    }


@pytest.mark.parametrize("before", [0, PIECE - 3, PIECE, 2 * PIECE - 20])
def test_a_mark_is_found_wherever_it_lies(before: int) -> None:
    (text,) = TEXTS[Mark.GO_TLS]
    assert files.texts(io.BytesIO(b"\0" * before + text + b"\0" * 100)) == {Mark.GO_TLS}
    assert files.texts(io.BytesIO(b"\0" * before + text[:-1])) == set()


def test_no_more_of_a_file_is_searched_than_the_bound() -> None:
    class Endless(io.RawIOBase):
        """A file without an end, which counts the bytes read."""

        total = 0

        def seek(self, offset: int, whence: int = 0) -> int:
            return offset

        def read(self, size: int = -1) -> bytes:
            self.total += size
            return b"\0" * size

    endless = Endless()
    files.texts(endless)  # type: ignore[arg-type]
    assert endless.total == MAX_SEARCHED


@given(st.binary(max_size=400))
def test_any_file_is_judged_without_an_exception(noise: bytes) -> None:
    assert files.inspect(io.BytesIO(noise)) is None or noise.startswith(b"\x7fELF")
    for bits in (b"\x01", b"\x02"):
        found = files.inspect(io.BytesIO(b"\x7fELF" + bits + b"\x01\x01" + noise))
        assert found is not None
        assert found.functions == ()
