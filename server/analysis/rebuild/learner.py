"""Everything learned of one API: path templates and their operations."""

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
    """Learns one API from records, in bounded memory. Not thread-safe."""

    def __init__(self, shapes: int = MOST_SHAPES, templates: TemplateLearner | None = None) -> None:
        self.templates = templates or TemplateLearner()
        self.operations = PathOperations(self.templates, shapes)
        self.servers = Servers()
        self.counts: Counter[str] = Counter()

    @property
    def places(self) -> int:
        """Number of places used, of its budget."""
        return self.operations.places

    def learn(self, record: Record) -> LearnOutcome:
        """Learns from one record, and counts the outcome."""
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
            200 if exchange.response is None else exchange.response.status,
        )

    def grouped(self) -> dict[tuple[str, Template], list[PathOperation]]:
        """Operations by method and current template; only those that ever succeeded."""
        return self.operations.grouped()

    def set_given(self, templates: Mapping[str, frozenset[str]]) -> None:
        """Sets the templates of an existing specification; they take precedence."""
        self.templates.set_given(templates)

    def decide(self, decisions: Iterable[Decision]) -> None:
        """Sets a person's decisions on templates, all of them."""
        self.templates.decide(decisions)

    def absorb(self, other: Learner) -> None:
        """Merges what another has learned; `other` must not be used any more."""
        self.templates.absorb(other.templates)
        self.counts += other.counts
        self.servers.absorb(other.servers)
        self.operations.absorb(other.operations)

    def state(self) -> bytes:
        """What was learned, in msgpack, without given templates and decisions."""
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
        """The learner from its `state`. Raises ValueError for another version."""
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
