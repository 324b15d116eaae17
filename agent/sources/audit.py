"""Kubernetes audit logs (audit.k8s.io/v1), one event a line: calls reported by the API server.

The API server writes an event at several stages of a call; the last is read: ResponseComplete or Panic. A
call without a valid credential has only ResponseStarted (its user is empty), which is read then. An event has
a verb and no method, no headers except the user agent, and bodies only at the levels Request and
RequestResponse, decoded and as JSON whatever their original type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from agent.http.messages import (
    EMPTY_BODY,
    Body,
    BodyState,
    Caller,
    Completeness,
    Exchange,
    Headers,
    Request,
    Response,
)
from agent.sources import fields
from agent.sources.content import File, FileContent
from agent.sources.lines import Lines, lines
from agent.sources.objects import is_cut
from agent.sources.reported import CutShort, Entry, EntryError, Reported, Skipped, UnreadableEntry, identity
from agent.wire import Endpoint

HOST = b"kubernetes.default.svc"
"""Events name no host; this is the API server's name in every cluster."""

METHODS = {
    "get": b"GET",
    "list": b"GET",
    "watch": b"GET",
    "create": b"POST",
    "update": b"PUT",
    "patch": b"PATCH",
    "delete": b"DELETE",
    "deletecollection": b"DELETE",
    # These two may stand for several methods; every operation they may mean has GET.
    "proxy": b"GET",
    "connect": b"GET",
}
"""Methods by the verbs of resources. A HEAD is logged as get. For other URLs the verb is the method."""

_PLAIN_VERB = re.compile(r"[a-z]{1,20}")
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")
_SERVICE_ACCOUNT = "system:serviceaccount:"
_POD = "authentication.kubernetes.io/pod-name"
_USER = re.compile(r'\b(User \\")((?:[^"\\]|\\\\\\.)*)(\\")')
"""The user's name in refusals, inside JSON text."""

