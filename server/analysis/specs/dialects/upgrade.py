"""A Swagger 2.0 document → an OpenAPI 3.0 document: bodies, content types, components, servers.

Schemas come from `swagger.modern`, already with 3.0's keywords. What OpenAPI cannot express is approximated:
a tab-separated array becomes a string, examples of a type that is not produced `x-examples`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from server.analysis.json import Json, JsonObject, array_in, object_in, text_in, texts_in
from server.analysis.specs.dialects.modern import modern
from server.analysis.specs.dialects.openapi import METHODS
from server.analysis.specs.dialects.renaming import Renaming, kept
from server.analysis.specs.dialects.swagger import array_style, base_of_swagger
from server.analysis.specs.document.media import FORM, MULTIPART
from server.analysis.specs.document.pointers import Pointers, under

OPENAPI = "3.0.4"

_OF_DOCUMENT = ("info", "tags", "externalDocs")
_OF_OPERATION = ("tags", "summary", "description", "externalDocs", "operationId", "deprecated")
_STYLES = {"query": {"form", "spaceDelimited", "pipeDelimited"}, "path": {"simple"}, "header": {"simple"}}
_FLOWS = {
    "implicit": ("implicit", ("authorizationUrl",)),
    "password": ("password", ("tokenUrl",)),
    "application": ("clientCredentials", ("tokenUrl",)),
    "accessCode": ("authorizationCode", ("authorizationUrl", "tokenUrl")),
}


def openapi(document: JsonObject) -> JsonObject:
    """The document of a loaded specification, as OpenAPI 3.0. Raises SpecError for broken references."""
    return _Upgrade(document).made()


class _Upgrade:
    def __init__(self, document: JsonObject) -> None:
        self._document = modern(document, document.get("definitions"))
        self._pointers = Pointers(self._document)
        self._renaming = Renaming(self._document, self._pointers)

    def made(self) -> JsonObject:
        found: JsonObject = {"openapi": OPENAPI, **kept(self._document, _OF_DOCUMENT)}
        info = object_in(self._document, "info")
        found["info"] = {**info, "version": str(info.get("version", ""))}
        found["servers"] = self._servers(texts_in(self._document, "schemes"))
        if "security" in self._document:
            found["security"] = self._security(self._document)
        found["paths"] = {
            path: item if path.startswith("x-") else self._item(under("/paths", path), item)
            for path, item in object_in(self._document, "paths").items()
        }
        found["components"] = self._components()
        return found

    def _servers(self, schemes: Sequence[str]) -> list[Json]:
        base = base_of_swagger(self._document) or "/"
        host = text_in(self._document, "host")
        if host is None:
            return [{"url": base}]
        urls = [f"{scheme}://{host}{base}".rstrip("/") for scheme in schemes]
        return [{"url": url} for url in urls or [f"//{host}{base}".rstrip("/")]]

    def _components(self) -> JsonObject:
        parameters: JsonObject = {
            name: self._parameter(node) for name, node in self._shared("parameters") if _is_kept(node)
        }
        produced = self._produced({})
        responses: JsonObject = {
            name: self._response(node, produced) for name, node in self._shared("responses")
        }
        schemes: JsonObject = {name: _scheme(node) for name, node in self._shared("securityDefinitions")}
        self._renaming.add_definitions()
        parts: JsonObject = {
            "schemas": self._renaming.schemas,
            "parameters": parameters,
            "responses": responses,
            "securitySchemes": schemes,
        }
        return {kind: part for kind, part in parts.items() if part}

    def _shared(self, kind: str) -> Iterator[tuple[str, JsonObject]]:
        """(new name, node) of a document's shared components of one kind."""
        for name, node in object_in(self._document, kind).items():
            if isinstance(node, dict):
                yield self._renaming.names(kind)[name], node

    def _item(self, place: str, item: Json) -> JsonObject:
        _, node = self._pointers.resolved(place, item)
        found = kept(node, ())
        parameters = self._sent(node)
        if parameters:
            found["parameters"] = parameters
        for method in METHODS:
            if isinstance(node.get(method), dict):
                found[method] = self._operation(object_in(node, method), [*self._entries(node)])
        return found

    def _operation(self, node: JsonObject, shared: list[JsonObject]) -> JsonObject:
        found = kept(node, _OF_OPERATION)
        parameters = self._sent(node)
        if parameters:
            found["parameters"] = parameters
        body = self._body([*shared, *self._entries(node)], self._media_types(node, "consumes"))
        if body:
            found["requestBody"] = body
        responses = object_in(node, "responses")
        found["responses"] = {
            status: responses[status]
            if status.startswith("x-")
            else self._answer(object_in(responses, status), node)
            for status in responses
        }
        if "security" in node:
            found["security"] = self._security(node)
        schemes = texts_in(node, "schemes")
        if schemes and isinstance(self._document.get("host"), str):
            found["servers"] = self._servers(schemes)
        return found

    def _entries(self, node: JsonObject) -> Iterator[JsonObject]:
        """The parameters of a path or an operation, resolved."""
        for entry in array_in(node, "parameters"):
            yield self._pointers.resolved("", entry)[1]

    def _sent(self, node: JsonObject) -> list[Json]:
        """Those that are also parameters in OpenAPI; shared ones by reference."""
        found: list[Json] = []
        for entry, parameter in zip(array_in(node, "parameters"), self._entries(node), strict=True):
            if _is_kept(parameter) and isinstance(entry, dict):
                found.append(self._renaming.shared(entry, "parameters") or self._parameter(parameter))
        return found

    def _parameter(self, node: JsonObject) -> JsonObject:
        where = str(node.get("in"))
        found: JsonObject = {"name": node.get("name"), "in": where, **kept(node, ("description", "required"))}
        if where == "path":
            found["required"] = True
        if where == "query" and node.get("allowEmptyValue") is True:
            found["allowEmptyValue"] = True
        return found | self._value(node, where)

    def _value(self, node: JsonObject, where: str) -> JsonObject:
        """`schema`, and the style of an array."""
        schema = self._plain(node)
        if schema.get("type") != "array":
            return {"schema": schema}
        name, explode = array_style(node, "")
        if where != "query" and name == "form":
            name, explode = "simple", False
        if name not in _STYLES.get(where, ()):
            return {"schema": {"type": "string"}, "x-collectionFormat": node.get("collectionFormat")}
        return {"style": name, "explode": explode, "schema": schema}

    def _plain(self, node: JsonObject) -> JsonObject:
        """A parameter's schema without extensions, which stay with the parameter."""
        said = object_in(node, "schema").items()
        return self._renaming.schema_object({key: value for key, value in said if not key.startswith("x-")})

    def _body(self, entries: list[JsonObject], kinds: list[str]) -> JsonObject | None:
        """The body of an operation; its own body is listed after the path's."""
        for entry in reversed(entries):
            if entry.get("in") == "body":
                media = {"schema": self._renaming.schema(entry["schema"])} if "schema" in entry else {}
                said = kept(entry, ("description", "required"))
                return {**said, "content": {kind: {**media} for kind in kinds or ["*/*"]}}
        fields = {str(entry.get("name")): entry for entry in entries if entry.get("in") == "formData"}
        return self._form(fields, kinds) if fields else None

    def _form(self, fields: dict[str, JsonObject], kinds: list[str]) -> JsonObject:
        required: list[Json] = [name for name, node in fields.items() if node.get("required") is True]
        styles = {name: array_style(node, "") for name, node in fields.items() if node.get("type") == "array"}
        encoding: JsonObject = {
            name: {"style": said, "explode": explode}
            for name, (said, explode) in styles.items()
            if said in _STYLES["query"]
        }
        properties: JsonObject = {
            name: self._field(node) if name in encoding or name not in styles else _joined(node)
            for name, node in fields.items()
        }
        schema: JsonObject = {"type": "object", "properties": properties}
        media: JsonObject = {"schema": schema, "encoding": encoding} if encoding else {"schema": schema}
        forms = [kind for kind in kinds if kind in (MULTIPART, FORM)] or [MULTIPART, FORM]
        body: JsonObject = {"content": dict.fromkeys(forms, media)}
        if required:
            schema["required"] = required
            body["required"] = True
        return body

    def _field(self, node: JsonObject) -> JsonObject:
        return self._plain(node) | kept(node, ("description",))

    def _answer(self, entry: JsonObject, node: JsonObject) -> JsonObject:
        kinds = self._produced(node)
        if kinds == self._produced({}):
            shared = self._renaming.shared(entry, "responses")
            if shared:
                return shared
        return self._response(self._pointers.resolved("", entry)[1], kinds)

    def _response(self, node: JsonObject, kinds: list[str]) -> JsonObject:
        found: JsonObject = {"description": str(node.get("description") or ""), **kept(node, ())}
        examples = dict(object_in(node, "examples"))
        if "headers" in node:
            headers = object_in(node, "headers")
            found["headers"] = {name: self._header(object_in(headers, name)) for name in headers}
        if "schema" in node:
            schema = self._renaming.schema(node["schema"])
            found["content"] = {
                kind: {"schema": schema, "example": examples.pop(kind)}
                if kind in examples
                else {"schema": schema}
                for kind in dict.fromkeys(kinds or ["*/*"])
            }
        if examples:
            found["x-examples"] = examples
        return found

    def _header(self, node: JsonObject) -> JsonObject:
        return {**kept(node, ("description", "required")), **self._value(node, "header")}

    def _produced(self, node: JsonObject) -> list[str]:
        return self._media_types(node, "produces")

    def _media_types(self, node: JsonObject, keyword: str) -> list[str]:
        return texts_in(node if keyword in node else self._document, keyword)

    def _security(self, node: JsonObject) -> list[Json]:
        names = self._renaming.names("securityDefinitions")
        return [
            {names.get(name, name): scopes for name, scopes in alternative.items()}
            for alternative in array_in(node, "security")
            if isinstance(alternative, dict)
        ]


def _is_kept(parameter: JsonObject) -> bool:
    """Whether it is also a parameter in OpenAPI."""
    return parameter.get("in") not in ("body", "formData")


def _joined(node: JsonObject) -> JsonObject:
    """A field whose items are sent in one text, which no style describes."""
    return {"type": "string", "x-collectionFormat": node.get("collectionFormat")}


def _scheme(node: JsonObject) -> JsonObject:
    """A security scheme."""
    said = kept(node, ("description",))
    match node.get("type"):
        case "basic":
            return {"type": "http", "scheme": "basic", **said}
        case "oauth2":
            name, urls = _FLOWS.get(str(node.get("flow")), _FLOWS["implicit"])
            flow: JsonObject = {url: str(node.get(url) or "/") for url in urls}
            scopes = object_in(node, "scopes")
            return {"type": "oauth2", "flows": {name: {**flow, "scopes": scopes}}, **said}
        case _:
            return {**kept(node, ("type", "name", "in")), **said}
