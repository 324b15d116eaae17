"""The live self-test: two child processes call each other on loopback, and the agent captures them.

Each call carries a unique id and counts as seen if the parsers output that id. All waits are bounded except
detaching, which depends on the kernel.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from agent.capture.choice import Wanted, open_source
from agent.doctor.ends import H2, HERE, PLAIN, TLS
from agent.doctor.facts import Check, CheckState, Outcome, SelfTest, Trial
from agent.doctor.trials import TITLES, Call, Trials
from agent.events import Tick
from agent.probes.kernel import CaptureFilters, SourceError
from agent.probes.programs import ProgramError, Sizes
from agent.probes.source import LiveSource, Watching

START_SECONDS = 20.0  # for a child to report that it is ready
ATTACH_SECONDS = 60.0
CALL_SECONDS = 30.0  # from the first call to the last answer
GRACE_SECONDS = 1.5  # from the last answer until calls not captured by then count as unseen
LEAVE_SECONDS = 10.0  # for a child to exit by itself
CERTIFICATE_SECONDS = 20.0

PROTOCOLS = (PLAIN, TLS, H2)
LOADED = "loaded, and their probes attach; none runs on a stack shared between tasks"
REPORT = "report it, with the output of --json"
CURE = "in a container allow what daemonset/README.md lists; else report it, with the message"

Say = Callable[[str], None]


class SelfTestError(RuntimeError):
    """The self-test could not be made; the message says why."""


def not_made(why: str) -> SelfTest:
    """The result of a self-test that was not started."""
    return SelfTest(tuple(skipped(protocol, why) for protocol in PROTOCOLS), why, 0.0)


def skipped(protocol: str, why: str, cure: str | None = None) -> Trial:
    return Trial(protocol, Outcome.SKIPPED, False, False, f"{TITLES[protocol]}: not tested: {why}", cure)


def load(cache: Path | None, backend: str | None) -> Tried:
    """Opens the first backend that works, or the one given, disabled, and closes it again."""
    try:
        source = open_source(Wanted(CaptureFilters(load_all=True), Sizes(), cache), backend)
    except SourceError as error:
        return Tried((refused(error),), not_made("not requested"))
    for _ in source.detach():
        pass
    return tried(source.watching, not_made("not requested"))


def backend_checks(watching: Watching) -> Iterator[Check]:
    """Which backend works, why those before it do not, and whether its programs may probe TLS."""
    others = "".join(f"; {name} is refused: {why}" for name, why in watching.refused.items())
    if watching.limits:
        what = f"{watching.backend}: {watching.limits}{others}"
        yield Check("backend", CheckState.LIMITED, what, "see above for what eBPF needs here")
        return
    yield Check("backend", CheckState.OK, f"{watching.backend}{others}")
    yield loaded(watching.tls_refusal)


def loaded(tls_refusal: str | None) -> Check:
    """The programs load and attach, except for TLS if there is a reason not to."""
    if tls_refusal:
        return Check("programs", CheckState.LIMITED, tls_refusal, REPORT)
    return Check("programs", CheckState.OK, LOADED)


def refused(error: Exception) -> Check:
    return Check("backend", CheckState.REFUSED, str(error), CURE)


@dataclass(frozen=True, slots=True)
class Tried:
    """The checks of the backend, and the self-test's result. `limits` and `is_below_calls` are its own."""

    checks: tuple[Check, ...]
    test: SelfTest
    limits: str | None = None
    is_below_calls: bool = False


def tried(watching: Watching, test: SelfTest) -> Tried:
    return Tried(tuple(backend_checks(watching)), test, watching.limits, watching.is_below_calls)


