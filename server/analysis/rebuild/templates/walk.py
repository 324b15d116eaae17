"""Walks the trie of observations from its root, all nodes of one place together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from server.analysis.rebuild.templates.model import (
    Decision,
    MergeWords,
    ParameterType,
    Rename,
    Retype,
    Split,
)
from server.analysis.rebuild.templates.nodes import (
    NAMES,
    Fingerprint,
    Node,
    distinct,
    fold_key,
    is_fold,
    kind_in,
    together,
)
from server.analysis.rebuild.templates.opinions import Opinions, Partition

Children = dict[str, list[Node]]

_TYPES = {type_.value: type_ for type_ in ParameterType}


@dataclass(frozen=True, slots=True)
class Step:
    """One segment of a template: a word, or a parameter with its values' common type.

    `name` is a person's, "" for none; `example` one observed text; `suffix` follows the parameter.
    """

    word: str
    example: str
    is_parameter: bool = False
    type: ParameterType = ParameterType.STRING
    values: int = 0
    suffix: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """A path of steps with calls, counted by method; `either`: also of its form with a slash at the end."""

    steps: tuple[Step, ...]
    calls: dict[str, int]
    either: bool = False


@dataclass(frozen=True, slots=True)
class _Here:
    nodes: list[Node]
    steps: tuple[Step, ...]
    decisions: tuple[tuple[tuple[str, ...], Decision], ...]  # with the remaining segments to their place

    def with_slash(self) -> list[Node]:
        """The nodes of the same paths with a slash at the end, if the server takes both for one: some call is
        answered alike there, and none by an answer of its own.
        """
        found = [node.children[""] for node in self.nodes if "" in node.children]
        ends_in_slash = bool(self.steps) and not self.steps[-1].example
        if ends_in_slash or any(node.children for node in found):
            return []
        here, there = _answers(self.nodes), _answers(found)
        alike = [method for method in there if here.get(method, set()) & there[method]]
        return found if alike and all(method in alike for method in there if method in here) else []


def walk(root: Node, decisions: Sequence[Decision], fold: bool = False) -> Iterator[Visit]:
    """Every path that had calls. With `fold`, words that are values are folded into one child.

    Walks three times: results at one place help to decide at others (opinions.py).
    """
    opinions = Opinions(root)
    opinions.share(sum(1 for _ in _walk(root, decisions, opinions, False)))
    opinions.weigh([sum(visit.calls.values()) for visit in _walk(root, decisions, opinions, False)])
    yield from _walk(root, decisions, opinions, fold)


def _walk(root: Node, decisions: Sequence[Decision], opinions: Opinions, fold: bool) -> Iterator[Visit]:
    stack = [_Here([root], (), tuple((decision.place.before, decision) for decision in decisions))]
    while stack:
        here = stack.pop()
        with_slash = here.with_slash()
        calls = _calls([*here.nodes, *with_slash])
        if calls:
            yield Visit(here.steps, calls, bool(with_slash))
        stack.extend(_next(here, opinions, fold, without_slash=bool(with_slash)))


def _next(here: _Here, opinions: Opinions, fold: bool, without_slash: bool) -> Iterator[_Here]:
    children = together(here.nodes)
    if without_slash:
        del children[""]
    if not children:
        return
    decided = [decision for before, decision in here.decisions if not before]
    before = [None if step.is_parameter else step.word for step in here.steps]
    parts = _with_decisions(opinions.partition(children, here.nodes, before), decided)
    for key in parts.literals:
        word = (children[key][0].least or "") if is_fold(key) else key
        yield _Here(children[key], (*here.steps, Step(word, word)), _onward(here, {word}))
    for suffix, keys in sorted(parts.values.items()):
        step = _parameter(children, keys, suffix, decided)
        onward = _onward(here, {"{}", *keys})
        below = _folded(here.nodes, keys, suffix) if fold else [n for key in keys for n in children[key]]
        yield _Here(below, (*here.steps, step), onward)


def _onward(here: _Here, words: set[str]) -> tuple[tuple[tuple[str, ...], Decision], ...]:
    """The decisions whose place is below one of these words."""
    return tuple((left[1:], decision) for left, decision in here.decisions if left and left[0] in words)


def _with_decisions(parts: Partition, decided: list[Decision]) -> Partition:
    literals, values = set(parts.literals), {suffix: set(keys) for suffix, keys in parts.values.items()}
    if any(isinstance(decision, MergeWords) for decision in decided):
        values = {"": (literals - {""}).union(*values.values())}
        literals &= {""}
    for decision in decided:
        if isinstance(decision, Split):
            for keys in values.values():
                if decision.word in keys:
                    keys.remove(decision.word)
                    literals.add(decision.word)
    return Partition(
        tuple(sorted(literals)), {suffix: tuple(sorted(keys)) for suffix, keys in values.items() if keys}
    )


def _folded(nodes: list[Node], keys: tuple[str, ...], suffix: str) -> list[Node]:
    """Folds all words that are values into one child, below each node. Returns the children for values."""
    target = fold_key(NAMES + suffix)
    below: list[Node] = []
    for node in nodes:
        for key in keys:
            if not is_fold(key) and key in node.children:
                child = node.children.pop(key)
                child.add_value(key)
                child.fold(key)
                into = node.children.setdefault(target, child)
                if into is not child:
                    into.absorb(child)
        below += [node.children[key] for key in {*keys, target} if key in node.children]
    return below


def _parameter(children: Children, keys: tuple[str, ...], suffix: str, decided: list[Decision]) -> Step:
    folds = [node for key in keys if is_fold(key) for node in children[key]]
    words = [key for key in keys if not is_fold(key)]
    seen = 0
    for node in folds:
        seen |= node.seen
    kinds = {kind_in(key) if is_fold(key) else NAMES for key in keys}
    type_ = _TYPES.get(kinds.pop(), ParameterType.STRING) if len(kinds) == 1 else ParameterType.STRING
    name = ""
    for decision in decided:
        if isinstance(decision, Rename):
            name = decision.name
        elif isinstance(decision, Retype):
            type_ = decision.type
    example = min([*words, *(node.least or "" for node in folds)])
    return Step("{}", example, True, type_, len(words) + distinct(seen), suffix, name)


def _answers(nodes: list[Node]) -> dict[str, set[Fingerprint]]:
    """The different answers to each method."""
    found: dict[str, set[Fingerprint]] = {}
    for node in nodes:
        for method, shape in node.calls:
            found.setdefault(method, set()).add(shape)
    return found


def _calls(nodes: list[Node]) -> dict[str, int]:
    calls: dict[str, int] = {}
    for node in nodes:
        for (method, _), times in node.calls.items():
            calls[method] = calls.get(method, 0) + times
    return calls
