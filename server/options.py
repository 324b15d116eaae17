"""The options of `spectap server`. Each default can be set in the environment: SPECTAP_ and its name."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from server import config
from server.offline import policy

TOKEN = "file with the token (or sha256:HEX of it) that %s; required unless listening on loopback only"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds all, in groups."""
    _access(parser)
    _storage(parser)
    _kubernetes(parser)
    policy.add_options(parser.add_argument_group("what counts as a deviation"), _env)
    _logs(parser)


def _access(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument_group("access").add_argument
    option(
        "--listen",
        metavar="HOST:PORT",
        default=_env("listen", config.DEFAULT_LISTEN),
        help="address and port to listen at (default: %(default)s)",
    )
    option(
        "--ingest-token-file",
        metavar="FILE",
        type=Path,
        default=_env("ingest_token_file"),
        help=TOKEN % "agents send",
    )
    option(
        "--admin-token-file",
        metavar="FILE",
        type=Path,
        default=_env("admin_token_file"),
        help=TOKEN % "people send",
    )
    option(
        "--tls-cert",
        metavar="FILE",
        default=_env("tls_cert"),
        help="serve HTTPS with the certificate (and its chain) in this file; renewed files are read again",
    )
    option(
        "--tls-key",
        metavar="FILE",
        default=_env("tls_key"),
        help="file with its private key, without a passphrase",
    )
    option(
        "--tls-client-ca",
        metavar="FILE",
        default=_env("tls_client_ca"),
        help="take records only from clients with a certificate of an authority in this file",
    )
    option(
        "--open-to-local-users",
        action="store_true",
        default=_env("open_to_local_users", False),
        help="on loopback without tokens, admit every user of this machine (default: only root, this user and"
        " who started it by sudo)",
    )


def _storage(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument_group("storage").add_argument
    option(
        "--data",
        metavar="DIR",
        type=Path,
        default=_env("data", config.default_data()),
        help="directory of the database (default: %(default)s)",
    )
    option(
        "--retention-days",
        metavar="N",
        type=float,
        default=_env("retention_days", config.DEFAULT_DAYS),
        help="days to keep whole exchanges after they arrive; counters are kept (default: %(default)s)",
    )
    option(
        "--retention-bytes",
        metavar="N",
        type=int,
        default=_env("retention_bytes", config.DEFAULT_BYTES),
        help="maximum database size; oldest exchanges are deleted first (default: %(default)s)",
    )
    option(
        "--salvage",
        action="store_true",
        default=_env("salvage", False),
        help="first, if the database is damaged, replace it by what can be read of it, and say what was lost;"
        " the damaged one is kept beside it",
    )


def _kubernetes(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument_group("Kubernetes").add_argument
    option(
        "--kubernetes",
        action="store_true",
        default=_env("kubernetes", False),
        help="name Services of the cluster: watch them and their endpoints at the Kubernetes API",
    )
    option(
        "--cluster", metavar="NAME", default=_env("cluster"), help="the name that agents give this cluster"
    )
    option(
        "--kubernetes-api",
        metavar="URL",
        default=_env("kubernetes_api"),
        help="the Kubernetes API's URL (default: the cluster's, in a pod)",
    )
    option(
        "--kubernetes-account",
        metavar="DIR",
        default=_env("kubernetes_account"),
        help="directory with a service account's token and ca.crt (default: where a pod has them)",
    )
    option(
        "--specs-from",
        metavar="NAMESPACE",
        action="append",
        default=[one for one in str(_env("specs_from", "")).split(",") if one],
        help="take specifications that Services of this namespace name by the annotation spectap.io/spec"
        " (default: of none); repeatable",
    )


def _logs(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument_group("logs").add_argument
    option("--log-json", action="store_true", default=_env("log_json", False), help="log as JSON lines")
    option(
        "--log-level",
        choices=config.LOG_LEVELS,
        default=_env("log_level", "info"),
        help="minimum level of log lines (default: %(default)s)",
    )


def _env(name: str, default: object = None) -> object:
    return os.environ.get(f"SPECTAP_{name.upper()}") or default