class SelfTestRun:
    """One self-test, with the first backend that works or the one given. `say` is called with progress."""

    def __init__(self, cache: Path | None, backend: str | None, say: Say) -> None:
        self._cache, self._backend, self._say = cache, backend, say
        self._source: LiveSource | None = None
        self._why_not: str | None = None
        self.stopped = False

    def ask_to_stop(self) -> None:
        """For a signal handler: sets a flag; what was attached is still detached."""
        self.stopped = True
        if self._source is not None:
            self._source.ask_to_stop()

    def run(self) -> Tried:
        """Which backend works, and the outcome of the calls."""
        began = time.monotonic()
        try:
            with memory_file() as certificate, memory_file() as key:
                found = self._in(certificate, key)
        except (SourceError, ProgramError) as error:
            found = Tried((refused(error),), not_made("no backend works here"))
        except SelfTestError as error:
            check = Check("backend", CheckState.UNKNOWN, "not tried", "see the self-test")
            found = Tried((check,), not_made(str(error)))
        return replace(found, test=replace(found.test, seconds=round(time.monotonic() - began, 3)))

    def _in(self, *files: str) -> Tried:
        certificate, why_not = make_certificate(*files)
        with child("server", *certificate) as server, child("client") as client:
            ports = read_line(server)
            calls = [Call(name, ports[name], uuid.uuid4().hex) for name in PROTOCOLS if name in ports]
            self._say("self-test: loading the capture programs")
            filters = CaptureFilters(only_ports=frozenset(call.port for call in calls), load_all=True)
            wanted = Wanted(filters, Sizes(), self._cache)
            self._source = source = open_source(wanted, self._backend)
            trials = Trials(calls)
            try:
                self._attach(source)
                errors = self._watch(source, client, calls, certificate, trials)
            finally:
                source.disable()
                self._detach(source)
        failures = tuple(sorted(source.watching.failures.items()))
        made = tuple(self._verdict(name, errors, why_not, trials) for name in PROTOCOLS)
        test = SelfTest(made, self._why_not, 0.0, failures)
        return tried(source.watching, test)

    def _attach(self, source: LiveSource) -> None:
        self._say(f"self-test: attaching ({source.watching.backend})")
        late = threading.Timer(ATTACH_SECONDS, self._too_late)
        late.daemon = True
        late.start()
        if self.stopped:
            source.ask_to_stop()
        source.attach()
        late.cancel()

    def _too_late(self) -> None:
        self._why_not = f"attaching took longer than {ATTACH_SECONDS:.0f} s"
        if self._source is not None:
            self._source.ask_to_stop()

    def _watch(
        self,
        source: LiveSource,
        client: subprocess.Popen[bytes],
        calls: list[Call],
        certificate: tuple[str, ...],
        trials: Trials,
    ) -> dict[str, str | None]:
        """Lets the client make the calls and captures them. Returns the client's result of each: None or an
        error.
        """
        self._say("self-test: making calls")
        for call in calls:
            ask(client, call, certificate[0] if certificate else None)
        answers: dict[str, str | None] = {}
        last = time.monotonic()
        deadline = last + CALL_SECONDS
        for event in source.events():
            for one in trials.feed(event):
                source.ignore(one.connection, one.bucket)
            if not isinstance(event, Tick):
                continue
            now = time.monotonic()
            while len(answers) < len(calls) and (answer := try_line(client, 0)) is not None:
                answers[answer["protocol"]], last = answer["error"], now
            done = len(answers) == len(calls) and (trials.complete or now - last > GRACE_SECONDS)
            if done or now > deadline:
                source.ask_to_stop()
        trials.finish()
        if self.stopped:
            self._why_not = "stopped"
        return answers

    def _detach(self, source: LiveSource) -> None:
        said = time.monotonic()
        for done, total in source.detach():
            if done == total or time.monotonic() - said >= 1:
                said = time.monotonic()
                self._say(f"self-test: detached {done} of {total} probes")

    def _verdict(
        self, protocol: str, errors: dict[str, str | None], no_tls: str | None, trials: Trials
    ) -> Trial:
        if protocol == TLS and no_tls is not None:
            return skipped(TLS, no_tls, "install the openssl command")
        if protocol not in errors:
            return skipped(protocol, self._why_not or f"no answer within {CALL_SECONDS:.0f} s")
        error = errors[protocol]
        return skipped(protocol, f"the call failed: {error}") if error else trials.verdict(protocol)


@contextmanager
def memory_file() -> Iterator[str]:
    """Path of an anonymous file in memory: it disappears with this process, however that ends."""
    held = os.memfd_create("spectap-doctor")
    try:
        yield f"/proc/{os.getpid()}/fd/{held}"
    finally:
        os.close(held)


def make_certificate(certificate: str, key: str) -> tuple[tuple[str, ...], str | None]:
    """Makes a certificate and its key for loopback: their paths, or () and the reason of the failure."""
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-days", "2", "-subj", "/CN=spectap-doctor", "-addext", f"subjectAltName=IP:{HERE}"]
    command += ["-keyout", key, "-out", certificate]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=CERTIFICATE_SECONDS)
    except FileNotFoundError:
        return (), "no openssl command to make a certificate with"
    except (OSError, subprocess.SubprocessError):
        return (), "the openssl command could not make a certificate"
    return (certificate, key), None


@contextmanager
def child(role: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """One end of the calls, in a session of its own so that Ctrl-C reaches only the doctor. Ended when the
    context exits.
    """
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "agent.doctor.ends", role, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,  # a buffer would hide data from select
            start_new_session=True,
        )
    except OSError as error:
        raise SelfTestError(f"a self-test process could not be started: {error.strerror}") from None
    try:
        yield process
    finally:
        _stdin(process).close()
        try:
            process.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _stdout(process).close()


def ask(client: subprocess.Popen[bytes], call: Call, authority: str | None) -> None:
    wanted = {"protocol": call.protocol, "port": call.port, "id": call.id, "authority": authority}
    try:
        _stdin(client).write(json.dumps(wanted).encode() + b"\n")
    except OSError:
        raise SelfTestError("the self-test client ended early") from None


def read_line(process: subprocess.Popen[bytes]) -> Any:
    """A child's first line. Raises SelfTestError."""
    found = try_line(process, START_SECONDS)
    if found is None:
        raise SelfTestError(f"a self-test process did not answer for {START_SECONDS:.0f} s")
    return found


def try_line(process: subprocess.Popen[bytes], seconds: float) -> Any:
    """The next line of JSON; None if none arrives in time. Raises SelfTestError if the child has exited."""
    stdout = _stdout(process)
    if not select.select([stdout], [], [], seconds)[0]:
        return None
    line = stdout.readline()
    if not line:
        raise SelfTestError("a self-test process ended early")
    return json.loads(line)


def _stdin(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdin is not None
    return process.stdin


def _stdout(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout
