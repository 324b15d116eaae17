"""One exchange against one specification: which operation, and what is different from it."""

from __future__ import annotations

from agent.wire import Pairs, Record, Request, Response
from server.analysis.specs.judging.bodies import BodyJudge
from server.analysis.specs.judging.masks import Masks
from server.analysis.specs.judging.outcome import Outcome
from server.analysis.specs.judging.parameters import (
    Parameters,
    Texts,
    cookie_texts,
    header_texts,
    is_on,
    query_texts,
)
from server.analysis.specs.judging.policy import STANDARD_HEADERS, Policy
from server.analysis.specs.judging.security import is_met
from server.analysis.specs.kinds import Kind, Where
from server.analysis.specs.model import Content, Judgement, Operation
from server.analysis.specs.routing.routes import Found, Route, Routes
from server.analysis.specs.schemas.convert import Direction
from server.analysis.specs.schemas.validators import Schemas

_REFUSALS = frozenset({401, 403, 407})
_BODILESS = frozenset({204, 205, 304})
_NOTHING: Texts = {}


class Matcher:
    """Judges records by one specification's routes and schemas."""

    def __init__(self, routes: Routes, schemas: Schemas, policy: Policy) -> None:
        self._routes = routes
        self._schemas = schemas
        self._policy = policy
        self._parameters: dict[int, Parameters] = {}  # by the identity of an operation
        self._headers: dict[int, Parameters] = {}  # by the identity of a response's content
        self._bodies = BodyJudge(schemas)

    def match(self, record: Record) -> Judgement:
        """The judgement of one record; whatever it holds, this answers."""
        outcome = Outcome(Masks(record), self._policy)
        if record.completeness not in ("complete", "truncated"):
            outcome.unseen(f"the exchange is {record.completeness}")
        request = record.request
        if request is None:
            outcome.unseen("the request was not seen")
            return outcome.judgement(None)
        method = request.method.upper()
        found = self._routes.find(request.path)
        route = found.route(method) if found else None
        if found is None or route is None:
            return self._unrouted(record, request, method, found, outcome)
        self._judge_request(record, request, found, route, outcome)
        if record.response is None:
            outcome.unseen("the response was not seen")
        else:
            self._judge_response(record, record.response, method, route.operation, outcome)
        return outcome.judgement(route.operation)

    def _unrouted(
        self, record: Record, request: Request, method: str, found: Found | None, outcome: Outcome
    ) -> Judgement:
        """No operation for this path and method: a shadow, unless it is no call or a mask may be why."""
        if method == "OPTIONS" and (request.path == b"*" or _is_preflight(request)):
            outcome.unseen("a CORS preflight or a question to the whole server is part of no API")
            return outcome.judgement(None)
        if found is not None:
            outcome.add(Kind.UNKNOWN_METHOD, Where.PATH, "", "the path is described, this method is not")
            return outcome.judgement(None, shadow=True)
        masked = outcome.masks.segments()
        if (masked or record.masks_left_out) and self._routes.could_find(request.path, masked):
            outcome.unseen("a masked path segment decides which operation this is")
            return outcome.judgement(None)
        outcome.add(Kind.UNKNOWN_PATH, Where.PATH, "", "no such path is described")
        return outcome.judgement(None, shadow=True)

    def _judge_request(
        self, record: Record, request: Request, found: Found, route: Route, outcome: Outcome
    ) -> None:
        operation = route.operation
        parameters = self._parameters_of(operation)
        texts = _texts(request, found, route, parameters, outcome.masks)
        blind = not request.headers and bool(parameters.headers)  # as in an audit log: there always are some
        if blind:
            outcome.unseen("the request's headers were not seen")
        parameters.judge(texts, outcome, blind)
        if not blind:
            self._judge_security(record, operation, texts, outcome)
        if self._policy.headers:
            _judge_names(request.headers, parameters, Where.HEADER, outcome)
        self._judge_request_body(record, request, operation, outcome)

    def _parameters_of(self, operation: Operation) -> Parameters:
        known = self._parameters.get(id(operation))
        if known is None:
            known = self._parameters[id(operation)] = Parameters(
                operation.parameters, operation.security, self._schemas
            )
        return known

    def _judge_security(
        self, record: Record, operation: Operation, texts: dict[Where, Texts], outcome: Outcome
    ) -> None:
        """A call without credentials is blamed unless it was turned away, which is what they are for."""
        response = record.response
        if not operation.security or response is None or response.status in _REFUSALS:
            return
        if record.consumer.client_name is not None:
            return  # a verified name is a credential that no header shows
        if not is_met(operation.security, texts, record.consumer.credential_scheme):
            outcome.add(Kind.SECURITY_UNMET, Where.SECURITY, "", "served without the credentials described")

    def _judge_request_body(
        self, record: Record, request: Request, operation: Operation, outcome: Outcome
    ) -> None:
        body = request.body
        if body.size == 0 and body.state == "complete":
            if operation.body and operation.body.required and _is_whole(record):
                outcome.add(Kind.MISSING_BODY, Where.REQUEST_BODY, "", "a required body is missing")
        elif operation.body is None:
            if body.size:
                outcome.add(Kind.UNKNOWN_BODY, Where.REQUEST_BODY, "", "a body where none is described")
        else:
            self._bodies.judge(body, request.content_type, operation.body, Direction.REQUEST, outcome)

    def _judge_response(
        self, record: Record, response: Response, method: str, operation: Operation, outcome: Outcome
    ) -> None:
        answer = answer_of(operation, response.status)
        if answer is None:
            if operation.responses:
                outcome.add(
                    Kind.UNKNOWN_STATUS, Where.STATUS, str(response.status), "a status that is not described"
                )
            return
        content = answer[1]
        if content.headers or self._policy.headers:
            self._judge_headers(response, content, outcome)
        if method == "HEAD" or response.status in _BODILESS or response.status < 200:
            return
        switch, request = content.stream_switch, record.request
        if switch is not None and request is not None and is_on(request.query, switch):
            outcome.unseen("a watch answers with a stream of events")
        elif response.body.size == 0 and response.body.state == "complete":
            if _is_whole(record) and not self._bodies.may_be_empty(content):
                outcome.add(
                    Kind.MISSING_BODY, Where.RESPONSE_BODY, "", "an empty body where one is described"
                )
        else:
            self._bodies.judge(response.body, response.content_type, content, Direction.RESPONSE, outcome)

    def _judge_headers(self, response: Response, content: Content, outcome: Outcome) -> None:
        if not response.headers:
            if content.headers:
                outcome.unseen("the response's headers were not seen")
            return
        headers = self._headers.get(id(content))
        if headers is None:
            headers = Parameters(content.headers, (), self._schemas, Direction.RESPONSE)
            self._headers[id(content)] = headers
        texts = header_texts(response.headers, headers.headers)
        headers.judge({Where.RESPONSE_HEADER: texts, Where.QUERY: _NOTHING}, outcome)
        if self._policy.headers:
            _judge_names(response.headers, headers, Where.RESPONSE_HEADER, outcome)


