"""Attaches to one Java virtual machine, as a process of its own:
`python -m agent.java.attach PID BUILD DESCRIPTOR`.

It speaks HotSpot's attach protocol (attachListener_linux.cpp and jdk.attach's VirtualMachineImpl.java), in
which a file and a signal ask the machine to listen on a socket.

| step                                                     | what stops it                              |
|----------------------------------------------------------|--------------------------------------------|
| it handles SIGQUIT, which would end any other program    | -Xrs; still starting (NOT_YET: try again)  |
| its root and its user become ours                        | it has ended, or has several users         |
| its version is one of VERSIONS, and it attaches at all   | another; -XX:+DisableAttachMechanism       |
| a folder in its /tmp, with the jars, the stub and a lock | /tmp cannot be written to                  |
| /tmp/.attach_pidN, then SIGQUIT: /tmp/.java_pidN appears | it hangs                                   |
| a request there to load the agent                        | -XX:-EnableDynamicAgentLoading             |
| the folder's `state` says `attached`                     | /tmp is noexec; a JDK whose TLS is another |

All that is done in the machine's file system is done as its user and within its root, so that no link there
leads elsewhere. On success the folder's name, and descriptors of /tmp, the folder, its locked file and
`state` are sent on the socket DESCRIPTOR. Else one sentence is printed; the exit status is 1, or NOT_YET.
"""

from __future__ import annotations

import fcntl
import os
import re
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path

FILES = ("agent.jar", "worker.jar", "libspectap_java.so")
"""What `make java` builds, and the folder holds."""
BUILT = Path(sys.prefix) / "share/spectap/java"
LOCK, STATE = "lock", "state"
ATTACHED = "attached"
VERSIONS = range(17, 22)
"""Of Java: these have the JDK's own ASM, which the agent in the machine uses, and were tried (17 and 21)."""
NOT_YET = 2

TMP = "/tmp"  # for every virtual machine: it does not depend on java.io.tmpdir
LISTEN_S = 5.0  # until the machine listens
ANSWER_S = 10.0
MAX_ANSWER = 16 * 1024
MAX_STATE = 1024
MAX_FILE = 1024 * 1024
CATCHES_QUIT = 1 << (signal.SIGQUIT - 1)
FLOCK = struct.Struct("hhqqi4x")  # struct flock of fcntl(2)
COUNTER = struct.Struct("<iiiBBBBi")  # PerfDataEntry of perfMemory.hpp; the last field is where its value is
DISABLED = b"-XX:+DisableAttachMechanism"
LIBRARY = re.compile(r"(/\S.*)/lib/(?:\w+/)?libjvm\.so$", re.MULTILINE)
"""With the folder of the JDK, in /proc/PID/maps."""


REASONS = {
    "failed to map segment": "its /tmp is mounted noexec",
    "Dynamic agent loading is not enabled": "it was started with -XX:-EnableDynamicAgentLoading",
}


class AttachRefused(Exception):
    """The machine was left as it was; the message says why."""


class NotAttachableYet(AttachRefused):
    """It may be starting."""


