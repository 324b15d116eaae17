"""One exchange → the parts of its operation that it exercised, right or wrong.

A part is a short text, so that it can be a key of counters anywhere: `hits:2xx`, `watch:2xx` (a list that
was asked to watch), `parameter:query:limit`, `field:request.body/items/*/id`,
`field:response.body.200/id`, `deviating`, `body:unseen`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from agent.wire import Body, Record, Request
from server.analysis.coverage.outline import ANY, Field, Offer, Outline
from server.analysis.json import Json
from server.analysis.specs.document.media import essence, is_json
from server.analysis.specs.judging.json_reading import JsonBodies, NotJson, UnreadableJson
from server.analysis.specs.judging.judged import Judged
from server.analysis.specs.judging.parameters import Texts, cookie_texts, header_texts, is_on, query_texts
from server.analysis.specs.kinds import Verdict, Where
from server.analysis.specs.model import Parameter

HIT, WATCH, PARAMETER, FIELD = "hits:", "watch:", "parameter:", "field:"
DEVIATING = "deviating"
UNSEEN = "body:unseen"
NO_ANSWER = "none"
MAX_VALUES = 20_000  # looked at in one body

Parts = tuple[str, ...]


def parts_of(judged: Judged, outline: Outline) -> Parts:
    """The parts that an exchange exercised, each once; none where it has no operation."""
    record, judgement, bodies = judged.record, judged.judgement, judged.bodies
    offer = outline.offers.get(judgement.operation or "")
    if offer is None or record.request is None:
        return ()
    request = record.request
    query = query_texts(request.query) if request.query else {}
    watched = offer.watch_switch is not None and is_on(request.query, offer.watch_switch)
    parts = [(WATCH if watched else HIT) + status_class(record)]
    if judgement.verdict is Verdict.DEVIATING:
        parts.append(DEVIATING)
    parts += [f"{PARAMETER}{one.where}:{one.name}" for one in _sent(request, query, offer)]
    fields = outline.fields(offer, offer.operation.body)
    sent = _of_body(request.body, request.content_type, fields, f"{FIELD}{Where.REQUEST_BODY}", bodies)
    answered = _answered(record, outline, offer, bodies)
    return (*parts, *sent, *(answered if sent != (UNSEEN,) or answered != sent else ()))


def _answered(record: Record, outline: Outline, offer: Offer, bodies: JsonBodies) -> Parts:
    response = record.response
    answer = offer.operation.answer(response.status) if response else None
    if response is None or answer is None:
        return ()
    status, content = answer
    at = f"{FIELD}{Where.RESPONSE_BODY}.{status}"
    return _of_body(response.body, response.content_type, outline.fields(offer, content), at, bodies)


def status_class(record: Record) -> str:
    """Such as "2xx"; "none" where no answer was seen."""
    return f"{record.response.status // 100}xx" if record.response else NO_ANSWER


def _sent(request: Request, query: Texts, offer: Offer) -> Iterator[Parameter]:
    parameters = offer.operation.parameters
    wanted = {one.name.encode() for one in parameters if one.where is Where.HEADER}
    in_cookies = any(one.where is Where.COOKIE for one in parameters)
    headers = header_texts(request.headers, wanted | {b"cookie"}) if wanted or in_cookies else {}
    sent = {
        Where.QUERY: query,
        Where.HEADER: headers,
        Where.COOKIE: cookie_texts(headers) if in_cookies else {},
    }
    for one in parameters:
        texts = sent.get(one.where)
        if texts is None or one.name in texts or _is_spread(one, texts):
            yield one


def _is_spread(parameter: Parameter, texts: Texts) -> bool:
    """Whether fields of a deepObject parameter were sent: `filter[name]=…`."""
    start = parameter.name + "["
    return parameter.style == "deepObject" and any(name.startswith(start) for name in texts)


def _of_body(
    body: Body, content_type: str | None, trees: Sequence[Field], at: str, bodies: JsonBodies
) -> Parts:
    if not any(tree.fields for tree in trees) or body.size == 0:
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
    found: dict[str, None] = {}
    for tree in trees:
        _find(value, tree, found)
    return _named(at, tuple(found))


@lru_cache(maxsize=4096)
def _named(at: str, pointers: Parts) -> Parts:
    """Most calls of an operation have the same fields."""
    return tuple(at + pointer for pointer in pointers)


def _find(value: Json, tree: Field, found: dict[str, None]) -> None:
    """Adds the pointers of fields that occur in a value; names that no schema has are additional ones."""
    pending: list[tuple[Json, Field]] = [(value, tree)]
    looked = 0
    while pending and looked < MAX_VALUES:
        at, field = pending.pop()
        fields = field.fields
        other = fields.get(ANY)
        if isinstance(at, dict):
            for name, child in at.items():
                one = fields.get(name, other)
                if one is not None:
                    found[one.pointer] = None
                    if one.fields:
                        pending.append((child, one))
        elif isinstance(at, list) and other is not None and at:
            found[other.pointer] = None
            if other.fields:
                pending += [(child, other) for child in at]
        else:
            continue
        looked += len(at)
