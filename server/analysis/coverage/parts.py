"""One exchange → the parts of its operation that it exercised, right or wrong.

A part is a short text, so that it can be a key of counters anywhere: `hits:2xx`, `watch:2xx` (a list that
was asked to watch), `parameter:query:limit`, `field:request.body/items/*/id`,
`field:response.body.200/id`, `deviating`, `body:unseen`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.wire import Body, Record, Request
from server.analysis.coverage.outline import ANY, Fields, Offer, Outline
from server.analysis.specs.kinds import Verdict, Where
from server.analysis.specs.match import answer_of
from server.analysis.specs.model import Judgement, Parameter
from server.analysis.specs.operations import essence, is_json
from server.analysis.specs.parameters import Texts, cookie_texts, header_texts, query_texts
from server.analysis.specs.pointers import escape
from server.analysis.specs.reading import NotJson, Unreadable, json_value

HIT, WATCH, PARAMETER, FIELD = "hits:", "watch:", "parameter:", "field:"
DEVIATING = "deviating"
UNSEEN = "body:unseen"
NO_ANSWER = "none"
MAX_VALUES = 20_000  # looked at in one body

Parts = tuple[str, ...]


def parts_of(record: Record, outline: Outline, judgement: Judgement) -> Parts:
    """The parts that a judged exchange exercised, each once; none where it has no operation."""
    offer = outline.offers.get(judgement.operation or "")
    if offer is None or record.request is None:
        return ()
    return tuple(dict.fromkeys(_parts(record, record.request, outline, offer, judgement)))


def _parts(
    record: Record, request: Request, outline: Outline, offer: Offer, judgement: Judgement
) -> Iterator[str]:
    query = query_texts(request.query) if request.query else {}
    yield (WATCH if offer.watches and _is_true(query.get("watch")) else HIT) + status_class(record)
    if judgement.verdict is Verdict.DEVIATING:
        yield DEVIATING
    for parameter in _sent(request, query, offer):
        yield f"{PARAMETER}{parameter.where}:{parameter.name}"
    fields = outline.fields(offer, offer.operation.body)
    yield from _of_body(request.body, request.content_type, fields, f"{FIELD}{Where.REQUEST_BODY}")
    response = record.response
    answer = answer_of(offer.operation, response.status) if response else None
    if response is not None and answer is not None:
        status, content = answer
        fields = outline.fields(offer, content)
        at = f"{FIELD}{Where.RESPONSE_BODY}.{status}"
        yield from _of_body(response.body, response.content_type, fields, at)


def status_class(record: Record) -> str:
    """Such as "2xx"; "none" where no answer was seen."""
    return f"{record.response.status // 100}xx" if record.response else NO_ANSWER


def _is_true(texts: list[bytes] | None) -> bool:
    """As Kubernetes reads it: `watch`, `watch=1` and `watch=true` ask to watch."""
    return texts is not None and texts[0].lower() not in (b"0", b"false", b"f")


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


def _of_body(body: Body, content_type: str | None, fields: Fields, at: str) -> Iterator[str]:
    if not fields or body.size == 0:
        return
    if body.data is None or body.state != "complete":
        yield UNSEEN
        return
    kind = essence(content_type or "")
    if kind and not is_json(kind):
        return
    try:
        value = json_value(body.data)
    except (NotJson, Unreadable):
        yield UNSEEN
        return
    for pointer in _present(value, fields):
        yield at + pointer


def _present(value: Any, fields: Fields) -> Iterator[str]:
    """Those of `fields` that occur in a value; names that no schema has stand for additional properties."""
    pending: list[tuple[str, Any]] = [("", value)]
    looked = 0
    while pending and looked < MAX_VALUES:
        pointer, at = pending.pop()
        below: list[tuple[str, Any]] = []
        if isinstance(at, dict):
            below = [(escape(name), child) for name, child in at.items()]
        elif isinstance(at, list):
            below = [(ANY, child) for child in at]
        looked += len(below)
        for token, child in below:
            field = f"{pointer}/{token}"
            if field not in fields:
                field = f"{pointer}/{ANY}"
            if field in fields:
                yield field
                if isinstance(child, (dict, list)):
                    pending.append((field, child))
