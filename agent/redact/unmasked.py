"""Records of exchanges as they are, for a command that judges them where it reads them.

A judgement says what differs and where, and holds no value of the exchange; on the values themselves it is
better than on placeholders. Such a record never leaves the process. Of it some things are masked at once,
since reports name them: method, host, content type and consumer. What else a report names, `PrintableNames`
masks when it is first printed.
"""

from __future__ import annotations

from functools import lru_cache

from agent import wire
from agent.http.messages import Body, BodyState, Exchange, Headers, Request, Response
from agent.redact import consumer, credentials, redactor, urls
from agent.redact.bodies import decoded
from agent.redact.headers import HeaderMasks, HeaderMemory
from agent.redact.mask_log import MaskLog
from agent.redact.names import Names
from agent.redact.policy import Policy
from agent.redact.redactor import Provenance
from agent.redact.text import TextMasker

MAX_REMEMBERED = 1024  # hosts and content types, since neighbouring exchanges share them
_EMPTY = wire.Body(0, b"", BodyState.COMPLETE)


class Unmasked:
    """Makes such records. They have no identity, times, fingerprint or sub-operations."""

    def __init__(self, policy: Policy) -> None:
        self.masker = TextMasker(Names(policy.mask_names, policy.keep_names))
        self._policy = policy
        self._headers = HeaderMemory(self.masker, policy)
        self._authority = lru_cache(MAX_REMEMBERED)(_authority)
        self._content_type = lru_cache(MAX_REMEMBERED)(self._masked_type)
        self._told_by = lru_cache(MAX_REMEMBERED)(self._masked_consumer)
        self._may_carry = lru_cache(MAX_REMEMBERED)(self._has_carrier)

    def record(
        self, exchange: Exchange, provenance: Provenance, aggregation_headers: tuple[str, ...] = ()
    ) -> wire.Record:
        """The record of `exchange`, grouped as `Redactor` does. Malformed traffic never raises."""
        groups = self._headers.aggregation_headers(aggregation_headers)
        asked, answered = exchange.request, exchange.response
        named = {} if asked is None else _by_name(asked.headers)
        return wire.Record(
            "",
            provenance.agent,
            provenance.node,
            provenance.cluster,
            0,
            0,
            redactor.protocol_of(exchange),
            provenance.tls,
            provenance.side,
            "",
            exchange.ordinal,
            provenance.client,
            provenance.server,
            provenance.process,
            None if asked is None else self._request(asked, named, provenance),
            None if answered is None else self._response(answered),
            redactor.UNTIMED,
            wire.Consumer() if asked is None else self._consumer(exchange, asked, named, groups),
            exchange.completeness.value,
            redactor.upgraded_of(exchange.upgraded),
            fields_unknown=exchange.fields_unknown,
        )

    def _request(self, request: Request, named: dict[bytes, bytes], provenance: Provenance) -> wire.Request:
        target = urls.split_target(request.target)
        if request.method == b"CONNECT":
            target = urls.mask_target(request.target, self.masker, MaskLog(), connect=True)
        authority = target.authority or request.authority or named.get(b"host")
        return wire.Request(
            redactor.method_of(request.method),
            target.scheme or redactor.scheme_of(request) or ("https" if provenance.tls else "http"),
            None if authority is None else self._authority(authority),
            target.path,
            target.query,
            request.headers,
            request.trailers,
            self._body(request.body, request.headers),
            self._type_of(named),
        )

    def _response(self, response: Response) -> wire.Response:
        return wire.Response(
            response.status,
            response.headers,
            response.trailers,
            self._body(response.body, response.headers),
            self._type_of(_by_name(response.headers)),
            response.interim,
        )

    def _body(self, body: Body, headers: Headers) -> wire.Body:
        if body.size == 0 and body.state is BodyState.COMPLETE:
            return _EMPTY
        kept = decoded(body, headers, self._policy)
        shown = kept.data if kept.data or kept.state is BodyState.COMPLETE else None
        return wire.Body(kept.size, shown, kept.state)

    def _consumer(
        self, exchange: Exchange, request: Request, named: dict[bytes, bytes], groups: tuple[str, ...]
    ) -> wire.Consumer:
        """Hints at who called, masked, and without fingerprints."""
        caller, name = exchange.caller, None
        if caller is not None or not consumer.VOUCHING.isdisjoint(named):
            name = consumer.vouched_name(exchange, request.headers, self.masker)
        if caller is not None:
            scheme = consumer.caller_scheme(caller)
        elif value := named.get(b"authorization", b"").strip():
            scheme = credentials.scheme_of(value)
        else:
            query = request.target.partition(b"?")[2]
            if query or self._may_carry(tuple(named)):
                scheme = credentials.scheme(request.headers, query, self.masker)
            else:
                scheme = None
        wanted = (consumer.AGENT, *[group.encode() for group in groups])
        told = tuple([(one, named[one]) for one in wanted if one in named])
        return self._told_by(told, groups, scheme, name)

    def _masked_consumer(
        self, told: wire.Pairs, groups: tuple[str, ...], scheme: str | None, name: str | None
    ) -> wire.Consumer:
        """Remembered, since neighbouring exchanges are of few consumers."""
        masked = HeaderMasks(self._headers, MaskLog(), "", groups).masked(told)
        return consumer.told_by(masked, groups, credentials.Credential(scheme), name)

    def _has_carrier(self, names: tuple[bytes, ...]) -> bool:
        return credentials.may_carry(names, self.masker)

    def _type_of(self, named: dict[bytes, bytes]) -> str | None:
        raw = named.get(b"content-type")
        return None if raw is None else self._content_type(raw)

    def _masked_type(self, raw: bytes) -> str | None:
        masks = HeaderMasks(self._headers, MaskLog(), "")
        return redactor.content_type_of(masks.masked(((b"content-type", raw),)))


def _by_name(headers: Headers) -> dict[bytes, bytes]:
    """The first value of each header, by its name in lower case."""
    return {name.lower(): value for name, value in reversed(headers)}


def _authority(raw: bytes) -> bytes:
    return urls.mask_authority(raw, MaskLog())
