"""Checks of option values: each returns the value in its type, or raises SettingError."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from urllib.parse import urlsplit

from agent.java.attach import BUILT, FILES
from agent.kube.access import AccessError, access
from agent.kubernetes.choice import ALL, SYSTEM, CaptureChoice, PodSettings
from agent.loopback import is_loopback
from agent.options import DEFAULT_STATUS, OFF, ON, Option
from agent.ship.tls import ServerTrust


class SettingError(ValueError):
    """A setting is invalid; the message is one sentence for the operator."""


def checked(option: Option, given: object) -> object:
    """Checks a value that may come from the environment: argparse checks the command line only."""
    if option.flag and isinstance(given, str):
        word = given.strip().lower()
        if word not in ON | OFF:
            raise SettingError(f"{option.variable} takes 1 or 0, true or false, yes or no, on or off")
        return word in ON
    if option.choices and given is not None and given not in option.choices:
        raise SettingError(f"{option.variable} is one of {', '.join(option.choices)}")
    if given == "" or (isinstance(given, list) and "" in given):
        raise SettingError(f"{option.name} or {option.variable} is empty: give a value, or leave it out")
    return given


def server_url(url: str | None) -> str:
    if not url:
        raise SettingError(
            "--server is missing: give the analysis server's URL, such as http://127.0.0.1:8080"
        )
    try:
        parts = urlsplit(url)
        valid = (
            parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        valid = False
    if not valid:
        raise SettingError("--server is not an http:// or https:// URL")
    return url.rstrip("/")


def trust(options: argparse.Namespace) -> ServerTrust:
    """The files of TLS to the server, which are readable and fit together."""
    ca, certificate, key = options.ca_file, options.client_cert, options.client_key
    if bool(certificate) != bool(key):
        raise SettingError("--client-cert and --client-key belong together: give both, or neither")
    if (ca or certificate) and str(options.server).startswith("http://"):
        raise SettingError("--ca-file and --client-cert have an effect only with an https:// --server")
    found = ServerTrust(*(Path(file) if file else None for file in (ca, certificate, key)))
    try:
        found.stamp()
    except OSError as error:
        raise SettingError(f"{error.filename} cannot be read: {error.strerror}") from None
    for files, names in ((ServerTrust(found.ca), "--ca-file"), (found, "--client-cert and --client-key")):
        try:
            files.context()
        except (OSError, ValueError) as error:
            raise SettingError(f"{names} cannot be used for TLS: {error}") from None
    return found


def telemetry_address(options: argparse.Namespace) -> tuple[str, int] | None:
    """The address gateways report to: any address with a token; without one only loopback."""
    if options.telemetry_listen is None:
        if options.no_capture:
            raise SettingError("--no-capture leaves nothing to do without --telemetry-listen")
        return None
    address = _address(options.telemetry_listen)
    if address is None:
        raise SettingError("--telemetry-listen takes HOST:PORT, such as 127.0.0.1:9000")
    if options.telemetry_token_file is None and not is_loopback(address[0]):
        raise SettingError(
            f"{address[0]} can be reached from other machines: give --telemetry-token-file, "
            "or listen at 127.0.0.1"
        )
    return address


def status_address(options: argparse.Namespace) -> tuple[str, int]:
    """The address of the status page: any address with a token; without one only loopback."""
    address = _address(options.status_listen)
    if address is None:
        raise SettingError(f"--status-listen takes HOST:PORT, such as {DEFAULT_STATUS}")
    if options.status_token_file is None and not is_loopback(address[0]):
        raise SettingError(
            f"{address[0]} can be reached from other machines: give --status-token-file, "
            "or listen at 127.0.0.1"
        )
    return address


def _address(listen: str) -> tuple[str, int] | None:
    """The host and port of HOST:PORT; None if it is something else."""
    try:
        parts = urlsplit(f"//{listen}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if host is None or port is None:
        return None
    return ("127.0.0.1" if host == "localhost" else host), port


def java(options: argparse.Namespace) -> Path | None:
    """The folder with what `make java` built, if it is wanted."""
    if not options.java:
        return None
    if options.no_capture:
        raise SettingError("--no-capture captures nothing, and --java captures Java's TLS: leave out one")
    missing = [name for name in FILES if not (BUILT / name).is_file()]
    if missing:
        raise SettingError(
            f"--java needs {BUILT / missing[0]}: run make java, which installs a JDK to build it"
        )
    return BUILT


def pods(options: argparse.Namespace, node: str) -> PodSettings | None:
    """Where pods are read from; None without --kubernetes."""
    if not options.kubernetes:
        for option in ("--annotations-from", "--kubernetes-api", "--kubernetes-account"):
            if getattr(options, option.strip("-").replace("-", "_")):
                raise SettingError(f"{option} has an effect only with --kubernetes: add it, or leave it out")
        if options.capture != ALL:
            raise SettingError("--capture has an effect only with --kubernetes: add it, or leave it out")
        return None
    if options.no_capture:
        raise SettingError("--no-capture captures nothing, so no pod is named: leave out --kubernetes")
    try:
        found = access(options.kubernetes_api, options.kubernetes_account, os.environ)
    except AccessError as error:
        raise SettingError(str(error)) from None
    own = frozenset() if found.namespace is None else frozenset({found.namespace})
    heeded = frozenset(options.annotations_from) if options.annotations_from else None
    choice = CaptureChoice(options.capture, frozenset({SYSTEM}) | own, heeded)
    return PodSettings(found, node, options.cluster, choice)


def token(option: str, file: str | None) -> str | None:
    if not file:
        return None
    try:
        token = Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise SettingError(f"{option} {file} cannot be read: {reason}") from None
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise SettingError(f"{option} {file} holds no token: write the token into it, on one line")
    return token


def number(option: str, text: object, least: int, most: int) -> int:
    try:
        number = int(str(text))
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise SettingError(f"{option} takes a whole number from {least} to {most}")
    return number


def decimal(option: str, text: object, least: float, most: float) -> float:
    try:
        number = float(str(text))
    except ValueError:
        number = least - 1
    if not least <= number <= most:  # neither is NaN
        raise SettingError(f"{option} takes a number from {least:g} to {most:g}")
    return number


def numbers(option: str, texts: list[str] | None, most: int) -> frozenset[int]:
    return frozenset(number(option, text, 1, most) for text in texts or ())


def ring(text: object) -> int:
    mebibytes = number("--ring-mib", text, 1, 1024)
    if mebibytes & (mebibytes - 1):
        raise SettingError("--ring-mib takes a power of two, such as 64")
    return mebibytes * 1024 * 1024
