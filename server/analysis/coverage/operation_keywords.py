"""Keywords of one operation: which of its answers, media types and allowed values were seen.

| name | hit by |
|---|---|
| `status 200`, `status 4XX`, `status default` | an answer that this entry describes |
| `media request.body application/json` | a body of this media type |
| those of `keywords.py` | values of parameters and JSON bodies |

Path parameters are left out: what stands in a path is redacted most.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from agent.wire import Body
from server.analysis.coverage.keywords import KeywordSchemas, KeywordTree
from server.analysis.json import Json
from server.analysis.specs.document.media import essence, is_json
from server.analysis.specs.judging.json_reading import JsonBodies, NotJson, UnreadableJson
from server.analysis.specs.judging.judged import Judged
from server.analysis.specs.judging.masks import Masks
from server.analysis.specs.judging.parameters import cookie_texts, header_texts, query_texts
from server.analysis.specs.judging.values import text_of
from server.analysis.specs.kinds import Where
from server.analysis.specs.model import Content, Operation, Parameter
from server.analysis.specs.schemas.convert import SchemaDirection


class OperationKeywords:
    """The keywords of an operation: `names` are all of them."""

    def __init__(self, operation: Operation, schemas: KeywordSchemas) -> None:
        self._operation = operation
        self._parameters = {
            (one.where, one.name): _ParameterKeywords(schemas, one)
            for one in operation.parameters
            if one.schema is not None and one.where in (Where.QUERY, Where.HEADER, Where.COOKIE)
        }
        self._headers = {name.encode() for where, name in self._parameters if where is Where.HEADER} | {
            b"cookie"
        }
        self._sent = _BodyKeywords(schemas, operation.body, Where.REQUEST_BODY)
        self._answers = {
            name: _BodyKeywords(schemas, content, Where.RESPONSE_BODY, f".{name}")
            for name, content in operation.responses.items()
        }
        self.names: tuple[str, ...] = tuple(
            dict.fromkeys(
                [
                    *(f"status {name}" for name in operation.responses),
                    *(name for one in self._parameters.values() for name in one.names),
                    *self._sent.names,
                    *(name for one in self._answers.values() for name in one.names),
                ]
            )
        )

    def hits(self, judged: Judged) -> frozenset[str]:
        """The keywords that an exchange of the operation hits."""
        record, masks = judged.record, Masks(judged.record)
        request, response = record.request, record.response
        found: set[str] = set()
        if request is not None:
            headers = header_texts(request.headers, self._headers)
            sent = {
                Where.QUERY: query_texts(request.query),
                Where.HEADER: headers,
                Where.COOKIE: cookie_texts(headers),
            }
            for (where, name), one in self._parameters.items():
                if name in sent[where] and not masks.at(where, name):
                    found.update(one.hits(sent[where][name]))
            found.update(self._sent.hits(request.body, request.content_type, judged.bodies, masks))
        described = self._operation.answer(response.status) if response is not None else None
        if response is not None and described is not None:
            found.add(f"status {described[0]}")
            answers = self._answers[described[0]]
            found.update(answers.hits(response.body, response.content_type, judged.bodies, masks))
        return frozenset(found)


class _ParameterKeywords:
    """The keywords of a parameter's values, which are texts: a number or a boolean is read as JSON."""

    def __init__(self, schemas: KeywordSchemas, parameter: Parameter) -> None:
        assert parameter.schema is not None
        at = f"{parameter.where}:{parameter.name}"
        self._tree = KeywordTree(schemas, parameter.schema, at, SchemaDirection.REQUEST)
        self._is_list = any(node.get("type") == "array" for node in schemas.parts(parameter.schema).values())
        self.names = self._tree.names

    def hits(self, texts: Sequence[bytes]) -> Iterator[str]:
        values = [value for text in texts for value in self._values(text_of(text))]
        if self._is_list:
            yield from self._tree.hits(values)
        else:
            for value in values:
                yield from self._tree.hits(value)

    def _values(self, text: str) -> list[Json]:
        return [
            reading for one in (text.split(",") if self._is_list else [text]) for reading in _readings(one)
        ]


def _readings(text: str) -> list[Json]:
    """A text, and what it is as JSON if that is a number or a boolean: the schema says which one is meant."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return [text]
    return [text, value] if isinstance(value, int | float) else [text]


class _BodyKeywords:
    """The media types of a content, and the keywords of its JSON."""

    def __init__(
        self, schemas: KeywordSchemas, content: Content | None, where: Where, name: str = ""
    ) -> None:
        at = f"{where}{name}"
        direction = SchemaDirection.REQUEST if where is Where.REQUEST_BODY else SchemaDirection.RESPONSE
        media = content.media if content is not None else {}
        self._at, self._where = at, where
        self._media = frozenset(media)
        self._trees = {
            kind: KeywordTree(schemas, place, at, direction)
            for kind, place in media.items()
            if place is not None and (is_json(kind) or kind.endswith("/*"))
        }
        self.names = [
            *(f"media {at} {kind}" for kind in media),
            *(name for tree in self._trees.values() for name in tree.names),
        ]

    def hits(self, body: Body, content_type: str | None, bodies: JsonBodies, masks: Masks) -> Iterator[str]:
        described = self._described(essence(content_type or ""))
        if body.size == 0 or described is None:
            return
        yield f"media {self._at} {described}"
        tree = self._trees.get(described)
        if tree is None or body.data is None or body.state != "complete":
            return
        try:
            value = bodies.value(body.data)
        except (NotJson, UnreadableJson):
            return
        yield from tree.hits(value, lambda pointer: masks.at(self._where, pointer))

    def _described(self, kind: str) -> str | None:
        """The entry of a media type: itself, or the closest range."""
        ranges = (kind, f"{kind.partition('/')[0]}/*", "*/*")
        return next((one for one in ranges if one in self._media), None)
