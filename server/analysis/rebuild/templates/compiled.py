"""Visited paths → frozen templates, those of an existing specification first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from server.analysis.rebuild.templates.model import ParameterType, Template, TemplateOrigin, TemplateParameter
from server.analysis.rebuild.templates.names import name_for
from server.analysis.rebuild.templates.walk import Visit
from server.analysis.specs.routing.routes import template_segments
from server.analysis.specs.routing.trie import Partial, Trie, parse_segment

_NAME = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class TemplateSet:
    """The templates at one moment. `resolve` finds the template of a path."""

    templates: tuple[Template, ...]
    _trie: Trie[Template]

    def resolve(self, segments: Sequence[str]) -> Template | None:
        """The most specific template that these (decoded) segments fit."""
        return self._trie.find_any(segments)

    def successor(self, template: Template) -> Template | None:
        """The present form of an earlier template; None if it had no traffic and is gone."""
        return self._trie.find_any(template.example) if template.example else None


def compile_templates(visits: Iterable[Visit], given: Iterable[Template]) -> TemplateSet:
    """Templates of the visited paths; `given` ones, with their calls, take the traffic that fits them."""
    firsts = {template.text: template for template in given}
    trie = trie_of(firsts.values())
    found: list[Template] = []
    for visit in visits:
        template = _template(visit)
        known = trie.find_any(template.example)
        if known is None or not _takes(known, template):
            found.append(template)
        else:
            firsts[known.text] = _counted(firsts[known.text], template)
    templates = (*firsts.values(), *sorted(found, key=lambda template: template.text))
    return TemplateSet(templates, trie_of(templates))


def _takes(given: Template, learnt: Template) -> bool:
    """Whether a given template takes all paths of a learned one, and not only its example."""
    if len(given.text.split("/")) <= len(learnt.example):
        return True  # a parameter that spans took several segments
    places = {parameter.segment for parameter in given.parameters}
    return all(parameter.segment in places for parameter in learnt.parameters)


def trie_of(templates: Iterable[Template]) -> Trie[Template]:
    """A trie of templates by segments. Raises ValueError for unpaired braces."""
    trie: Trie[Template] = Trie()
    every = [(template, _segments(template)) for template in templates]
    for template, segments in every:
        trie.leaf(segments, lambda template=template: template)  # type: ignore[misc]
    for template, segments in every:
        if template.either:
            other = [*segments, ""] if segments[-1] else segments[:-1]
            trie.leaf(other, lambda template=template: template)  # type: ignore[misc]
    return trie


def _segments(template: Template) -> list[str | Partial]:
    if template.origin is TemplateOrigin.GIVEN:
        return template_segments(template.text, template.spans)
    return [parse_segment(segment) for segment in template.text[1:].split("/")]


def given_template(text: str, spans: frozenset[str], calls: Mapping[str, int]) -> Template:
    """A template of an existing specification; a slash at its end makes no difference, as in matching."""
    parameters = tuple(
        TemplateParameter(name.strip("+*"), ParameterType.STRING, index, 0)
        for index, segment in enumerate(text[1:].split("/"))
        for name in _NAME.findall(segment)
    )
    return Template(
        text, parameters, (), tuple(sorted(calls.items())), TemplateOrigin.GIVEN, spans, not spans
    )


def _counted(template: Template, more: Template) -> Template:
    calls = dict(template.calls)
    for method, times in more.calls:
        calls[method] = calls.get(method, 0) + times
    return replace(template, calls=tuple(sorted(calls.items())), example=template.example or more.example)


def _template(visit: Visit) -> Template:
    texts: list[str] = []
    parameters: list[TemplateParameter] = []
    before: list[str | None] = []
    for index, step in enumerate(visit.steps):
        if step.is_parameter:
            taken = frozenset(parameter.name for parameter in parameters)
            named = step.name and step.name not in taken
            name = step.name if named else name_for(before, step.type, step.example, taken)
            parameters.append(TemplateParameter(name, step.type, index, step.values))
            texts.append(f"{{{name}}}{_literal(step.suffix)}")
            before.append(None)
        else:
            texts.append(_literal(step.word))
            before.append(step.word)
    example = tuple(step.example for step in visit.steps)
    calls = tuple(sorted(visit.calls.items()))
    return Template("/" + "/".join(texts), tuple(parameters), example, calls, either=visit.either)


def _literal(text: str) -> str:
    return quote(text, safe="!$&'()*+,;=:@-._~", errors="surrogateescape")
