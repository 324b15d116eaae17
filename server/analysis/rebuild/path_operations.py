"""The operations of one API by path.

They are kept by path as seen (recognisable values folded), and by the current templates once there are too
many; a document uses the templates at its creation.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from server.analysis.rebuild.learn_input import LearnInput
from server.analysis.rebuild.operation import LearntOperation, OperationState
from server.analysis.rebuild.segments import kind_of
from server.analysis.rebuild.shapes.budget import Budget
from server.analysis.rebuild.templates.compiled import TemplateSet
from server.analysis.rebuild.templates.model import Template
from server.analysis.rebuild.templates.template_learner import TemplateLearner

MOST_LEAVES = 4_000  # operations by path as seen, before they are grouped by template
MOST_OPERATIONS = 2_000  # by template; calls of further ones are counted, not learned

Leaf = tuple[str, ...]
"""Method and segments, values folded."""

Settled = tuple[str, str]
"""Method and text of a template."""

LeafState: TypeAlias = tuple[Leaf, tuple[str, ...], OperationState]
SettledState: TypeAlias = tuple[str, str, tuple[str, ...], OperationState]

K = TypeVar("K")


@dataclass(slots=True)
class PathOperation:
    """An operation with the segments of one of its paths: the alphabetically first of those accepted, so that
    the order of traffic does not matter.
    """

    operation: LearntOperation
    segments: tuple[str, ...]

    def accept(self, segments: tuple[str, ...]) -> None:
        """Records the path of an accepted call, before that is counted."""
        if segments < self.segments or not self.operation.accepted:
            self.segments = segments

    def learn(self, exchange: LearnInput, budget: Budget) -> None:
        """Learns from one exchange."""
        if exchange.accepted:
            self.accept(exchange.segments)
        self.operation.learn(exchange, budget)

    def absorb(self, other: PathOperation) -> None:
        """Merges what another has learned; `other` must not be used any more."""
        if other.operation.accepted:
            self.accept(other.segments)
        self.operation.absorb(other.operation)


class PathOperations:
    """All operations of one API, within a budget of places."""

    def __init__(self, templates: TemplateLearner, shapes: int) -> None:
        self.templates = templates
        self._shapes = shapes
        self._budget = Budget(shapes)
        self._leaves: dict[Leaf, PathOperation] = {}
        self._settled: dict[Settled, PathOperation] = {}
        self._settled_by: TemplateSet | None = None
        self._compact_at = MOST_LEAVES
        self.dropped = 0  # accepted calls of operations beyond the bound

    @property
    def places(self) -> int:
        """Number of places used, of its budget."""
        return self._shapes - self._budget.left

    def learn(self, exchange: LearnInput) -> bool:
        """Learns from one exchange; False if its operation is beyond the bound."""
        operation = self._of(exchange)
        if operation is None:
            return False
        operation.learn(exchange, self._budget)
        return True

    def _of(self, exchange: LearnInput) -> PathOperation | None:
        leaf = leaf_of(exchange, self.templates.given_words(exchange.segments))
        known = self._leaves.get(leaf) or self._settled_at(exchange)
        if known is not None:
            return known
        if len(self._leaves) >= self._compact_at or self._budget.left < self._shapes // 16:
            if len(self._leaves) < self._compact_at // 4:  # grouping them would not free much room
                return None
            self._make_room()
            return self._of(exchange)
        operation = self._leaves[leaf] = PathOperation(LearntOperation(), exchange.segments)
        self._budget.left -= 4
        return operation

    def _settled_at(self, exchange: LearnInput) -> PathOperation | None:
        if self._settled_by is None:
            return None
        template = self._settled_by.resolve(exchange.segments)
        return self._settled.get((exchange.request.method, template.text)) if template else None

    def _make_room(self) -> None:
        """Drops operations that never succeeded, such as a scanner's; groups others if that is too little.

        Grouping is final, and templates may change later: what never succeeded must not cause it.
        """
        kept = {id(one) for some in self.grouped().values() for one in some}
        self._leaves = {leaf: one for leaf, one in self._leaves.items() if id(one) in kept}
        self._recount()
        if len(self._leaves) > self._compact_at // 2 or self._budget.left < self._shapes // 8:
            self.compact()

    def compact(self) -> None:
        """Groups operations by the current templates; operations without a template are dropped."""
        self._settled_by = self.templates.templates()
        grouped = self.grouped()
        self._settled = {}
        for (method, template), (first, *more) in grouped.items():
            for other in more:
                first.absorb(other)
            if len(self._settled) < MOST_OPERATIONS:
                segments = template.example or first.segments
                self._settled[method, template.text] = PathOperation(first.operation, segments)
            else:
                self.dropped += first.operation.accepted
        self._leaves = {}
        self._recount()
        full = len(self._settled) >= MOST_OPERATIONS or self._budget.left < self._shapes // 8
        self._compact_at = 2 * self._compact_at if full else MOST_LEAVES

    def grouped(self) -> dict[tuple[str, Template], list[PathOperation]]:
        """Operations by method and current template; only those that ever succeeded."""
        templates = self.templates.templates()
        found: dict[tuple[str, Template], list[PathOperation]] = {}
        for method, one in self._by_method():
            template = templates.resolve(one.segments)
            if template is not None:
                found.setdefault((method, template), []).append(one)
        return {key: some for key, some in found.items() if any(one.operation.accepted for one in some)}

    def refused(self) -> Iterator[tuple[str, str, LearntOperation]]:
        """(method, path, operation) of those that never succeeded; the path is its template, else as it was
        called, with {} for values.
        """
        accepted = self.grouped()
        templates = self.templates.templates()
        for leaf, one in self._leaves.items():
            template = templates.resolve(one.segments)
            if template is None:
                shown = ("{}" if segment.startswith("\0") else segment for segment in leaf[1:])
                yield leaf[0], "/" + "/".join(shown), one.operation
            elif (leaf[0], template) not in accepted:
                yield leaf[0], template.text, one.operation

    def _by_method(self) -> Iterator[tuple[str, PathOperation]]:
        for leaf, operation in self._leaves.items():
            yield leaf[0], operation
        for (method, _), operation in self._settled.items():
            yield method, operation

    def _recount(self) -> None:
        self._budget.left = self._shapes - sum(one.operation.size() for _, one in self._by_method())

    def absorb(self, other: PathOperations) -> None:
        """Merges what another has learned; `other` must not be used any more."""
        self.dropped += other.dropped
        _absorb(self._leaves, other._leaves)
        _absorb(self._settled, other._settled)
        self._recount()
        if other._settled:
            self.compact()
        elif len(self._leaves) >= MOST_LEAVES:
            self._make_room()

    def state(self) -> tuple[list[LeafState], list[SettledState]]:
        """The state, for msgpack."""
        return (
            [(leaf, one.segments, one.operation.state()) for leaf, one in self._leaves.items()],
            [(*key, one.segments, one.operation.state()) for key, one in self._settled.items()],
        )

    def load(self, leaves: list[LeafState], settled: list[SettledState]) -> None:
        """Loads what `state` wrote."""
        self._leaves = {tuple(leaf): _loaded(segments, one) for leaf, segments, one in leaves}
        self._settled = {(method, text): _loaded(segments, one) for method, text, segments, one in settled}
        self._settled_by = self.templates.templates() if settled else None
        self._recount()


def _absorb(mine: dict[K, PathOperation], others: dict[K, PathOperation]) -> None:
    for key, operation in others.items():
        if key in mine:
            mine[key].absorb(operation)
        else:
            mine[key] = operation


def _loaded(segments: tuple[str, ...], state: OperationState) -> PathOperation:
    return PathOperation(LearntOperation.restore(state), tuple(segments))


def leaf_of(exchange: LearnInput, words: Container[int] = ()) -> Leaf:
    """The key of an exchange before its template is known; `words` are the places that stay as they are."""
    leaf = [exchange.request.method]
    for index, segment in enumerate(exchange.segments):
        kind = None if index in words else kind_of(segment)
        if index in exchange.hidden:
            leaf.append("\0opaque")
        else:
            leaf.append(segment if kind is None else "\0" + kind)
    return tuple(leaf)