_JSON: Headers = ((b"content-type", b"application/json"),)
_LEVELS = ("Metadata", "Request", "RequestResponse")
_WHOLE_LEVELS = {"request": ("Request", "RequestResponse"), "response": ("RequestResponse",)}
_EVENT = re.compile(rb'"apiVersion"\s*:\s*"audit\.k8s\.io/|"auditID"\s*:\s*"')


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is an audit log."""
    return _EVENT.search(head) is not None


def content(file: File, name: str, written_ns: int) -> FileContent:
    """The calls of a log."""
    return FileContent(entries(file))


def entries(file: Lines) -> Iterator[Entry]:
    """The calls of an audit log; a line may also hold a list of events, as webhooks are sent them."""
    for number, line in lines(file):
        place = f"line {number}"
        try:
            if line is None:
                raise EntryError("too long")
            if is_cut(line):
                yield CutShort(f"in {place}")
                return
            found = fields.decoded(line)
            events = fields.parts(found, "items") if fields.text(found, "kind") == "EventList" else [found]
        except EntryError as error:
            yield UnreadableEntry(place, str(error))
            continue
        for event in events:
            yield _entry(event, place)


def _entry(event: dict[str, Any], place: str) -> Entry:
    stage, user = fields.text(event, "stage"), fields.text(fields.part(event, "user"), "username")
    if stage not in ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"):
        return UnreadableEntry(place, "not an audit event")
    turned_away = stage == "ResponseStarted" and user is None
    if stage not in ("ResponseComplete", "Panic") and not turned_away:
        return Skipped(f"events of stage {stage}, which a later one follows")
    try:
        return _reported(event, user)
    except EntryError as error:
        return UnreadableEntry(place, str(error))


def _reported(event: dict[str, Any], user: str | None) -> Reported:
    target, verb = fields.text(event, "requestURI"), event.get("verb")
    start = fields.time_ns(fields.text(event, "requestReceivedTimestamp"))
    end = fields.time_ns(fields.text(event, "stageTimestamp"))
    if target is None or not isinstance(verb, str):
        raise EntryError("no requestURI or no verb")
    start = start if start is not None else end
    if start is None:
        raise EntryError("no time")
    method = _method(verb)
    body, typed = _body(event, "request", method)
    request = Request(
        method=method,
        target=fields.encoded(target),
        version=b"1.1",
        headers=(*_agent(event), *typed),
        trailers=(),
        body=body,
        start_ns=start,
        end_ns=None,
        authority=HOST,
        scheme=b"https",
    )
    response = _response(event, method, start, end)
    done = Completeness.COMPLETE if response else Completeness.NO_RESPONSE
    exchange = Exchange(0, request, response, done, fields_unknown=1, caller=_caller(event, verb, user))
    named = fields.text(event, "auditID")
    whole = named.encode("utf-8", "replace") if named else json.dumps(event).encode()
    return Reported(exchange, identity("audit", 0, whole), "server", _client(event, user), None)


def _agent(event: dict[str, Any]) -> Headers:
    found = fields.text(event, "userAgent")
    return () if found is None else ((b"user-agent", fields.encoded(found)),)


def _method(verb: str) -> bytes:
    known = METHODS.get(verb)
    if known is None:
        return verb.upper().encode() if _PLAIN_VERB.fullmatch(verb) else b"OTHER"
    return known


def _response(event: dict[str, Any], method: bytes, start: int, end: int | None) -> Response | None:
    status = fields.size(fields.part(event, "responseStatus"), "code")
    if status is None or not 100 <= status <= 999:
        return None
    body, typed = _body(event, "response", method)
    return Response(status, b"1.1", typed, (), body, end if end is not None else start, end)


def _body(event: dict[str, Any], side: str, method: bytes) -> tuple[Body, Headers]:
    """A body and the header of its type. If the level has no bodies, it is unseen, not absent."""
    found = event.get(f"{side}Object")
    if isinstance(found, (dict, list)) and found:
        data = _USER.sub(_private, json.dumps(found, separators=(",", ":"), ensure_ascii=False))
        patch = method == b"PATCH" and side == "request" and isinstance(found, dict)
        return Body(None, fields.encoded(data), BodyState.COMPLETE), () if patch else _JSON
    seen = fields.text(event, "level") in _WHOLE_LEVELS[side]
    if side == "request" and seen and method in (b"GET", b"HEAD", b"DELETE"):
        return EMPTY_BODY, ()
    return Body(None, b"", BodyState.UNSEEN), ()


def _private(match: re.Match[str]) -> str:
    """A user's name if it is the cluster's own; other names are dropped, since they may be people's."""
    return match[0] if match[2].startswith("system:") else f"{match[1]}user{match[3]}"


def _caller(event: dict[str, Any], verb: str, user: str | None) -> Caller:
    level = event.get("level")
    about = {
        "audit.verb": verb if verb in METHODS else "other",
        "audit.level": level if level in _LEVELS else "other",
    }
    other = fields.text(fields.part(event, "impersonatedUser"), "username")
    return Caller(user, other, about)


def _client(event: dict[str, Any], user: str | None) -> Endpoint | None:
    """The client's end, by the first of the addresses, with namespace and pod if a pod's token names them.
    The port is not reported, so it is 0.
    """
    addresses = event.get("sourceIPs")
    first = addresses[0] if isinstance(addresses, list) and addresses else None
    ip = fields.ip(first) if isinstance(first, str) else None
    if ip is None:
        return None
    namespace = None
    if user is not None and user.startswith(_SERVICE_ACCOUNT):
        namespace = _name(user.removeprefix(_SERVICE_ACCOUNT).partition(":")[0])
    pods = fields.part(fields.part(event, "user"), "extra").get(_POD)
    pod = _name(pods[0]) if isinstance(pods, list) and pods and isinstance(pods[0], str) else None
    return Endpoint(ip, 0, pod=pod, namespace=namespace)


def _name(text: str) -> str | None:
    return text if _NAME.fullmatch(text) else None
