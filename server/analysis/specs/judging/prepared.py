"""Operations and contents prepared for validation, each part when it is first needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from server.analysis.specs.document.media import is_json, is_xml
from server.analysis.specs.judging.parameters import Parameters
from server.analysis.specs.kinds import Where
from server.analysis.specs.model import Content, Encoding, Operation
from server.analysis.specs.schemas.convert import SchemaDirection
from server.analysis.specs.schemas.deferred import AnyChecker
from server.analysis.specs.schemas.form import Form
from server.analysis.specs.schemas.validators import Schemas

_WHERE = {SchemaDirection.REQUEST: Where.REQUEST_BODY, SchemaDirection.RESPONSE: Where.RESPONSE_BODY}


@dataclass(frozen=True, slots=True)
class PreparedBody:
    """Bodies of one media type, or of a range of types. `form` and `checker` are the schema's, `items` the
    checker of each item of a sequence, `event_data` of the JSON in an event's data; None if there is none.
    `streams`: it may also be an endless stream.
    """

    checker: AnyChecker | None
    form: Form | None
    items: AnyChecker | None
    event_data: AnyChecker | None
    encoding: Mapping[str, Encoding]
    is_range: bool
    streams: bool

    @property
    def has_schema(self) -> bool:
        return self.checker is not None or self.items is not None


class PreparedContent:
    """A request's body, or a response with one status."""

    def __init__(self, content: Content, schemas: Schemas, direction: SchemaDirection) -> None:
        self._content, self._schemas, self._direction = content, schemas, direction
        self.where = _WHERE[direction]
        self.required = content.required
        self.stream_switch = content.stream_switch
        self.has_headers = bool(content.headers)

    @cached_property
    def headers(self) -> Parameters:
        return Parameters(self._content.headers, (), self._schemas, self._direction)

    @cached_property
    def bodies(self) -> Mapping[str, PreparedBody]:
        """The bodies by media type or range."""
        return {media: self._body(media, place) for media, place in self._content.media.items()}

    def _body(self, media: str, place: str | None) -> PreparedBody:
        schemas, items = self._schemas, self._content.items.get(media)
        data = self._content.event_data.get(media)
        return PreparedBody(
            checker=None if place is None else schemas.checker(place, self._direction),
            form=None if place is None else schemas.form(place),
            items=None if items is None else schemas.checker(items, self._direction),
            event_data=None if data is None else schemas.checker(data, self._direction),
            encoding=self._content.encoding.get(media, {}),
            is_range="*" in media,
            streams=self._content.stream_switch is not None,
        )

    @cached_property
    def may_be_empty(self) -> bool:
        """Whether an empty body may conform: as an empty text, or because its content is unspecified."""
        return not self.bodies or any(
            body.form is None
            or not (is_json(media) or is_xml(media) or not body.form.types & {"string", "null"})
            for media, body in self.bodies.items()
        )


class PreparedOperation:
    """The prepared parts of an operation."""

    def __init__(self, operation: Operation, schemas: Schemas) -> None:
        self.operation, self._schemas = operation, schemas
        self._answers: dict[str, PreparedContent] = {}
        self._by_status: dict[int, PreparedContent | None] = {}

    @cached_property
    def parameters(self) -> Parameters:
        return Parameters(self.operation.parameters, self.operation.security, self._schemas)

    @cached_property
    def body(self) -> PreparedContent | None:
        body = self.operation.body
        return None if body is None else PreparedContent(body, self._schemas, SchemaDirection.REQUEST)

    def answer(self, status: int) -> PreparedContent | None:
        """The described response for a status."""
        if status not in self._by_status:
            self._by_status[status] = self._answer(status)
        return self._by_status[status]

    def _answer(self, status: int) -> PreparedContent | None:
        described = self.operation.answer(status)
        if described is None:
            return None
        name, content = described
        if name not in self._answers:
            self._answers[name] = PreparedContent(content, self._schemas, SchemaDirection.RESPONSE)
        return self._answers[name]