def _judge_names(headers: Pairs, described: Parameters, where: Where, outcome: Outcome) -> None:
    """Headers that neither the specification nor HTTP knows."""
    names = {name.lower() for name, _ in headers} - described.headers - STANDARD_HEADERS
    for name in sorted(names):
        if not name.startswith((b":", b"sec-")):
            shown = name.decode("latin-1")
            outcome.add(Kind.UNKNOWN_HEADER, where, shown, "a header that is not described")


def _texts(
    request: Request, found: Found, route: Route, parameters: Parameters, masks: Masks
) -> dict[Where, Texts]:
    """Everything that was sent by name, by place, as far as these parameters are interested."""
    path: dict[str, list[bytes]] = {}
    if parameters.in_path:
        for name, indices, text in route.values(found):
            path[name] = [text.encode("utf-8", "surrogateescape").replace(b"%", b"%25")]
            for index in indices:
                masks.rename(Where.PATH, str(index), name)
    wanted = parameters.headers
    headers = header_texts(request.headers, wanted) if wanted else _NOTHING
    return {
        Where.PATH: path,
        Where.QUERY: query_texts(request.query) if request.query else _NOTHING,
        Where.HEADER: headers,
        Where.COOKIE: cookie_texts(headers) if "cookie" in headers else _NOTHING,
    }


def answer_of(operation: Operation, status: int) -> tuple[str, Content] | None:
    """What is described for a status, and under which name: itself, its range, or the default."""
    for name in (str(status), f"{status // 100}XX", "default"):
        content = operation.responses.get(name)
        if content is not None:
            return name, content
    return None


def _is_preflight(request: Request) -> bool:
    names = {name.lower() for name, _ in request.headers}
    return {b"origin", b"access-control-request-method"} <= names


def _is_whole(record: Record) -> bool:
    """Whether what is absent was truly not sent."""
    return record.completeness in ("complete", "truncated")
