"""Everything learnt of one API: path templates, and what is said at each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgpack

from agent.wire import Record
from server.analysis.rebuild.learn_input import LearnInput, LearnOutcome, read
from server.analysis.rebuild.path_operations import (
    LeafState,
    PathOperation,
    PathOperations,
    SettledState,
)
from server.analysis.rebuild.servers import Servers
from server.analysis.rebuild.shapes.budget import MOST_SHAPES
from server.analysis.rebuild.templates.model import Decision, Template
from server.analysis.rebuild.templates.stored import TemplateState
from server.analysis.rebuild.templates.template_learner import TemplateLearner

VERSION = 1

LearnerState: TypeAlias = tuple[
    int, TemplateState, dict[str, int], dict[str, int], list[LeafState], list[SettledState]
]


class Learner:
    """Learns one API from records, in bounded memory; not to be used by two threads at once."""

    def __init__(self, shapes: int = MOST_SHAPES, templates: TemplateLearner | None = None) -> None:
        self.templates = templates or TemplateLearner()
        self.operations = PathOperations(self.templates, shapes)
        self.servers = Servers()
        self.counts: Counter[str] = Counter()

    @property
    def places(self) -> int:
        """How many places are taken, of those it may have."""
        return self.operations.places

    def learn(self, record: Record) -> LearnOutcome:
        """Learns from one record, and counts what became of it."""
        exchange = read(record)
        outcome = self._learn(exchange) if isinstance(exchange, LearnInput) else exchange
        self.counts[outcome] += 1
        return outcome

    def _learn(self, exchange: LearnInput) -> LearnOutcome:
        self._learn_path(exchange)
        if not self.operations.learn(exchange):
            return LearnOutcome.OVER_BOUND
        if exchange.accepted:
            self.servers.record(exchange.record)
        return LearnOutcome.LEARNT

    def _learn_path(self, exchange: LearnInput) -> None:
        self.templates.observe(
            exchange.request.method,
            exchange.segments,
            exchange.hidden,
            exchange.fingerprint,
            exchange.response.status,
        )

    def grouped(self) -> dict[tuple[str, Template], list[PathOperation]]:
        """Operations by method and by what is their template now; only of what ever succeeded."""
        return self.operations.grouped()

    def give(self, templates: Mapping[str, frozenset[str]]) -> None:
        """Templates of an existing specification; they come first."""
        self.templates.give(templates)

    def decide(self, decisions: Iterable[Decision]) -> None:
        """What a person decided of templates, all of it."""
        self.templates.decide(decisions)

    def absorb(self, other: Learner) -> None:
        """Adds all that another has learnt; `other` is not to be used any more."""
        self.templates.absorb(other.templates)
        self.counts += other.counts
        self.servers.absorb(other.servers)
        self.operations.absorb(other.operations)

    def state(self) -> bytes:
        """All that was learnt, in msgpack; what was given and decided is not part of it."""
        leaves, settled = self.operations.state()
        state: LearnerState = (
            VERSION,
            self.templates.state(),
            dict(self.counts),
            dict(self.servers.calls),
            leaves,
            settled,
        )
        packed: bytes = msgpack.packb(state, unicode_errors="surrogatepass")
        return packed

    @classmethod
    def restore(cls, state: bytes, shapes: int = MOST_SHAPES) -> Learner:
        """The learner whose `state` this was. Raises ValueError on another version."""
        version, *rest = msgpack.unpackb(
            state,
            use_list=False,
            strict_map_key=False,
            unicode_errors="surrogatepass",
            max_str_len=len(state),
        )
        if version != VERSION:
            raise ValueError(f"learner of version {version}, not {VERSION}")
        templates, counts, servers, leaves, settled = rest
        learner = cls(shapes, TemplateLearner.restore(templates))
        learner.counts, learner.servers = Counter(counts), Servers(servers)
        learner.operations.load(leaves, settled)
        return learner
