"""One pass over the tokens of a JSON text: finds secrets and collects their replacements.

A value is masked because of its key or one above it, its own text, or a name beside it (`labels.py`). A name
masks the siblings after it at once; those before it are masked when their object closes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Protocol

from agent.redact import complaints, labels, placeholders, sentences, values
from agent.redact.clean_fragments import CleanFragments
from agent.redact.json_tokens import (
    CLOSE,
    KEY,
    LITERAL,
    MEMBER,
    NUMBER,
    OPEN,
    PLAIN,
    STRING,
    TEXTS,
    unescaped,
)
from agent.redact.keys import ITEM, Key, Keys
from agent.redact.names import Names
from agent.redact.roles import ENCLOSING, Group, Naming, PairRole

MAX_DEPTH_NAMED = 32  # levels in a pointer; for a deeper place it names the ancestor
MAX_KEY_NAMED = 64  # characters of a key in a pointer; with a longer key it names the ancestor
PAIR = 2  # texts
MAX_TOKEN = 6 * labels.MAX_LABEL  # characters of a text that may be a name, all of them escaped

_KUBERNETES_SECRET = re.compile(r'"kind"\s{0,8}:\s{0,8}"Secret(?:List)?"')
_KUBERNETES_FIELDS = {
    f'"{name}"': Key(name, "name:kubernetes-secret", None) for name in ("data", "stringData")
}
_FLAGGED = frozenset((Group.VALUE,))

Masked = Callable[[str, str], None]
"""Called with the JSON pointer and the rule of each replaced value."""


class MasksText(Protocol):
    """The text masking that the walk uses."""

    names: Names
    keys: Keys
    clean_fragments: CleanFragments

    def text(self, text: str, depth: int = 0) -> tuple[str, str | None]:
        """The text without its secrets, and the rule of the first one."""
        ...

    def name(self, name: str, depth: int = 0) -> tuple[str, str | None]:
        """A name without its secrets, and the rule of the first one."""
        ...

    def pairs(self, text: str) -> tuple[str, str | None]:
        """Like `text`, if only pairs of a name and a value can be secrets."""
        ...


_Waiting = tuple[str, Group, bool, tuple[int, int]]
"""A value that a later label may name: key, group, whether it is a text, span."""


class _Container:
    """An open object or array, or the text as a whole.

    `key` is the current key, `rule` masks everything below, `index` is the next item's, None in an object.
    `texts` are the first ones of an array.
    """

    __slots__ = ("index", "key", "labels", "rule", "start", "texts", "waiting")

    def __init__(self, start: int, key: Key, rule: str | None, index: int | None) -> None:
        self.start = start
        self.key = key
        self.rule = rule
        self.index = index
        self.labels: list[labels.Label] | None = None
        self.waiting: list[_Waiting] | None = None
        self.texts: list[re.Match[str]] | None = None

    def add_label(self, label: labels.Label) -> None:
        self.labels = self.labels or []
        self.labels.append(label)

    def wait(self, group: Group, span: tuple[int, int], *, is_text: bool) -> None:
        """Keeps the current key's value until the container closes."""
        if self.waiting is None:
            self.waiting = []
        self.waiting.append((self.key.name, group, is_text, span))

    def named(self, group: Group, is_text: bool) -> str | None:
        """The rule of a label that masks siblings of `group`; None without one."""
        for label in self.labels or ():
            if group in label.groups and (is_text or not label.texts_only):
                return label.rule
        return None


