"""Runs the server until SIGTERM or SIGINT: socket, log, and a stop that commits everything accepted."""

from __future__ import annotations

import errno
import gc
import logging
import signal
import socket
import sys
import threading
import time
from functools import partial
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from server import logs
from server.analysis.specs.load import load
from server.app import create_app
from server.config import ServerSettings, user_name
from server.connections import ConnectionBounds, Connections, protocol
from server.core import Core
from server.deadline import STOP_SIGNALS, Deadline
from server.listening import bind, raise_descriptor_limit
from server.store.errors import Damaged, StoreUnavailable
from server.store.sqlite.salvage import salvage
from server.store.sqlite.store import SqliteStore
from server.tls import RenewedTls

log = logging.getLogger(__name__)

GC_THRESHOLDS = (100_000, 20, 100)  # a batch becomes 25,000 objects without cycles
DAMAGED = 65  # EX_DATAERR of sysexits.h: the exit status for a damaged database
SHUTDOWN_S = 10  # for current requests; of the 20 s for stopping
LINGER_S = 4.0  # for the threads of abandoned requests; idle ones end at once, given CPU time


def serve(settings: ServerSettings) -> int:
    """Returns the exit code: 0 after a clean stop, 1 if it could not start, DAMAGED if the database is
    damaged (one sentence on stderr).
    """
    logs.start(settings.log_level, settings.log_json)
    connections = Connections(ConnectionBounds.of(raise_descriptor_limit()))
    try:
        listener = bind(settings.host, settings.port, connections, settings.tls is not None)
        if settings.salvage:
            _salvage(settings.data)
        core = Core(settings, SqliteStore(settings.data), partial(load, policy=settings.policy))
    except OSError as error:
        return _refuse(_bind_refusal(settings, error))
    except Damaged as error:
        return _refuse(f"{settings.data}: {error}, or choose another directory with --data", DAMAGED)
    except StoreUnavailable as error:
        return _refuse(f"{error}; choose another directory with --data")
    _log_access(settings)
    gc.set_threshold(*GC_THRESHOLDS)
    host, port = listener.getsockname()[:2]
    scheme = "http" if settings.tls is None else "https"
    log.info(
        "listening at %s://%s:%d, data in %s",
        scheme,
        f"[{host}]" if ":" in host else host,
        port,
        settings.data,
    )
    with Deadline(core.unfinished) as deadline:
        app = create_app(settings, core, connections, lambda: deadline.left)
        tls = None if settings.tls is None else RenewedTls(settings.tls)
        return _run(uvicorn.Server(configured(app, connections, tls)), listener, core, deadline)


def _run(server: uvicorn.Server, listener: socket.socket, core: Core, deadline: Deadline) -> int:
    """Serves until asked to stop. Returns the exit status."""
    for sign in STOP_SIGNALS:  # uvicorn raises them again at its end, which is no failure
        signal.signal(sign, lambda *_: setattr(server, "should_exit", True))
    server.run(sockets=[listener])
    core.stop(deadline.left)
    if core.unfinished() or _requests_hang():
        deadline.cut()
    if not server.started:
        return 1
    if shortfall := core.learning.shortfall:
        log.warning("stopped; every accepted exchange is stored, but %s", shortfall)
    else:
        log.info("stopped; everything accepted is stored")
    return 0


def _requests_hang() -> bool:
    """Whether the thread of a request hangs, for which the interpreter would wait at exit."""
    until = time.monotonic() + LINGER_S
    threads = [one for one in threading.enumerate() if not (one.daemon or one is threading.main_thread())]
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return any(thread.is_alive() for thread in threads)


def _log_access(settings: ServerSettings) -> None:
    if settings.ingest_token and settings.admin_token:
        return
    if settings.local_users is None:
        log.warning("no tokens configured: every user of this machine can use this server")
    else:
        users = ", ".join(map(user_name, sorted(settings.local_users)))
        log.info("no tokens configured: on this machine, only %s can use this server", users)


def configured(app: FastAPI, connections: Connections, tls: RenewedTls | None = None) -> uvicorn.Config:
    """The configuration of uvicorn."""
    found = uvicorn.Config(
        app,
        http=protocol(connections),
        ws="none",
        backlog=connections.bounds.at_once,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
        lifespan="on",
        loop="auto" if tls is None else "server.tls:TlsLoop",
    )
    if tls is not None:
        found.load()
        found.ssl = tls.context
    return found


def _bind_refusal(settings: ServerSettings, error: OSError) -> str:
    where = f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        who = f"ss -ltnp 'sport = :{settings.port}' shows it"
        return (
            f"{where} is taken by another program: stop it ({who}), or choose another address with --listen"
        )
    return f"cannot listen at {where}: {error.strerror}; choose another address with --listen"


def _salvage(data: Path) -> None:
    """Salvages a damaged database. Raises StoreUnavailable."""
    found = salvage(data)
    if found is None:
        log.info("nothing of the database is damaged")
        return
    kept, tables = found
    for table in tables:
        if table.lost != 0:
            log.warning("salvaged %s", table)
    log.warning("the damaged database is kept as %s", kept)


def _refuse(why: str, status: int = 1) -> int:
    sys.stderr.write(f"spectap server: {why}\n")
    return status
