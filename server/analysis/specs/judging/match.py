"""Matches one exchange with one specification: finds the operation and the deviations."""

from __future__ import annotations

from agent.wire import Pairs, Record, Request, Response
from server.analysis.specs.judging.bodies import judge_body
from server.analysis.specs.judging.fault import NO_SUCH_OPERATION, REDIRECTS
from server.analysis.specs.judging.json_reading import JsonBodies
from server.analysis.specs.judging.masks import Masks
from server.analysis.specs.judging.outcome import JudgementDraft, NamesPlace, as_sent
from server.analysis.specs.judging.parameters import (
    Parameters,
    Texts,
    cookie_texts,
    header_texts,
    is_on,
    query_texts,
)
from server.analysis.specs.judging.policy import STANDARD_HEADERS, ReportingPolicy
from server.analysis.specs.judging.prepared import PreparedContent, PreparedOperation
from server.analysis.specs.judging.security import is_met
from server.analysis.specs.judging.tidying import tidied
from server.analysis.specs.kinds import Kind, Where
from server.analysis.specs.model import Judgement, Operation
from server.analysis.specs.routing.routes import Found, Route, Routes, segments_of

_BODILESS = frozenset({204, 205, 304})
_NOTHING: Texts = {}


class Matcher:
    """Validates records by one specification's routes and schemas."""

    def __init__(
        self, routes: Routes[PreparedOperation], policy: ReportingPolicy, names: NamesPlace = as_sent
    ) -> None:
        self._routes = routes
        self._policy = policy
        self._names = names

    def naming(self, names: NamesPlace) -> Matcher:
        """The same matcher for unmasked records, whose places are printable after `names` alone."""
        return Matcher(self._routes, self._policy, names)

    def match(self, record: Record, bodies: JsonBodies | None = None) -> Judgement:
        """The judgement of one record; never raises. `bodies` are the record's, shared with other readers."""
        outcome = JudgementDraft(Masks(record), self._policy, bodies or JsonBodies(), self._names)
        if record.completeness not in ("complete", "truncated"):
            outcome.unseen(f"the exchange is {record.completeness}")
        request = record.request
        if request is None:
            outcome.unseen("the request was not seen")
            return outcome.judgement(None, None)
        method = request.method.upper()
        found = self._routes.find_for(request.path, method)
        if found is None and (masked := outcome.masks.segments()):
            found = self._routes.find_masked(request.path, masked, method)
        route = found.route(method) if found else None
        if found is None or route is None:
            return self._unrouted(record, request, method, found, outcome)
        self._judge_request(record, request, found, route, outcome)
        if self._is_refused_as_unknown(request, method, found, route.target, record.response, outcome):
            return outcome.probe()
        if record.response is None:
            outcome.unseen("the response was not seen")
        else:
            self._judge_response(record, request, record.response, route.target, outcome)
        return outcome.judgement(route.target.operation, record.response)

    def _is_refused_as_unknown(
        self,
        request: Request,
        method: str,
        found: Found[PreparedOperation],
        operation: PreparedOperation,
        response: Response | None,
        outcome: JudgementDraft,
    ) -> bool:
        """Whether a call that fits an operation loosely gets the answer of one that there is not: other
        routers are stricter about trailing slashes, HEAD and the types of path parameters.
        """
        if response is None or operation.answer(response.status) is not None:
            return False
        slash = len(found.segments) != len(segments_of(request.path))
        if response.status in REDIRECTS:
            return slash and self._tidies_up(request, response)
        head = method == "HEAD" and operation.operation.method != method
        loose = slash or head or outcome.breaks(Where.PATH)
        return loose and response.status in NO_SUCH_OPERATION

    def _tidies_up(self, request: Request, response: Response | None) -> bool:
        """Whether an answer redirects to the described path that a call's path stands for."""
        path = None if response is None else tidied(request, response)
        return path is not None and self._routes.find(path) is not None

    def _unrouted(
        self,
        record: Record,
        request: Request,
        method: str,
        found: Found[PreparedOperation] | None,
        outcome: JudgementDraft,
    ) -> Judgement:
        """Handles a call without an operation: undocumented, unless it is no API call or a mask may be the
        cause.
        """
        if method == "CONNECT":
            outcome.unseen("CONNECT asks a proxy for a tunnel and is part of no API")
            return outcome.judgement(None, None)
        if method == "OPTIONS" and (request.path == b"*" or _is_preflight(request)):
            outcome.unseen("a CORS preflight or a question to the whole server is part of no API")
            return outcome.judgement(None, None)
        if found is not None:
            message = "the path is described, this method is not"
            return outcome.undescribed(Kind.UNKNOWN_METHOD, message, request, record.response)
        masked = outcome.masks.segments()
        if (masked or record.masks_left_out) and self._routes.could_find(request.path, masked):
            outcome.unseen("a masked path segment decides which operation this is")
            return outcome.judgement(None, None)
        if self._tidies_up(request, record.response):
            return outcome.probe()
        return outcome.undescribed(Kind.UNKNOWN_PATH, "no such path is described", request, record.response)

    def _judge_request(
        self,
        record: Record,
        request: Request,
        found: Found[PreparedOperation],
        route: Route[PreparedOperation],
        outcome: JudgementDraft,
    ) -> None:
        parameters = route.target.parameters
        texts = _texts(request, found, route, outcome.masks)
        blind = not request.headers and bool(
            parameters.headers
        )  # as in an audit log: real requests always have some
        if blind:
            outcome.unseen("the request's headers were not seen")
        parameters.judge(texts, outcome, blind)
        if not blind:
            _judge_security(record, route.target.operation, texts, outcome)
        if self._policy.headers:
            _judge_names(request.headers, parameters, Where.HEADER, outcome)
        _judge_request_body(record, request, route.target.body, outcome)

    def _judge_response(
        self,
        record: Record,
        request: Request,
        response: Response,
        operation: PreparedOperation,
        outcome: JudgementDraft,
    ) -> None:
        content = operation.answer(response.status)
        if content is None:
            if operation.operation.responses:
                message = "a status that is not described"
                outcome.add(Kind.UNKNOWN_STATUS, Where.STATUS, str(response.status), message)
            return
        if content.has_headers or self._policy.headers:
            self._judge_headers(response, content, outcome)
        if request.method.upper() == "HEAD" or response.status in _BODILESS or response.status < 200:
            return
        _judge_response_body(record, request, response, content, outcome)

    def _judge_headers(self, response: Response, content: PreparedContent, outcome: JudgementDraft) -> None:
        if not response.headers:
            if content.has_headers:
                outcome.unseen("the response's headers were not seen")
            return
        headers = content.headers
        texts = header_texts(response.headers, headers.headers)
        headers.judge({Where.RESPONSE_HEADER: texts, Where.QUERY: _NOTHING}, outcome)
        if self._policy.headers:
            _judge_names(response.headers, headers, Where.RESPONSE_HEADER, outcome)


