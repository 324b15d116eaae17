"""The trie of observations → templates: top down, all nodes of one place together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from server.analysis.rebuild.template_decide import partition
from server.analysis.rebuild.template_model import (
    Decision,
    Merge,
    Origin,
    Parameter,
    ParameterType,
    Rename,
    Retype,
    Split,
    Template,
)
from server.analysis.rebuild.template_names import name_for
from server.analysis.rebuild.template_nodes import FOLD, Node, distinct, is_fold
from server.analysis.specs.trie import Trie, parse_segment

_STRING = ParameterType.STRING
_TYPES = {type_.value: type_ for type_ in ParameterType}


@dataclass(frozen=True, slots=True)
class _Step:
    """One segment of a template in the making: a word, or a parameter's values."""

    word: str
    example: str
    type: ParameterType = _STRING
    values: int = 0
    suffix: str = ""
    is_parameter: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Learned:
    """Templates as they were at one moment. `resolve` finds the one that a path belongs to."""

    templates: tuple[Template, ...]
    _trie: Trie[Template]

    def resolve(self, segments: Sequence[str]) -> Template | None:
        """The most specific template that these (decoded) segments fit."""
        return self._trie.find(segments)

    def successor(self, template: Template) -> Template | None:
        """What became of a template of an earlier moment; None if it had no traffic and is gone."""
        return self._trie.find(template.example) if template.example else None


def compile_templates(root: Node, given: Sequence[str], decisions: Sequence[Decision]) -> Learned:
    """Templates of a trie; `given` ones take the traffic that fits them."""
    trie: Trie[Template] = Trie()
    first = {text: Template(text, (), (), (), Origin.GIVEN) for text in given}
    for template in first.values():
        _put(trie, template)
    found: list[Template] = []
    for template in _learnt(root, decisions):
        known = trie.find(template.example)
        if known is not None and known.origin is Origin.GIVEN:
            first[known.text] = _counted(first[known.text], template)
        else:
            found.append(template)
    trie = Trie()
    templates = (*first.values(), *sorted(found, key=lambda template: template.text))
    for template in templates:
        _put(trie, template)
    return Learned(templates, trie)


def _put(trie: Trie[Template], template: Template) -> None:
    trie.leaf([parse_segment(segment) for segment in template.text[1:].split("/")], lambda: template)


def _counted(template: Template, more: Template) -> Template:
    calls = dict(template.calls)
    for method, times in more.calls:
        calls[method] = calls.get(method, 0) + times
    return replace(template, calls=tuple(sorted(calls.items())), example=template.example or more.example)


def _learnt(root: Node, decisions: Sequence[Decision]) -> Iterator[Template]:
    stack: list[tuple[list[Node], tuple[_Step, ...], tuple[tuple[tuple[str, ...], Decision], ...]]] = [
        ([root], (), tuple((decision.place.before, decision) for decision in decisions))
    ]
    while stack:
        nodes, steps, active = stack.pop()
        calls = _calls(nodes)
        if calls:
            yield _template(steps, calls)
        children: dict[str, list[Node]] = {}
        for node in nodes:
            for key, child in node.children.items():
                children.setdefault(key, []).append(child)
        if not children:
            continue
        here = [decision for before, decision in active if not before]
        for step, keys in _steps(children, len(steps), here):
            below = [child for key in keys for child in children[key]]
            words = {*keys, step.word}
            if step.is_parameter:
                words.add("{}")
            stack.append((below, (*steps, step), tuple((b[1:], d) for b, d in active if b and b[0] in words)))


def _steps(
    children: dict[str, list[Node]], depth: int, here: list[Decision]
) -> Iterator[tuple[_Step, tuple[str, ...]]]:
    parts = partition(children, depth)
    literals, values = set(parts.literals), {s: set(k) for s, k in parts.values.items()}
    if any(isinstance(decision, Merge) for decision in here):
        values = {"": set().union(literals, *values.values()) - {""}}
        literals &= {""}
    for decision in here:
        if isinstance(decision, Split):
            for keys in values.values():
                if decision.word in keys:
                    keys.discard(decision.word)
                    literals.add(decision.word)
    for key in sorted(literals):
        word = (children[key][0].least or "") if is_fold(key) else key
        yield _Step(word, word), (key,)
    for suffix, members in sorted(values.items()):
        if members:
            together = tuple(sorted(members))
            yield _parameter(children, together, suffix, here), together


def _parameter(
    children: dict[str, list[Node]], keys: tuple[str, ...], suffix: str, here: list[Decision]
) -> _Step:
    seen, words, examples = 0, 0, []
    kinds = set()
    for key in keys:
        if is_fold(key):
            for node in children[key]:
                seen |= node.seen
                examples.append(node.least or "")
            kinds.add(key.split(FOLD)[1])
        else:
            words += 1
            examples.append(key)
            kinds.add("word")
    kind = kinds.pop() if len(kinds) == 1 else ""
    type_ = _TYPES.get(kind, _STRING)
    name = ""
    for decision in here:
        if isinstance(decision, Rename):
            name = decision.name
        elif isinstance(decision, Retype):
            type_ = decision.type
    return _Step("{}", min(examples), type_, words + distinct(seen), suffix, True, name)


def _calls(nodes: Sequence[Node]) -> dict[str, int]:
    calls: dict[str, int] = {}
    for node in nodes:
        for (method, _), times in node.calls.items():
            calls[method] = calls.get(method, 0) + times
    return calls


def _template(steps: tuple[_Step, ...], calls: dict[str, int]) -> Template:
    texts: list[str] = []
    parameters: list[Parameter] = []
    before: list[str | None] = []
    for index, step in enumerate(steps):
        if step.is_parameter:
            taken = frozenset(parameter.name for parameter in parameters)
            name = step.name if step.name and step.name not in taken else name_for(before, step.type, taken)
            parameters.append(Parameter(name, step.type, index, step.values))
            texts.append(f"{{{name}}}{_literal(step.suffix)}")
            before.append(None)
        else:
            texts.append(_literal(step.word))
            before.append(step.word)
    return Template(
        "/" + "/".join(texts),
        tuple(parameters),
        tuple(step.example for step in steps),
        tuple(sorted(calls.items())),
    )


def _literal(text: str) -> str:
    return quote(text, safe="!$&'()*+,;=:@-._~", errors="surrogateescape")
