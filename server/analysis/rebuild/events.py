"""Server-sent events: as values to learn, and their schema (OpenAPI 3.2.0, "Special Considerations for
Server-Sent Events").

Data that is a JSON object or array is learned as JSON, other data as text: the word `true` among words is no
boolean. Text among JSON, such as `[DONE]`, is a convention that a schema of events does not model.
"""

from __future__ import annotations

from server.analysis.json import Json, JsonObject, object_in
from server.analysis.rebuild.masked import Masked
from server.analysis.rebuild.shapes.model import Shape, Variant
from server.analysis.rebuild.shapes.render import Style, object_schema
from server.analysis.rebuild.shapes.values import Value
from server.analysis.rebuild.shapes.variants import required_keys, together
from server.analysis.specs.judging.json_reading import NotJson, UnreadableJson, json_value
from server.analysis.specs.judging.sequences import events

DATA, TEXT = "data", "text"
FIELDS = ("event", "id", "retry")


def events_of(data: bytes, where: str, masked: Masked) -> list[Value]:
    """The events of a body; JSON is their `data`, other data their `text`.

    Masks of events have no place: all values of such a body count as masked, and text is left out, since it
    may have been JSON.
    """
    found: list[Value] = []
    for event in events(data):
        value = _json_in(str(event.pop(DATA)))
        if not isinstance(value, str):
            event[DATA] = value
        elif not masked.hides_any(where):
            event[TEXT] = value
        found.append(masked.json(where, event))
    return found


def _json_in(text: str) -> Json:
    """The JSON object or array, or the text itself."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return json_value(text.encode())
    except (NotJson, UnreadableJson):
        return text


def event_schema(shape: Shape, style: Style) -> JsonObject:
    """The schema of an event."""
    objects = shape.objects
    if objects is None:  # beyond the bound on places
        return {}
    objects.flush()
    variant = together(objects.variants) if objects.variants else Variant()
    named = object_in(object_schema(variant, style), "properties")
    counts = {key: field.count for key, field in variant.fields.items()}
    is_json = counts.get(DATA, 0) >= counts.get(TEXT, 1)
    data: Json = named.get(TEXT, {"type": "string"})
    if is_json:
        data = {"type": "string", "contentMediaType": "application/json", "contentSchema": named[DATA]}
    elif DATA in named:
        data = {"type": "string"}
    required: list[Json] = [key for key in required_keys(variant) if key in FIELDS]
    properties = {DATA: data, **{key: named[key] for key in FIELDS if key in named}}
    return {"type": "object", "required": [DATA, *required], "properties": properties}
