"""`spectap mcp`: a server of the Model Context Protocol on stdin and stdout, which reads a spectap server."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from server.offline import remote

if TYPE_CHECKING:
    from server.client.connection import Remote
    from server.mcp.answering import Ask, Params

EXIT_ERROR = 1
MISSING = "the SDK of the Model Context Protocol is not installed: install spectap with the extras server,mcp"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`spectap mcp --server URL`."""
    parser = subparsers.add_parser(
        "mcp",
        description="Speaks the Model Context Protocol (MCP) on stdin and stdout: an assistant starts it and"
        " reads APIs, operations, deviations, coverage, consumers, exchanges, specifications and the ledger"
        " of the server. It changes nothing.",
        epilog="Exit status: 0 when stdin ends, 1 when it cannot run, 64 for a usage error. A server"
        " answers MCP at /mcp, too.",
    )
    remote.add_options(parser, "admin")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Serves until stdin ends. Returns the exit code."""
    if find_spec("mcp") is None:
        sys.stderr.write(f"spectap mcp: {MISSING}\n")
        return EXIT_ERROR
    return remote.run(parsed, lambda server: _serve(asker(server)))


def asker(server: Remote) -> Ask:
    """Reads the routes of a server over HTTP."""
    from anyio import to_thread

    from server.client.errors import SpectapError
    from server.mcp.answering import ToolError

    async def ask(path: str, params: Params) -> bytes:
        read = partial(server.get, path, {**params})
        try:
            return (await to_thread.run_sync(read, abandon_on_cancel=True)).content
        except SpectapError as error:
            raise ToolError(str(error)) from None

    return ask


def _serve(ask: Ask) -> int:
    import anyio
    from mcp.server.stdio import stdio_server

    from server.mcp.protocol import protocol

    async def serve() -> None:
        served = protocol(lambda _: ask)
        async with stdio_server() as (read, write):
            await served.run(read, write, served.create_initialization_options())

    anyio.run(serve)
    return 0