class Walk:
    """Collects edits and applies them at the end. `rule`, if given, masks the whole text."""

    def __init__(
        self,
        text: str,
        masker: MasksText,
        masked: Masked,
        suspicion: values.Suspicion | None,
        depth: int,
        rule: str | None = None,
    ) -> None:
        self.text = text
        self.masker = masker
        self.masked = masked
        self.suspicion = suspicion
        self.depth = depth
        self.edits: dict[int, tuple[int, str]] = {}
        self.open: list[_Container] = [_Container(0, ITEM, rule, 0)]
        self.late: list[tuple[tuple[int, int], str, str]] = []
        self.kubernetes = _KUBERNETES_SECRET.search(text) is not None
        self.patch = labels.is_patch(text)
        self.complaint = complaints.unquoted(text)

    def run(self) -> str:
        """The masked text."""
        known = self.masker.keys.by_token
        for match in MEMBER.finditer(self.text):
            kind, token = match.lastindex, match[KEY]
            container = self.open[-1]
            if token is not None:
                container.key = known.get(token) or self.key(match)
                if self.kubernetes and token in _KUBERNETES_FIELDS:
                    container.key = _KUBERNETES_FIELDS[token]
            if kind == OPEN:
                self.enter(match, container)
            elif kind == CLOSE:
                self.leave(match.end())
            elif kind is not None:
                self.scalar(match, kind, container)
        while len(self.open) > 1:
            self.leave(len(self.text))
        self.mask_late()
        return self.applied()

    def key(self, match: re.Match[str]) -> Key:
        """Reads a key that is not remembered; masks secrets in its text."""
        token = match[KEY]
        if (self.suspicion and self.suspicion.of(token)) or any(mark in token for mark in "\\=:/ →⇒"):
            name = unescaped(token)
            masked, rule = self.masker.name(name, self.depth)
            if rule is not None:
                names = self.masker.names
                self.open[-1].key = key = Key(masked, names.rule(name) or names.rule(masked), None)
                self.edit(match.span(KEY), json.dumps(masked), rule)
                return key
        return self.masker.keys.read(token)

    def enter(self, match: re.Match[str], container: _Container) -> None:
        """Enters an object or array."""
        key = container.key
        rule = container.rule or key.rule
        if rule is None and key.role is not None and key.role.group is not None:
            rule = container.named(key.role.group, is_text=True)
        if match[OPEN] == "{":
            self.open.append(_Container(match.start(OPEN), ITEM, rule, None))
        else:
            self.open.append(_Container(match.start(OPEN), key if _encloses(key) else ITEM, rule, 0))

    def leave(self, end: int) -> None:
        """Leaves the innermost container; a surplus bracket is ignored."""
        container = self.open[-1]
        if len(self.open) > 1:
            if container.texts is not None:
                self.pair(container, container.texts)
            if container.labels is not None:
                self.join(container)
            self.open.pop()
            outer = self.open[-1]
            role = outer.key.role
            if container.rule is None and role is not None and role.group is not None:
                outer.wait(role.group, (container.start, end), is_text=True)
            if outer.index is None:
                outer.key = ITEM
        outer = self.open[-1]
        if outer.index is not None:
            outer.index += 1

    def scalar(self, match: re.Match[str], kind: int, container: _Container) -> None:
        """Masks a text, number or literal, or takes it as the label of its siblings."""
        key = container.key
        rule = container.rule or key.rule
        if rule is None and key.role is not None:
            rule = self.beside(match, kind, container, key.role)
        if rule is not None:
            self.replace(match, kind, rule)
        elif kind == STRING or (kind == PLAIN and self.telling(match[PLAIN])):
            self.mask_text(match, kind)
        elif self.suspicion and kind == NUMBER:
            self.number(match)
        index = container.index
        if index is not None:
            if index < PAIR and kind in TEXTS and container.rule is None:
                container.texts = [*(container.texts or ()), match]
            container.index = index + 1

    def telling(self, token: str) -> bool:
        """Whether a plain text, such as a word, needs examination by itself."""
        if self.complaint or (self.suspicion is not None and self.suspicion.of(token)):
            return True
        return " " in token and sentences.possible(token, self.masker.names)

    def beside(self, match: re.Match[str], kind: int, container: _Container, role: PairRole) -> str | None:
        """The rule of a label beside a value that masks it; a text may be the label itself."""
        is_text = kind in TEXTS
        if is_text and role.naming is not None:
            self.learn(match[kind], role.naming, container)
        if role.group is None:
            return None
        rule = None if container.labels is None else container.named(role.group, is_text)
        if rule is None:
            container.wait(role.group, match.span(kind), is_text=is_text)
        return rule

    def learn(self, token: str, naming: Naming, container: _Container) -> None:
        """Takes a text as the label of its siblings, or of the siblings of its list or object."""
        label = None
        if len(token) <= MAX_TOKEN:
            label = labels.label(naming, unescaped(token), self.masker.names, patch=self.patch)
        if label is None:
            return
        container.add_label(label)
        if len(self.open) > 1 and naming in ENCLOSING and _encloses(self.open[-2].key):
            self.open[-2].add_label(label)

    def join(self, container: _Container) -> None:
        """Marks waiting values to be masked if a label has named them since."""
        for key, group, is_text, span in container.waiting or ():
            rule = container.named(group, is_text)
            if rule is not None:
                self.late.append((span, rule, self.pointer(key)))

    def pair(self, container: _Container, texts: list[re.Match[str]]) -> None:
        """In a list of two texts, masks the second if the first is a secret's name."""
        in_list = len(self.open) > PAIR and self.open[-2].index is not None
        if not in_list or container.index != PAIR or len(texts) < PAIR:
            return
        name = texts[0][texts[0].lastindex or PLAIN]
        rule = self.masker.names.rule(unescaped(name)) if len(name) <= MAX_TOKEN else None
        if rule is not None:
            self.late.append((texts[1].span(texts[1].lastindex or PLAIN), rule, self.pointer("1")))

    def mask_text(self, match: re.Match[str], kind: int) -> None:
        """Masks the secrets in a string's own text."""
        token = match[kind]
        if "\\" in token or (self.suspicion and self.suspicion.of(token)):
            text, rule = self.masker.text(unescaped(token), self.depth)
        else:
            text, rule = self.masker.pairs(token[1:-1])
        if rule is not None:
            self.edit(match.span(kind), json.dumps(text), rule)

    def number(self, match: re.Match[str]) -> None:
        """Masks a number that looks like a secret."""
        literal = match[NUMBER]
        found = next(values.secrets(literal), None)
        if found is not None:
            self.edit(match.span(NUMBER), placeholders.of_number(literal), found[2])

    def replace(self, match: re.Match[str], kind: int, rule: str) -> None:
        """Replaces a whole scalar by its placeholder; true, false, null and "" stay."""
        if kind == NUMBER:
            self.edit(match.span(NUMBER), placeholders.of_number(match[NUMBER]), rule)
        elif kind == LITERAL:
            if match[LITERAL] == "true":
                self.open[-1].add_label(labels.Label(rule, _FLAGGED))
        elif text := unescaped(match[kind]):
            self.edit(match.span(kind), json.dumps(placeholders.of_text(text)), rule)

    def edit(self, span: tuple[int, int], text: str, rule: str) -> None:
        """Records a replacement; a later one at the same place overrides it."""
        self.edits[span[0]] = (span[1], text)
        self.masked(self.pointer(), rule)

    def pointer(self, last: str | None = None) -> str:
        """The JSON pointer (RFC 6901), to `last` if given, bounded: a place too deep or too long is named by
        its ancestor.
        """
        parts = []
        steps = [
            one.key.name if one.index is None else str(one.index)
            for one in self.open[1 : MAX_DEPTH_NAMED + 1]
        ]
        if last is not None and len(self.open) <= MAX_DEPTH_NAMED + 1:
            steps[-1] = last
        for step in steps:
            if len(step) > MAX_KEY_NAMED:
                break
            parts.append("/" + step.replace("~", "~0").replace("/", "~1"))
        return "".join(parts)

    def mask_late(self) -> None:
        """Masks values whose label came after them, each text once."""
        covered = 0
        for (start, end), rule, pointer in sorted(self.late):
            if start >= covered:
                covered = end
                text, masked = self.text[start:end], partial(self.beneath, pointer)
                walk = Walk(text, self.masker, masked, self.suspicion, self.depth, rule)
                self.edits[start] = (end, walk.run())

    def beneath(self, pointer: str, place: str, rule: str) -> None:
        """Logs a replacement at `place` within the value at `pointer`."""
        self.masked(pointer + place, rule)

    def applied(self) -> str:
        """The text with all edits; one inside another is part of that."""
        parts: list[str] = []
        position = 0
        for start, (end, text) in sorted(self.edits.items()):
            if start >= position:
                parts += (self.text[position:start], text)
                position = end
        return "".join((*parts, self.text[position:]))


def _encloses(key: Key) -> bool:
    return key.role is not None and key.role.naming in ENCLOSING
