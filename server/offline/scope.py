"""Whose traffic a command judges: that of the hosts which its specification names, or the user chose.

| the specification names | the exchange is judged if |
|---|---|
| hosts | its host is one of them |
| no host (relative server URLs, or none) | all traffic is of one host; with a second one the command stops |
| anything, with `--host` | its host is one of those given |
| anything, with `--any-host` | always |

An exchange without a host (from an audit log) is judged unless `--host` is given. Others are left out and
counted.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.wire import Record
from server.analysis.inventory import host_of
from server.analysis.specs.document.host_names import HostNames, named_hosts, site
from server.analysis.specs.judging.judged import Judged, first_with_operation
from server.analysis.specs.routing.bases import base_of, closeness, encoded_bases
from server.analysis.specs.specification import Specification
from server.offline import values

MAX_HOSTS = 1000  # counted by name; further ones share a count
AUDITED = "kubernetes.default.svc"  # assumed by the reader of audit logs: no client sent it
_SHOWN = 5
_OTHER, _NONE = "(others)", "(no host)"


class OutOfScope(Exception):
    """No exchange can be judged, or it is unclear which; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Document:
    """A specification, the file it is from, and the hosts and base paths that it names."""

    path: Path
    specification: Specification
    hosts: HostNames
    bases: tuple[bytes, ...]

    @classmethod
    def of(cls, path: Path, specification: Specification) -> Document:
        bases = encoded_bases(specification.base_paths)
        return cls(path, specification, named_hosts(specification.document), bases)


def add_options(parser: argparse.ArgumentParser) -> None:
    """`--host` and `--any-host`."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--host",
        type=values.text,
        action="append",
        default=[],
        metavar="HOST",
        help="judge only traffic of this host, such as staging.shop.example, localhost:8080 or"
        " '*.shop.example'; repeatable (default: the hosts that the specification's servers name)",
    )
    group.add_argument("--any-host", action="store_true", help="judge traffic of every host")


class TrafficScope:
    """Chooses the document for each exchange: of its host, then by the longest base path, then the first that
    has the operation. Counts exchanges that none is for.
    """

    def __init__(
        self, documents: Sequence[Document], given: Sequence[str] = (), any_host: bool = False
    ) -> None:
        self.documents = documents
        self.judged = 0
        self.left_out: Counter[str] = Counter()
        self._given = HostNames(given)
        self._any = any_host
        self._named: dict[tuple[str, str], list[Document]] = {}  # by host and scheme
        self._only: str | None = None  # the one host of documents that name none

    def judge(self, record: Record) -> tuple[Document, Judged] | None:
        """The judgement of one exchange; None if it is left out. Raises OutOfScope."""
        found = first_with_operation(self._candidates(record), record)
        if found is not None:
            self.judged += 1
        return found

    def takes(self, record: Record) -> bool:
        """Whether an exchange is of a host given by the user, if any is; without documents."""
        if self._is_given(record):
            self.judged += 1
            return True
        self._leave_out(_host(record))
        return False

    def _candidates(self, record: Record) -> Sequence[Document]:
        host, documents = _host(record), self.documents
        if not self._is_given(record):
            documents = ()
        elif host is not None and not self._given and not self._any:
            documents = self._of(host, _scheme(record))
        if not documents:
            self._leave_out(host)
        path = record.request.path if record.request else b""
        if len(documents) < 2:
            return documents
        return sorted(documents, key=lambda one: closeness(base_of(one.bases, path)), reverse=True)

    def _is_given(self, record: Record) -> bool:
        """Whether the user chose its host, or none. Without a host, the server's address is compared."""
        host = _host(record) or _address(record)
        return not self._given or (host is not None and self._given.fit(host, _scheme(record)))

    def _of(self, host: str, scheme: str) -> Sequence[Document]:
        named = self._named.get((host, scheme))
        if named is None:
            named = [one for one in self.documents if one.hosts.fit(host, scheme)]
            if len(self._named) < MAX_HOSTS:
                self._named[host, scheme] = named
        if named:
            return named
        free = [one for one in self.documents if not one.hosts]
        if not free:
            return []
        self._only = self._only or host
        if host == self._only or site(host) == site(self._only):
            return free
        raise OutOfScope(
            f"the specification names no host, and the traffic is of several ({self._only}, {host}):"
            f" choose with --host {self._only}, or judge all with --any-host"
        )

    def _leave_out(self, host: str | None) -> None:
        name = host or _NONE
        known = name in self.left_out or len(self.left_out) < MAX_HOSTS
        self.left_out[name if known else _OTHER] += 1

    def check(self) -> None:
        """Raises OutOfScope if exchanges were read, and none was judged."""
        if self.judged or not self.left_out:
            return
        names = self._given.names or [name for one in self.documents for name in one.hosts.names]
        wanted = f"{', '.join(names[:_SHOWN])}{' and others' if len(names) > _SHOWN else ''}"
        whose = "--host" if self._given else "the specification"
        suggested = next(
            (name for name, _ in self.left_out.most_common() if name not in (_NONE, _OTHER)), None
        )
        advice = f"choose with --host {suggested}, or " if suggested else ""
        raise OutOfScope(
            f"no exchange is of a host that {whose} names ({wanted}); the traffic is of {self._most()}:"
            f" {advice}judge all with --any-host"
        )

    def __str__(self) -> str:
        """What was left out, as a part of a sentence; empty if nothing was."""
        if not self.left_out:
            return ""
        total = sum(self.left_out.values())
        return f"{total:,} of other hosts left out ({self._most()}): --host HOST or --any-host judges them"

    def _most(self) -> str:
        shown = [f"{name} {count:,}" for name, count in self.left_out.most_common(_SHOWN)]
        more = len(self.left_out) - len(shown)
        return ", ".join(shown) + (f" and {more:,} more" if more else "")


def _host(record: Record) -> str | None:
    """The host that a client named."""
    host = host_of(record)
    assumed = host == AUDITED and record.request is not None and not record.request.headers
    return None if assumed else host


def _address(record: Record) -> str | None:
    server = record.server
    if server is None:
        return None
    return f"[{server.ip}]:{server.port}" if ":" in server.ip else f"{server.ip}:{server.port}"


def _scheme(record: Record) -> str:
    return record.request.scheme if record.request else ""