def main(pid: int, build: Path, descriptor: int) -> None:
    contents = _built(build)
    machine = os.pidfd_open(pid)
    proc = Path(f"/proc/{pid}")
    status = (proc / "status").read_text()
    inner = int(_field(status, "NSpid").split()[-1])
    if not int(_field(status, "SigCgt"), 16) & CATCHES_QUIT:
        raise NotAttachableYet("it does not handle SIGQUIT: it runs with -Xrs")
    if _field(status, "State").startswith(("T", "t")):
        raise NotAttachableYet("it is stopped")
    home = LIBRARY.search((proc / "maps").read_text(errors="surrogateescape"))
    given = (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()
    _become(proc, _field(status, "Uid").split(), _field(status, "Gid").split())
    _refuse(_counters(inner), home[1] if home else "/", given)
    tmp = os.open(TMP, os.O_RDONLY | os.O_DIRECTORY)
    name, folder, lock = _folder(tmp, contents)
    try:
        with _listening(machine, inner) as listening:
            answer = _load(listening, f"{TMP}/{name}")
        text, state = _state(folder)
        if text != ATTACHED:
            raise AttachRefused(_reason(text or f"it did not load the agent: {answer}"))
    except BaseException:
        remove(tmp, name, folder)
        raise
    with socket.socket(fileno=descriptor) as agent:
        socket.send_fds(agent, [name.encode()], [tmp, folder, lock, state])


def _built(build: Path) -> dict[str, bytes]:
    try:
        return {name: (build / name).read_bytes() for name in FILES}
    except OSError as error:
        raise AttachRefused(f"{error.filename} cannot be read ({error.strerror}): run make java") from None


def _field(status: str, name: str) -> str:
    found = re.search(rf"^{name}:\s*(.*)$", status, re.MULTILINE)
    if found is None:
        raise AttachRefused(f"/proc does not tell its {name}")
    return found[1]


def _become(proc: Path, users: list[str], groups: list[str]) -> None:
    if len({*users}) != 1 or len({*groups}) != 1:
        raise AttachRefused("it runs as several users or groups at once")
    os.chroot(proc / "root")
    os.chdir("/")
    os.umask(0o077)
    os.setgroups([])
    os.setresgid(*[int(groups[0])] * 3)
    os.setresuid(*[int(users[0])] * 3)


def _counters(inner: int) -> bytes:
    """The machine's performance counters; empty if it keeps them to itself."""
    for path in Path(TMP).glob(f"hsperfdata_*/{inner}"):
        with suppress(OSError):
            return _read(str(path))
    return b""


def _read(path: str) -> bytes:
    """A file of somebody else, without waiting for it."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        return file.read(MAX_FILE)


def _refuse(counters: bytes, home: str, given: bytes) -> None:
    """Refuses a machine of an unsupported version, and one that does not attach: asked to, it would write a
    thread dump to its output.
    """
    version = counter(counters, b"java.property.java.vm.specification.version")
    if version is None:
        with suppress(OSError):
            found = re.search(rb'^JAVA_VERSION="(\d+)', _read(f"{home}/release"), re.MULTILINE)
            version = found[1].decode() if found else None
    if version is None or not version.isdecimal() or int(version) not in VERSIONS:
        raise AttachRefused(
            f"it is Java {version or 'of an unknown version'}; {VERSIONS[0]} to {VERSIONS[-1]} work"
        )
    capabilities = counter(counters, b"sun.rt.jvmCapabilities")
    if DISABLED in given or (capabilities is not None and not capabilities.startswith("1")):
        raise AttachRefused(f"it was started with {DISABLED.decode()}")


def counter(counters: bytes, name: bytes) -> str | None:
    """A performance counter that is text; None if there is none."""
    at = counters.find(name + b"\0") - COUNTER.size
    if at < 0:
        return None
    start = at + COUNTER.unpack_from(counters, at)[-1]
    return counters[start : start + 64].split(b"\0")[0].decode(errors="replace")


def _folder(tmp: int, contents: dict[str, bytes]) -> tuple[str, int, int]:
    """The new folder's name, and descriptors of it and of its locked file."""
    name = f".spectap-java-{os.urandom(8).hex()}"
    try:
        os.mkdir(name, 0o700, dir_fd=tmp)
        folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=tmp)
    except OSError as error:
        raise AttachRefused(f"its /tmp cannot be written to: {error.strerror}") from None
    try:
        for file_name, content in {**contents, LOCK: b""}.items():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with open(os.open(file_name, flags, 0o600, dir_fd=folder), "wb") as file:
                file.write(content)
        lock = os.open(LOCK, os.O_RDWR, dir_fd=folder)
        # A lock of whoever has the descriptor, not of this process: of the agent, until it closes it or ends.
        fcntl.fcntl(lock, fcntl.F_OFD_SETLK, FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except OSError as error:
        remove(tmp, name, folder)
        raise AttachRefused(f"its /tmp cannot be written to: {error.strerror}") from None
    return name, folder, lock


def remove(tmp: int, name: str, folder: int) -> None:
    """Removes the folder, of which nothing may be left."""
    for file in (*FILES, LOCK, STATE):
        with suppress(OSError):
            os.unlink(file, dir_fd=folder)
    with suppress(OSError):
        os.rmdir(name, dir_fd=tmp)


def _state(folder: int) -> tuple[str, int]:
    """What the machine wrote, and its file; nothing if it did not."""
    try:
        file = os.open(STATE, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=folder)
    except OSError:
        return "", -1
    return written(file), file


def written(state: int) -> str:
    """The text of an open `state`, on one line."""
    try:
        return _on_one_line(os.pread(state, MAX_STATE, 0))
    except OSError:
        return ""


def _on_one_line(text: bytes) -> str:
    shown = (one if one.isprintable() else " " for one in text.decode(errors="replace"))
    return " ".join("".join(shown).split())


def _listening(machine: int, inner: int) -> socket.socket:
    """A connection to the machine, which listens from its first request on."""
    address, request = f"{TMP}/.java_pid{inner}", f"{TMP}/.attach_pid{inner}"
    with suppress(OSError):
        return _connected(address)
    os.close(os.open(request, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    signal.pidfd_send_signal(machine, signal.SIGQUIT)
    end = time.monotonic() + LISTEN_S
    while time.monotonic() < end:
        with suppress(FileNotFoundError, ConnectionRefusedError):
            client = _connected(address)
            os.unlink(request)
            return client
        time.sleep(0.02)
    # Without the file, it would answer the signal with a thread dump once it runs again.
    raise AttachRefused(f"it did not answer within {LISTEN_S:.0f} s; {request} was left behind for it")


def _reason(text: str) -> str:
    """A sentence for what the machine says where a plain one is known."""
    return next((reason for sign, reason in REASONS.items() if sign in text), text)


def _connected(address: str) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        client.settimeout(ANSWER_S)
        client.connect(address)
    except BaseException:
        client.close()
        raise
    return client


def _load(machine: socket.socket, folder: str) -> str:
    """Has the machine load the agent; returns its answer, on one line."""
    words = ("1", "load", "instrument", "false", f"{folder}/{FILES[0]}={folder}")
    answer = b""
    try:
        machine.sendall(b"".join(word.encode() + b"\0" for word in words))
        while len(answer) < MAX_ANSWER and (piece := machine.recv(4096)):
            answer += piece
    except TimeoutError:
        raise AttachRefused(f"it did not answer within {ANSWER_S:.0f} s") from None
    return _on_one_line(answer)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
    except (FileNotFoundError, ProcessLookupError, ConnectionError):
        sys.stdout.write("it ended meanwhile")
        sys.exit(1)
    except (AttachRefused, OSError) as error:
        sys.stdout.write(str(error))
        sys.exit(NOT_YET if isinstance(error, NotAttachableYet) else 1)