def _judge_security(
    record: Record, operation: Operation, texts: dict[Where, Texts], outcome: JudgementDraft
) -> None:
    """Adds a deviation for a call without credentials, and for one with undescribed ones."""
    if record.response is None:
        return
    if not any(operation.security):
        if record.consumer.credential_scheme is not None or record.consumer.client_name is not None:
            message = "credentials where none are described"
            outcome.add(Kind.UNKNOWN_CREDENTIALS, Where.SECURITY, "", message)
        return
    if record.consumer.client_name is not None:
        return  # a verified name implies a credential that no header shows
    if not is_met(operation.security, texts, record.consumer.credential_scheme):
        outcome.add(Kind.SECURITY_UNMET, Where.SECURITY, "", "served without the credentials described")


def _judge_request_body(
    record: Record, request: Request, content: PreparedContent | None, outcome: JudgementDraft
) -> None:
    body = request.body
    if body.size == 0 and body.state == "complete":
        if content is not None and content.required and _is_whole(record):
            outcome.add(Kind.MISSING_BODY, Where.REQUEST_BODY, "", "a required body is missing")
    elif content is not None:
        judge_body(body, request.content_type, content, outcome)
    elif body.size:
        outcome.add(Kind.UNKNOWN_BODY, Where.REQUEST_BODY, "", "a body where none is described")


def _judge_response_body(
    record: Record, request: Request, response: Response, content: PreparedContent, outcome: JudgementDraft
) -> None:
    body, switch = response.body, content.stream_switch
    if switch is not None and is_on(request.query, switch):
        outcome.unseen("a watch answers with a stream of events")
    elif body.size == 0 and body.state == "complete":
        if _is_whole(record) and not content.may_be_empty:
            outcome.add(Kind.MISSING_BODY, Where.RESPONSE_BODY, "", "an empty body where one is described")
    elif content.bodies:
        judge_body(body, response.content_type, content, outcome)
    elif body.size:
        outcome.add(Kind.UNKNOWN_ANSWER, Where.RESPONSE_BODY, "", "a body where none is described")


def _judge_names(headers: Pairs, described: Parameters, where: Where, outcome: JudgementDraft) -> None:
    """Adds deviations for headers that neither the specification nor HTTP defines."""
    names = {name.lower() for name, _ in headers} - described.headers - STANDARD_HEADERS
    for name in sorted(names):
        if not name.startswith((b":", b"sec-")):
            shown = name.decode("latin-1")
            outcome.add(Kind.UNKNOWN_HEADER, where, shown, "a header that is not described")


def _texts(
    request: Request, found: Found[PreparedOperation], route: Route[PreparedOperation], masks: Masks
) -> dict[Where, Texts]:
    """All values sent by name, by place, as far as the operation's parameters need them."""
    parameters = route.target.parameters
    path: dict[str, list[bytes]] = {}
    if parameters.in_path:
        for name, indices, text in route.values(found):
            sent = None if text is None else text.encode("utf-8", "surrogateescape").replace(b"%", b"%25")
            path[name] = [] if sent is None else [sent]
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


def _is_preflight(request: Request) -> bool:
    names = {name.lower() for name, _ in request.headers}
    return {b"origin", b"access-control-request-method"} <= names


def _is_whole(record: Record) -> bool:
    """Whether absent parts were certainly not sent."""
    return record.completeness in ("complete", "truncated")
