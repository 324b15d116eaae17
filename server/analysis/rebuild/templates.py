"""Path templates learnt from traffic, online and in bounded memory.

Traffic only adds counts to a trie; templates are a function of these counts (`TemplateLearner.templates`).
So the order of traffic does not matter until the bound on nodes is reached: then words that are values for
sure are folded into one child, which is remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from server.analysis.rebuild.template_compile import Learned, compile_templates
from server.analysis.rebuild.template_model import Decision
from server.analysis.rebuild.template_nodes import Node, Shape, dump, fold_key, load
from server.analysis.rebuild.template_values import Kind, kind_of

MOST_SEGMENTS = 32
MOST_NODES = 50_000
VERSION = 1

_MASKED: frozenset[int] = frozenset()


class TemplateLearner:
    """Learns from (method, path, status, shape of the response); hands out frozen templates.

    `nodes` bounds its memory: about 600 bytes each, whatever traffic brings.
    """

    def __init__(self, nodes: int = MOST_NODES) -> None:
        self._root = Node()
        self._most = nodes
        self._nodes = 1
        self._given: tuple[str, ...] = ()
        self._decisions: tuple[Decision, ...] = ()
        self._learned: Learned | None = None

    def observe(
        self,
        method: str,
        segments: Sequence[str],
        masked: frozenset[int] = _MASKED,
        shape: Shape = None,
        status: int = 200,
    ) -> bool:
        """Learns from one exchange. Answers whether it taught: a path that was not found exists for nobody.

        `segments` come after the first slash, percent-decoded; `masked` are the indices of those the agent
        replaced; `shape` is any fingerprint of the response's structure, None if unknown.
        """
        if not 200 <= status < 400 or len(segments) > MOST_SEGMENTS:
            return False
        node = self._root
        for index, word in enumerate(segments):
            below = node.children.get(word)
            if below is None or (masked and index in masked):
                below = self._below(node, word, index in masked)
            node = below
        calls = node.calls
        key = (method, shape)
        if key in calls:
            calls[key] += 1
        else:
            node.count(method, shape)
        self._learned = None
        return True

    def _below(self, node: Node, word: str, masked: bool) -> Node:
        kind = Kind.OPAQUE if masked else kind_of(word)
        key = word if kind is None else fold_key(kind)
        below = node.children.get(key)
        if below is None:
            below = node.children[key] = Node()
            self._nodes += 1
        if kind is not None:
            below.holds(word)
        return below

    def give(self, templates: Iterable[str]) -> None:
        """An existing specification's templates: they come first, traffic that fits one adds none."""
        self._given = tuple(templates)
        self._learned = None

    def decide(self, decisions: Iterable[Decision]) -> None:
        """What a person decided, all of it, in the order of deciding; it survives any traffic."""
        self._decisions = tuple(decisions)
        self._learned = None

    def templates(self) -> Learned:
        """The templates as of now; the same object until something new is observed."""
        if self._learned is None:
            self._learned = compile_templates(self._root, self._given, self._decisions)
        return self._learned

    def absorb(self, other: TemplateLearner) -> None:
        """Adds all that another has learnt; `other` is not to be used any more."""
        self._root.absorb(other._root)
        self._nodes = sum(1 for _ in self._root.walk())
        self._learned = None

    def state(self) -> dict[str, Any]:
        """All that was learnt, for msgpack; what was given and decided is not part of it."""
        return {"version": VERSION, "root": dump(self._root)}

    @classmethod
    def restore(cls, state: dict[str, Any], nodes: int = MOST_NODES) -> TemplateLearner:
        """The learner whose `state` this was. Raises ValueError on another version."""
        if state.get("version") != VERSION:
            raise ValueError(f"templates of version {state.get('version')}, not {VERSION}")
        learner = cls(nodes)
        learner._root = load(state["root"])
        learner._nodes = sum(1 for _ in learner._root.walk())
        return learner
