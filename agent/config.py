"""The agent's settings, checked once: command line over environment over default."""

from __future__ import annotations

import argparse
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from agent import checks
from agent.kubernetes.choice import PodSettings
from agent.options import OPTIONS
from agent.redact.policy import Policy
from agent.ship.tls import ServerTrust
from agent.state_folder import state_folder

MAX_BODY_CAP = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of `spectap-agent run`. Sizes in bytes; an empty set does not restrict."""

    server: str
    token: str | None
    trust: ServerTrust
    agent: str
    node: str
    cluster: str | None
    only_ports: frozenset[int]
    except_ports: frozenset[int]
    only_pids: frozenset[int]
    except_pids: frozenset[int]
    only_names: frozenset[str]
    only_cgroups: tuple[str, ...]
    except_cgroups: tuple[str, ...]
    body_cap: int
    bodies: bool
    aggregation_header: str | None
    mask_names: frozenset[str]
    keep_names: frozenset[str]
    websocket: bool
    status_listen: tuple[str, int]
    status_token: str | None
    key_file: Path
    backend: str | None
    cache: Path | None
    """What the next start takes from this one; None to keep nothing."""
    ring_bytes: int
    spool: Path
    spool_bytes: int
    spool_age_s: int
    forward_spool: bool
    priority: str
    cpu_floor: float  # CPU seconds per second
    cpu_ceiling: float
    memory_bytes: int
    step_down: bool
    log_json: bool
    log_level: str
    format: str | None
    telemetry_listen: tuple[str, int] | None
    telemetry_token: str | None
    capture: bool
    pods: PodSettings | None
    """None if the Kubernetes API is not asked."""
    java: Path | None
    """What to put into Java virtual machines; None to leave them as they are."""

    @property
    def policy(self) -> Policy:
        """The choices about redaction. Raises ValueError."""
        return Policy(
            bodies=self.bodies,
            body_limit=self.body_cap,
            aggregation_header=self.aggregation_header,
            mask_names=self.mask_names,
            keep_names=self.keep_names,
            websocket=self.websocket,
        )


def settings(given: argparse.Namespace) -> Settings:
    """The checked settings; options that a command lacks keep their defaults. Raises SettingError."""
    options = argparse.Namespace(**{option.field: option.default for option in OPTIONS})
    options.__dict__.update(vars(given))
    for option in OPTIONS:
        setattr(options, option.field, checks.checked(option, getattr(options, option.field)))
    node = options.node or socket.gethostname()
    state = state_folder()
    telemetry = checks.telemetry_address(options)
    return Settings(
        server=checks.server_url(options.server) if hasattr(given, "server") else "",
        token=checks.token("--token-file", options.token_file),
        trust=checks.trust(options),
        agent=options.agent or node,
        node=node,
        cluster=options.cluster,
        only_ports=checks.numbers("--port", options.port, 65_535),
        except_ports=checks.numbers("--exclude-port", options.exclude_port, 65_535),
        only_pids=checks.numbers("--pid", options.pid, 2**31 - 1),
        except_pids=checks.numbers("--exclude-pid", options.exclude_pid, 2**31 - 1),
        only_names=frozenset(options.process or ()),
        only_cgroups=tuple(options.cgroup or ()),
        except_cgroups=tuple(options.exclude_cgroup or ()),
        body_cap=checks.number("--body-cap", options.body_cap, 0, MAX_BODY_CAP),
        bodies=not options.heads_only,
        aggregation_header=options.aggregation_header,
        mask_names=frozenset(options.mask or ()),
        keep_names=frozenset(options.keep or ()),
        websocket=bool(options.websocket),
        status_listen=checks.status_address(options),
        status_token=checks.token("--status-token-file", options.status_token_file),
        key_file=Path(options.key_file) if options.key_file else state / "fingerprint.key",
        backend=options.backend,
        cache=None if options.no_cache else Path(options.cache or state / "cache"),
        ring_bytes=checks.ring(options.ring_mib),
        spool=Path(options.spool) if options.spool else state / "spool",
        spool_bytes=checks.number("--spool-mib", options.spool_mib, 0, 1024 * 1024) * 1024 * 1024,
        spool_age_s=checks.number("--spool-hours", options.spool_hours, 1, 24 * 365) * 3600,
        forward_spool=bool(options.forward_spool),
        priority=options.priority,
        cpu_floor=checks.decimal("--cpu", options.cpu, 0, 100) / 100 * len(os.sched_getaffinity(0)),
        cpu_ceiling=checks.decimal("--cpu-max", options.cpu_max, 0.01, 1024),
        memory_bytes=checks.number("--memory-mib", options.memory_mib, 16, 1024 * 1024) * 1024 * 1024,
        step_down=not options.no_step_down,
        log_json=bool(options.log_json),
        log_level=options.log_level,
        format=options.format,
        telemetry_listen=telemetry,
        telemetry_token=checks.token("--telemetry-token-file", options.telemetry_token_file),
        capture=not options.no_capture,
        pods=checks.pods(options, node),
        java=checks.java(options),
    )
