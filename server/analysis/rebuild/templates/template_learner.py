"""Learns path templates from traffic, online and in bounded memory.

Traffic only adds counts to a trie; templates are a function of these counts (`TemplateLearner.templates`).
So the order of traffic does not matter until the bound on nodes is reached. Then words that are values are
folded into one child; if that does not make enough room, the least called paths are dropped, and counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from server.analysis.rebuild.segments import kind_of
from server.analysis.rebuild.templates.compiled import TemplateSet, compile_templates, given_template, trie_of
from server.analysis.rebuild.templates.model import Decision, Split, Template
from server.analysis.rebuild.templates.nodes import NAMES_KEY, OPAQUE_KEY, Fingerprint, Node, fold_key
from server.analysis.rebuild.templates.stored import VERSION, TemplateState, dump, load
from server.analysis.rebuild.templates.walk import walk
from server.analysis.specs.routing.trie import Trie

MOST_SEGMENTS = 32
MOST_NODES = 50_000
MOST_WORDS = 512  # words kept at a place where names were folded before; further ones are names too
MOST_METHODS = 24  # of one given template

_NONE: frozenset[int] = frozenset()


class TemplateLearner:
    """Learns from (method, path, status, shape of the response); hands out frozen templates.

    `nodes` bounds its memory, at about 600 bytes each; it is exceeded by `MOST_SEGMENTS` nodes at most.
    `forgotten` counts the calls of dropped paths.
    """

    def __init__(self, nodes: int = MOST_NODES) -> None:
        self.forgotten = 0
        self._root = Node()
        self._most = nodes
        self._nodes = 1
        self._given: dict[str, dict[str, int]] = {}
        self._spans: Mapping[str, frozenset[str]] = {}
        self._given_trie: Trie[Template] | None = None
        self._decisions: tuple[Decision, ...] = ()
        self._split: frozenset[str] = frozenset()
        self._learned: TemplateSet | None = None

    def observe(
        self,
        method: str,
        segments: Sequence[str],
        masked: frozenset[int] = _NONE,
        shape: Fingerprint = None,
        status: int = 200,
    ) -> bool:
        """Learns from one exchange; returns whether it was used. Refused calls and ones not found are not.

        `segments` come after the first slash, percent-decoded; `masked` are the indices of those the agent
        replaced; `shape` is any fingerprint of the response's structure, None if unknown.
        """
        if not 200 <= status < 400 or len(segments) > MOST_SEGMENTS:
            return False
        self._learned = None
        if self._given_trie is not None and self._is_given(self._given_trie, method, segments):
            return True
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
        if self._nodes > self._most:
            self._make_room()
        return True

    def _is_given(self, trie: Trie[Template], method: str, segments: Sequence[str]) -> bool:
        template = trie.find_any(segments)
        if template is None:
            return False
        calls = self._given[template.text]
        if method in calls or len(calls) < MOST_METHODS:
            calls[method] = calls.get(method, 0) + 1
        return True

    def given_words(self, segments: Sequence[str]) -> frozenset[int]:
        """The places of a path where the given template that it fits has a word, even one like a value, as
        in `/1/orders`; none if a parameter spans several.
        """
        template = None if self._given_trie is None else self._given_trie.find_any(segments)
        if template is None or template.spans:
            return _NONE
        return frozenset(range(len(segments))) - {parameter.segment for parameter in template.parameters}

    def _below(self, node: Node, word: str, masked: bool) -> Node:
        key = self._key(node, word, masked)
        below = node.children.get(key)
        if below is None:
            below = node.children[key] = Node()
            self._nodes += 1
        if key != word:
            below.add_value(word)
        return below

    def _key(self, node: Node, word: str, masked: bool) -> str:
        if masked:
            return OPAQUE_KEY
        if word in self._split:
            return word
        kind = kind_of(word)
        if kind is not None:
            return fold_key(kind)
        return NAMES_KEY if len(node.children) >= MOST_WORDS and NAMES_KEY in node.children else word

    def _make_room(self) -> None:
        """Folds words that are values; then drops the least called paths until half of the room is free."""
        for _ in walk(self._root, self._decisions, fold=True):
            pass
        self._nodes = sum(1 for _ in self._root.walk())
        least = 1
        while self._nodes > self._most // 2:
            self._root.add_up()
            self.forgotten += _forget(self._root, least)
            self._nodes = sum(1 for _ in self._root.walk())
            least *= 2

    def set_given(self, templates: Mapping[str, frozenset[str]]) -> None:
        """Sets an existing specification's templates: they take precedence; traffic that fits one adds none.

        Each has the names of its parameters that contain slashes. Raises ValueError for unpaired braces.
        """
        given = {text: self._given.get(text, {}) for text in templates}
        self._given_trie = trie_of(given_template(text, spans, {}) for text, spans in templates.items())
        self._given, self._spans = given, templates
        self._learned = None

    def decide(self, decisions: Iterable[Decision]) -> None:
        """Sets a person's decisions, all of them, in their order; traffic does not change them.

        Words folded before cannot be separated any more: a split takes effect with the word's next call.
        """
        self._decisions = tuple(decisions)
        self._split = frozenset(one.word for one in self._decisions if isinstance(one, Split))
        self._learned = None

    def templates(self) -> TemplateSet:
        """The current templates; the same object until something new is observed."""
        if self._learned is None:
            given = (given_template(text, self._spans[text], calls) for text, calls in self._given.items())
            self._learned = compile_templates(walk(self._root, self._decisions), given)
        return self._learned

    def absorb(self, other: TemplateLearner) -> None:
        """Merges what another has learned; `other` must not be used any more."""
        self._root.absorb(other._root)
        self.forgotten += other.forgotten
        self._nodes = sum(1 for _ in self._root.walk())
        self._learned = None
        if self._nodes > self._most:
            self._make_room()

    def state(self) -> TemplateState:
        """What was learned, for msgpack, without given templates and decisions."""
        return {"version": VERSION, "forgotten": self.forgotten, "root": dump(self._root)}

    @classmethod
    def restore(cls, state: TemplateState, nodes: int = MOST_NODES) -> TemplateLearner:
        """The learner from its `state`, of any version so far. Raises ValueError for a later one."""
        learner = cls(nodes)
        learner._root = load(state)
        learner.forgotten = state["forgotten"]
        learner._nodes = sum(1 for _ in learner._root.walk())
        return learner


def _forget(node: Node, least: int) -> int:
    """Removes all subtrees with at most the given number of calls. Returns their calls."""
    forgotten = 0
    for key, child in list(node.children.items()):
        if child.total <= least:
            del node.children[key]
            forgotten += child.total
        else:
            forgotten += _forget(child, least)
    return forgotten
