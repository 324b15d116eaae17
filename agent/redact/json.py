"""JSON, masked token by token: all that is not a secret stays byte for byte.

A lenient lexer walks the text iteratively, in linear time; structure is only followed as far as masking
needs it, so a cut, malformed or concatenated document (NDJSON, JSON text sequences) is masked up to the
first character that is no token. What follows is left out. A text in which neither a name nor a shape
can be (both tests are necessary conditions) is only lexed, in one match; parts that passed before are
not tested again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Protocol

from agent.frozen import dataclass
from agent.redact import labels, placeholders, values
from agent.redact.harmless import Harmless
from agent.redact.names import Names

MAX_DEPTH_NAMED = 32  # levels a pointer names; deeper, it names the ancestor
MAX_KEY_NAMED = 64  # characters of a key in a pointer; longer, it names the ancestor
MAX_LABEL = 128  # a longer text is not taken for a name
PAIR = 2  # texts

_STRING = r'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*"'
_NUMBER = r"-?[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?(?![0-9A-Za-z.+_-])"
_WORD = r"(?:true|false|null)(?![0-9A-Za-z_])"
_BLANK = r"[ \t\n\r]*+"
_SPACE = r"[ \t\n\r,:\x1e]"
_KEYED = rf"(?:(?P<key>{_STRING}){_BLANK}:{_SPACE}*+)?"
_ALONE = rf"(?!{_BLANK}:)"  # a string before a colon is a key, never a value
# Possessive groups are wrong in CPython before 3.11.5, so only single characters are repeated so.
_TEXT = re.compile(
    rf"(?:{_SPACE}++|{_KEYED}(?:{_STRING}{_ALONE}|[{{}}\[\]]|{_NUMBER}|{_WORD}))*".replace("?P<key>", "?:")
)
_MEMBER = re.compile(
    rf'{_SPACE}*+{_KEYED}(?:("[^"\\\x00-\x1f=:/]*+"){_ALONE}'
    rf"|({_STRING}){_ALONE}|({_NUMBER})|({_WORD})|([{{\[])|([}}\]])|\Z)"
)
_KEY, _PLAIN, _STRINGS, _DIGITS, _LITERAL, _OPEN, _CLOSE = range(1, 8)
_TEXTS = (_PLAIN, _STRINGS)

_KUBERNETES_SECRET = re.compile(r'"kind"\s{0,8}:\s{0,8}"Secret(?:List)?"')
_KUBERNETES_FIELDS = frozenset(("data", "stringData"))
_SPECIAL = labels.NAMED | set(labels.NAMING) | _KUBERNETES_FIELDS
_NO_KEYS: frozenset[str] = frozenset()

Masked = Callable[[str, str], None]
"""Called with the JSON pointer and the rule of each replaced value."""


class Judge(Protocol):
    """What the walk asks of its owner."""

    names: Names
    harmless: Harmless

    def text(self, text: str, depth: int = 0) -> tuple[str, str | None]:
        """The text without its secrets, and the rule that found the first one."""
        ...

    def pairs(self, text: str) -> tuple[str, str | None]:
        """The same where only pairs of a name and a value can give a secret away."""
        ...


@dataclass(frozen=True, slots=True)
class Walked:
    """`text` is the masked prefix, `left_out` how many characters were no JSON and are not in it."""

    text: str
    left_out: int


def mask(text: str, judge: Judge, masked: Masked, *, cut: bool = False, depth: int = 0) -> Walked:
    """`text` with its secrets replaced. `cut` says that it may end inside a token. Never raises."""
    end = len(text) if not cut and _valid(text) else lexed(text, cut)
    left_out = len(text) - end
    text = text[:end]
    if "\\" not in text and judge.harmless.holds(text):
        return Walked(text, left_out)
    raw = text.encode("utf-8", "surrogatepass")
    suspicion = values.suspicion(raw)
    if suspicion or raw.count(b"\\") != raw.count(b'\\"') or judge.names.possible(raw):
        text = _Walk(text, judge, masked, suspicion, depth).run()
    return Walked(text, left_out)


def _valid(text: str) -> bool:
    """Whether `text` is one JSON document, and so lexes to its end: the library tells twice as fast."""
    try:
        _DECODER.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _constant(_: str) -> None:
    """NaN and infinities, which the library takes and the lexer does not."""
    raise ValueError


_DECODER = json.JSONDecoder(parse_constant=_constant)


def lexed(text: str, cut: bool = False) -> int:
    """How much of `text` is JSON tokens. Where `cut`, a number at the very end may be half of one."""
    match = _TEXT.match(text)
    end = match.end() if match else 0
    if cut and end and end == len(text) and text[-1] in "0123456789":
        end = len(text.rstrip("0123456789.eE+-"))
    return end


def unescaped(token: str) -> str:
    """The text of a string token, quotes included."""
    return str(json.loads(token, strict=False)) if "\\" in token else token[1:-1]


class _Walk:
    """One pass over a text that lexes; edits are collected and applied at the end.

    The stacks hold, per open container: the current key (as the output has it) or index, the rule under
    which all beneath is masked, what a label says of its siblings, and those siblings that came first, by
    key, with their pointers.
    """

    def __init__(
        self, text: str, judge: Judge, masked: Masked, suspicion: values.Suspicion | None, depth: int
    ) -> None:
        self.text = text
        self.judge = judge
        self.masked = masked
        self.suspicion = suspicion
        self.depth = depth
        self.edits: dict[int, tuple[int, str]] = {}
        self.keys: list[str | int] = [0]
        self.rules: list[str | None] = [None]
        self.labels: list[labels.Label | None] = [None]
        self.waiting: list[dict[str | int, tuple[re.Match[str], str]] | None] = [None]
        self.known: dict[str, tuple[str, str | None, bool]] = {}
        self.kubernetes = _KUBERNETES_SECRET.search(text) is not None
        self.patch = labels.is_patch(text)

    def run(self) -> str:
        """The masked text."""
        keys, rules, known, suspicion = self.keys, self.rules, self.known, self.suspicion
        rule, special = None, False
        for match in _MEMBER.finditer(self.text):
            kind, token = match.lastindex, match[_KEY]
            if token is not None:
                keys[-1], rule, special = known.get(token) or self.key(match)
                rule = rules[-1] or rule or (self.special(keys[-1]) if special else None)
            if kind == _OPEN:
                self.open(match[_OPEN], rule)
                special = False
                continue
            if kind == _CLOSE:
                self.close()
                rule, special = rules[-1], False
            elif rule is not None:
                self.replace(match, rule)
            elif kind == _STRINGS or (suspicion and kind == _PLAIN and suspicion.of(match[_PLAIN])):
                self.judged(match)
            elif suspicion and kind == _DIGITS:
                self.number(match)
            elif kind is None:
                break  # the end of the text
            if special:
                self.label(match)
            top = keys[-1]
            if type(top) is int:
                if top < PAIR and kind in _TEXTS:
                    self.member(match, top)
                keys[-1] = top + 1
        self.pair()
        return self.applied()

    def key(self, match: re.Match[str]) -> tuple[str, str | None, bool]:
        """The key's text without what looks like a secret, its rule, and whether it is special."""
        token = match[_KEY]
        key = unescaped(token)
        names = self.judge.names
        found = key, names.rule(key), key in _SPECIAL
        if not (self.suspicion and self.suspicion.of(key)) and not any(mark in token for mark in "\\=:/"):
            self.known[token] = found
            return found
        masked, rule = self.judge.text(key, self.depth)
        if rule is None:
            self.known[token] = found
            return found
        self.keys[-1] = masked
        self.edit(match, _KEY, json.dumps(masked), rule)
        return masked, found[1] or names.rule(masked), False

    def open(self, bracket: str, rule: str | None) -> None:
        """Enters an object or array, all of it masked where `rule` is given."""
        self.keys.append("" if bracket == "{" else 0)
        self.rules.append(rule)
        self.labels.append(None)
        self.waiting.append(None)

    def close(self) -> None:
        """Leaves the innermost container; a bracket too many is ignored."""
        if len(self.keys) > 1:
            self.pair()
            for stack in (self.keys, self.rules, self.labels, self.waiting):
                stack.pop()

    def special(self, key: str | int) -> str | None:
        """The rule for a key that means nothing by itself."""
        label = self.labels[-1]
        if label is not None and key in label[1]:
            return label[0]
        return "name:kubernetes-secret" if self.kubernetes and key in _KUBERNETES_FIELDS else None

    def label(self, match: re.Match[str]) -> None:
        """Joins a label to the values beside it, whichever come first."""
        key = self.keys[-1]
        if key in labels.NAMED:
            self.wait(match)
        elif type(key) is str and key in labels.NAMING and match.lastindex in _TEXTS:
            token = match[match.lastindex]
            if len(token) > MAX_LABEL:
                return
            label = labels.label(key, unescaped(token), self.judge.names, patch=self.patch)
            if label is not None:
                self.labels[-1] = label
                for sibling, (first, pointer) in (self.waiting[-1] or {}).items():
                    if sibling in label[1]:
                        self.replace(first, label[0], pointer)

    def wait(self, match: re.Match[str]) -> None:
        """Keeps a value until more is known."""
        waiting = self.waiting[-1] = self.waiting[-1] or {}
        waiting[self.keys[-1]] = match, self.pointer()

    def member(self, match: re.Match[str], at: int) -> None:
        """One of the first two texts of an array, which in a list of such may be a name and its value."""
        if at:
            if self.labels[-1] is not None:
                self.wait(match)
        elif len(self.keys) > PAIR and type(self.keys[-PAIR]) is int:
            token = match[match.lastindex or _PLAIN]
            rule = self.judge.names.rule(unescaped(token)) if len(token) <= MAX_LABEL else None
            self.labels[-1] = None if rule is None else (rule, _NO_KEYS)

    def pair(self) -> None:
        """Masks the second text of the innermost container where it is a pair and the first a label."""
        label, found = self.labels[-1], self.waiting[-1]
        if self.keys[-1] == PAIR and label is not None and found is not None and 1 in found:
            self.replace(found[1][0], label[0], found[1][1])

    def judged(self, match: re.Match[str]) -> None:
        """Masks in a string what its own text gives away."""
        group = match.lastindex or _PLAIN
        token = match[group]
        if "\\" in token or (self.suspicion and self.suspicion.of(token)):
            text, rule = self.judge.text(unescaped(token), self.depth)
        else:
            text, rule = self.judge.pairs(token[1:-1])
        if rule is not None:
            self.edit(match, group, json.dumps(text), rule)

    def number(self, match: re.Match[str]) -> None:
        """Masks a number that looks like a secret."""
        literal = match[_DIGITS]
        found = next(values.secrets(literal), None)
        if found is not None:
            self.edit(match, _DIGITS, placeholders.of_number(literal), found[2])

    def replace(self, match: re.Match[str], rule: str, pointer: str | None = None) -> None:
        """Puts the placeholder in the place of a whole scalar; true, false, null and "" stay."""
        if match.lastindex == _DIGITS:
            self.edit(match, _DIGITS, placeholders.of_number(match[_DIGITS]), rule, pointer)
        elif match.lastindex in _TEXTS and (text := unescaped(match[match.lastindex])):
            self.edit(match, match.lastindex, json.dumps(placeholders.of_text(text)), rule, pointer)

    def edit(
        self, match: re.Match[str], group: int, text: str, rule: str, pointer: str | None = None
    ) -> None:
        """Notes one replacement; a later one at the same place wins."""
        self.edits[match.start(group)] = (match.end(group), text)
        self.masked(self.pointer() if pointer is None else pointer, rule)

    def pointer(self) -> str:
        """RFC 6901, bounded: a place too deep or too long is named by its ancestor."""
        parts = []
        for part in self.keys[1 : MAX_DEPTH_NAMED + 1]:
            if type(part) is str and len(part) > MAX_KEY_NAMED:
                break
            parts.append("/" + str(part).replace("~", "~0").replace("/", "~1"))
        return "".join(parts)

    def applied(self) -> str:
        """The text with all edits."""
        parts: list[str] = []
        position = 0
        for start, (end, text) in sorted(self.edits.items()):
            parts += (self.text[position:start], text)
            position = end
        return "".join((*parts, self.text[position:]))
