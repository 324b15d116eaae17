"""A server with one hanging part: `python -m tests.server.hung PART server ...`, with shorter timeouts.

tests/agent/hung.py does the same for the agent: each patches its own program.
"""

from __future__ import annotations

import sys

from server import cli, core, deadline, run
from server.core import Core
from server.jobs import Jobs
from server.learning.learning import Learning
from server.store.sqlite import connection
from server.store.sqlite.writer import Writer
from tests import hangs
from tests.hangs import in_c

STOP_S, STORE_S, SHUTDOWN_S = 5.0, 2.0, 1


def in_a_lock(*_: object) -> None:
    sys.stderr.write("hangs\n")
    hangs.in_a_lock()


PARTS = {
    "learning": (Learning, "learn_some", in_c),
    "jobs": (Jobs, "_turn", in_a_lock),
    "writer": (Writer, "_commit", in_a_lock),
    "request": (connection, "file_bytes", in_a_lock),
    "main": (Core, "stop", in_c),
}


def main() -> int:
    part, *arguments = sys.argv[1:]
    owner, name, hang = PARTS[part]
    setattr(owner, name, hang)
    deadline.STOP_S, core.STORE_S, run.SHUTDOWN_S = STOP_S, STORE_S, SHUTDOWN_S
    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
