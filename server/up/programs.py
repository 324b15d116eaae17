"""The commands that `spectap up` starts. The agent is started and never imported."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from server.agent_program import AgentMissing, agent_program
from server.up.options import UpError, UpOptions

SPEAKER = re.compile("^.*spectap-agent(?: run)?: ")  # before what the agent says


class AgentRefuses(Exception):
    """The agent refuses an option; the message is the agent's."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Files with the server's tokens, readable only by their owner."""

    ingest: Path
    admin: Path


@dataclass(frozen=True, slots=True)
class Installation:
    """The command of each program, without arguments."""

    server: tuple[str, ...]
    agent: tuple[str, ...]
    orders: tuple[str, ...]
    payments: tuple[str, ...]
    shop: tuple[str, ...]


def installed() -> Installation:
    """The programs of this installation. Raises UpError if the agent is missing."""
    python = (sys.executable, "-m")
    try:
        agent = agent_program()
    except AgentMissing as error:
        raise UpError(str(error)) from None
    return Installation(
        server=(*python, "server", "server"),
        agent=agent,
        orders=(*python, "server.demo.orders"),
        payments=(*python, "server.demo.payments"),
        shop=(*python, "server.demo.client"),
    )


def check_agent_options(programs: Installation, options: UpOptions) -> None:
    """Lets the agent check its options, before anything starts. Raises AgentRefuses."""
    if options.agent:
        words = [*programs.agent, "run", "--check", "--server", options.listen.url, *options.agent]
        ended = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
        )
        if ended.returncode:
            lines = ended.stderr.decode(errors="replace").strip().splitlines()
            raise AgentRefuses(SPEAKER.sub("", lines[-1]) if lines else "the agent ended")


def tokens_in(data: Path) -> Tokens:
    """The tokens below `data`; missing ones are generated. Raises UpError."""
    tokens = Tokens(data / "tokens" / "ingest", data / "tokens" / "admin")
    try:
        tokens.ingest.parent.mkdir(mode=0o700, exist_ok=True)
        for path in (tokens.ingest, tokens.admin):
            if not path.exists():
                opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(opened, "w") as out:
                    out.write(secrets.token_urlsafe(32) + "\n")
    except OSError as error:
        raise UpError(f"cannot write {error.filename} ({error.strerror}): choose another --data") from None
    return tokens


def server_arguments(options: UpOptions, data: Path, tokens: Tokens | None) -> list[str]:
    arguments = ["--listen", str(options.listen), "--data", str(data)]
    if tokens is not None:
        arguments += ["--ingest-token-file", str(tokens.ingest), "--admin-token-file", str(tokens.admin)]
    if options.open_to_local_users:
        arguments.append("--open-to-local-users")
    return arguments + _logging(options)


def agent_arguments(
    options: UpOptions,
    data: Path,
    tokens: Tokens | None,
    status: str,
    ports: Sequence[int],
    ours: Sequence[int],
) -> list[str]:
    """`ours` are pids that are not captured: their calls belong to the capture itself."""
    arguments = ["run", "--server", options.listen.url, "--status-listen", status]
    arguments += [
        "--spool",
        str(data / "spool"),
        "--forward-spool",
    ]  # the spool belongs to this server at any address
    if tokens is not None:
        arguments += ["--token-file", str(tokens.ingest)]
    for port in ports:
        arguments += ["--port", str(port)]
    for pid in ours:
        arguments += ["--exclude-pid", str(pid)]
    arguments += options.agent
    return arguments + _logging(options)


def _logging(options: UpOptions) -> list[str]:
    level = ["--log-level", "info" if options.verbose else "warning"]
    return [*level, "--log-json"] if options.log_json else level
