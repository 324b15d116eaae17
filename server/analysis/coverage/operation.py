"""One operation, ready to find what its exchanges exercise: a name is made once, not for each of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from itertools import compress

from agent.wire import Body, Request
from server.analysis.coverage.fields import FieldTree
from server.analysis.coverage.names import FIELD, PARAMETER, UNSEEN, PartNames
from server.analysis.specs.document.media import essence, is_json
from server.analysis.specs.judging.json_reading import JsonBodies, NotJson, UnreadableJson
from server.analysis.specs.judging.parameters import cookie_texts, header_texts, query_names
from server.analysis.specs.kinds import Where
from server.analysis.specs.model import Content, Operation, Parameter

MAX_SETS = 64  # of fields that are found together, of one body: kept with their names

Trees = Callable[[Content | None], Sequence[FieldTree]]


class BodyParts:
    """The fields of the bodies of one content; `at` is what their names start with."""

    def __init__(self, at: str, trees: Iterable[FieldTree]) -> None:
        self._at = at
        self._trees = [tree for tree in trees if tree.pointers]
        self._texts: dict[str, str] = {}
        self._named = lru_cache(MAX_SETS)(self._names)

    def exercised(self, body: Body, content_type: str | None, bodies: JsonBodies) -> PartNames:
        """Those that a body has; UNSEEN alone where it was not all seen."""
        if not self._trees or body.size == 0:
            return ()
        if body.data is None or body.state != "complete":
            return (UNSEEN,)
        kind = essence(content_type or "")
        if kind and not is_json(kind):
            return ()
        try:
            value = bodies.value(body.data)
        except (NotJson, UnreadableJson):
            return (UNSEEN,)
        return self._named(tuple([tree.find(value) for tree in self._trees]))

    def _names(self, found: Sequence[int]) -> PartNames:
        pointers = [
            pointer
            for tree, bits in zip(self._trees, found, strict=True)
            for pointer in compress(tree.pointers, map(int, reversed(f"{bits:b}")))
        ]
        text = self._texts.setdefault
        return tuple([text(pointer, self._at + pointer) for pointer in dict.fromkeys(pointers)])


class OperationParts:
    """An operation's parameters, and the bodies of its request (`sent`) and answers."""

    def __init__(self, operation: Operation, trees: Trees) -> None:
        self._operation, self._trees = operation, trees
        self._query, self._headers, self._cookies = map(self._described, _OPTIONAL)
        self._always = [_name(one) for one in operation.parameters if one.where not in _OPTIONAL]
        self._wanted = {name.encode() for name, _, _ in self._headers}
        if self._cookies:
            self._wanted.add(b"cookie")
        self.sent = BodyParts(f"{FIELD}{Where.REQUEST_BODY}", trees(operation.body))
        self._answers: dict[str, BodyParts] = {}

    def _described(self, where: Where) -> list[_Parameter]:
        return [
            (one.name, one.name + "[" if one.style == "deepObject" else None, _name(one))
            for one in self._operation.parameters
            if one.where is where
        ]

    def parameters(self, request: Request) -> list[str]:
        """Those that were sent."""
        found = [*self._always]
        if self._query and request.query:
            found += _sent(self._query, query_names(request.query))
        if self._wanted:
            headers = header_texts(request.headers, self._wanted)
            found += _sent(self._headers, headers)
            if self._cookies:
                found += _sent(self._cookies, cookie_texts(headers))
        return found

    def answer(self, status: int) -> BodyParts | None:
        """The bodies that are described for a status; None where it is not."""
        described = self._operation.answer(status)
        if described is None:
            return None
        name, content = described
        known = self._answers.get(name)
        if known is None:
            known = BodyParts(f"{FIELD}{Where.RESPONSE_BODY}.{name}", self._trees(content))
            self._answers[name] = known
        return known


_OPTIONAL = (Where.QUERY, Where.HEADER, Where.COOKIE)
_Parameter = tuple[str, str | None, str]
"""Its name, what the names of its fields start with if they are sent one by one, its part."""


def _name(parameter: Parameter) -> str:
    return f"{PARAMETER}{parameter.where}:{parameter.name}"


def _sent(described: Iterable[_Parameter], names: Collection[str]) -> list[str]:
    """The parts of those among these names; a deepObject's are `filter[name]`."""
    return [
        part
        for name, start, part in described
        if name in names or (start is not None and any(one.startswith(start) for one in names))
    ]
