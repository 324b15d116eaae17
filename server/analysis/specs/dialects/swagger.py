"""Reads the operations of a Swagger 2.0 document prepared by `modern`, as the same facts as OpenAPI's."""

from __future__ import annotations

from server.analysis.json import JsonObject
from server.analysis.specs.dialects import kubernetes
from server.analysis.specs.dialects.openapi import PLACES, NamedParameters, OperationsReader, PathItem, spans
from server.analysis.specs.document.checks import flag, sequence, text
from server.analysis.specs.document.media import FORM, MULTIPART, essence
from server.analysis.specs.document.pointers import under
from server.analysis.specs.kinds import Where
from server.analysis.specs.model import Content, Encoding, Parameter, Scheme, SpecError

_STYLES = {
    "csv": ("form", False),
    "ssv": ("spaceDelimited", False),
    "tsv": ("tabDelimited", False),
    "pipes": ("pipeDelimited", False),
    "multi": ("form", True),
}
_Entries = list[tuple[str, JsonObject]]
"""(place, parameter), resolved."""


class SwaggerReader(OperationsReader):
    """Reads operations from a document prepared by `modern`."""

    schemes_at = "/securityDefinitions"

    def bases(self) -> tuple[str, ...]:
        return (base_of_swagger(self._document),)

    def _parameters(self, node: JsonObject, place: str) -> NamedParameters:
        found: NamedParameters = {}
        for at, entry in self._entries(node, place):
            if text(entry, "in", at) not in ("body", "formData"):
                parameter = self._parameter(entry, at)
                found[parameter.name, parameter.where] = parameter
        return found

    def _parameter(self, node: JsonObject, place: str) -> Parameter:
        name, where = text(node, "name", place), PLACES.get(text(node, "in", place))
        if where not in (Where.PATH, Where.QUERY, Where.HEADER):
            raise SpecError(under(place, "in"), "not one of path, query, header, formData, body")
        return self._valued(node, place, name, where)

    def _valued(self, node: JsonObject, place: str, name: str, where: Where) -> Parameter:
        style, explode = array_style(node, place)
        if where in (Where.PATH, Where.HEADER, Where.RESPONSE_HEADER) and style == "form":
            style, explode = "simple", False
        return Parameter(
            name=name.lower() if where in (Where.HEADER, Where.RESPONSE_HEADER) else name,
            where=where,
            required=flag(node, "required", place),
            style=style,
            explode=explode,
            allow_empty=flag(node, "allowEmptyValue", place),
            json=False,
            schema=under(place, "schema"),
            spans=spans(node),
        )

    def _body(self, node: JsonObject, place: str, item: PathItem) -> Content | None:
        entries = [*self._entries(item.node, item.place), *self._entries(node, place)]
        kinds = self._kinds(node, place, "consumes")
        for at, entry in reversed(entries):
            if entry["in"] == "body":
                schema = under(at, "schema") if "schema" in entry else None
                return Content(dict.fromkeys(kinds or ["*/*"], schema), flag(entry, "required", at))
        fields = [(at, entry) for at, entry in entries if entry["in"] == "formData"]
        return self._form(fields, place, kinds) if fields else None

    def _form(self, fields: _Entries, place: str, kinds: list[str]) -> Content:
        forms = [kind for kind in kinds if kind in (MULTIPART, FORM)] or [MULTIPART, FORM]
        encoding = {
            _field_name(entry, at): Encoding(*array_style(entry, at))
            for at, entry in fields
            if "name" in entry
        }
        return Content(
            media=dict.fromkeys(forms, under(place, "formData")),
            required=any(entry.get("required") is True for _, entry in fields),
            encoding=dict.fromkeys(forms, encoding),
        )

    def _answer(self, response: JsonObject, place: str, node: JsonObject, owner: str) -> Content:
        """The response of one status; without a schema its body is not described."""
        kinds = self._kinds(node, owner, "produces")
        schema = under(place, "schema")
        return Content(
            media=dict.fromkeys(kinds or ["*/*"], schema) if "schema" in response else {},
            headers=self._headers(response, place),
            stream_switch=kubernetes.stream_switch(self._media_types(node, owner, "produces")),
        )

    def _header(self, name: str, node: JsonObject, place: str) -> Parameter:
        return self._valued(node, place, name, Where.RESPONSE_HEADER)

    def _kinds(self, node: JsonObject, place: str, keyword: str) -> list[str]:
        return [essence(kind) for kind in self._media_types(node, place, keyword)]

    def _media_types(self, node: JsonObject, place: str, keyword: str) -> list[str]:
        owner, at = (node, under(place, keyword)) if keyword in node else (self._document, "/" + keyword)
        kinds: list[str] = []
        for i, kind in enumerate(sequence(owner.get(keyword, []), at)):
            if not isinstance(kind, str):
                raise SpecError(under(at, i), "not a string")
            kinds.append(kind)
        return kinds

    def _read_scheme(self, node: JsonObject, place: str) -> Scheme:
        if node.get("type") == "basic":
            return Scheme("http", scheme="basic")
        return super()._read_scheme(node, place)


def _field_name(node: JsonObject, place: str) -> str:
    """A form's field, which YAML may have made a number. Raises SpecError."""
    name = node["name"]
    if isinstance(name, (dict, list)):
        raise SpecError(under(place, "name"), "not a string")
    return str(name)


def base_of_swagger(document: JsonObject) -> str:
    """The base path, without a trailing slash. Raises SpecError."""
    base = document.get("basePath") or ""
    if not isinstance(base, str):
        raise SpecError("/basePath", "not a string")
    base = base.rstrip("/")
    return base if base.startswith("/") or not base else "/" + base


def array_style(node: JsonObject, place: str) -> tuple[str, bool]:
    """The serialisation of an array: (style, explode), tabs as `tabDelimited`. Raises SpecError."""
    said = node.get("collectionFormat", "csv")
    style = _STYLES.get(said) if isinstance(said, str) else None
    if style is None:
        raise SpecError(under(place, "collectionFormat"), "not one of csv, ssv, tsv, pipes, multi")
    return style
