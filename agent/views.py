"""Views before redaction: a captured or reported exchange and its provenance.

`Redaction` is the agent's last stage: a view becomes a redacted record, or is counted as one that could not
be redacted.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from agent import wire
from agent.events import PACKET, Clock, Role
from agent.frozen import dataclass as fact
from agent.http.messages import Body, BodyState, Exchange, Request, Response
from agent.ledger import Exchanges, Ledger, Steps
from agent.redact.redactor import Provenance
from agent.sources.reported import Reported
from agent.streams.conversation import ConnectionInfo

log = logging.getLogger(__name__)

Message = TypeVar("Message", Request, Response)

PLAIN = frozenset({"socket", PACKET})
SIDES = {Role.CLIENT: "client", Role.SERVER: "server"}


@dataclass(frozen=True, slots=True)
class Origin:
    """The agent whose views these are, and where it runs."""

    agent: str
    node: str
    cluster: str | None


@fact(frozen=True, slots=True)
class Settled:
    """A captured exchange with its ends and process as known when it was complete; later events may change
    those.

    `local` is the end of `process`. `clock` is None if the source has not reported how its times relate to
    the wall clock; `now_ns` is the time of the event that completed it. `via` is the record's.
    """

    connection: ConnectionInfo
    exchange: Exchange
    local: wire.Endpoint | None
    peer: wire.Endpoint | None
    process: wire.Process | None
    clock: Clock | None
    now_ns: int
    via: wire.Endpoint | None = None


class MakesRecords(Protocol):
    """A redactor, or what makes records for a judgement in the same process."""

    def record(
        self, exchange: Exchange, provenance: Provenance, aggregation_headers: tuple[str, ...] = ()
    ) -> wire.Record:
        """The record of an exchange."""
        ...


class Redaction:
    """Makes the records of one origin."""

    def __init__(self, origin: Origin, redactor: MakesRecords, ledger: Ledger) -> None:
        self._origin, self._redactor, self._ledger = origin, redactor, ledger
        self.bodies = True
        """Whether bodies are kept; those left out are counted."""

    def record(
        self, view: Settled | Reported, aggregation_headers: tuple[str, ...] = ()
    ) -> wire.Record | None:
        """The view's record; None if redaction fails, which is counted. The caller counts the record as
        parsed, together with its next bucket. `aggregation_headers` are those of the pods at its ends.
        """
        exchange = view.exchange if self.bodies else self._without_bodies(view.exchange)
        try:
            return self._redactor.record(exchange, self._provenance(view), aggregation_headers)
        except Exception as error:
            # What cannot be redacted must not leave the node; only the error's type may be logged.
            self._ledger.exchanges.update((Exchanges.PARSED, Exchanges.REDACTION_FAILED))
            log.error("an exchange could not be redacted and was dropped: %s", type(error).__name__)
            return None

    def _without_bodies(self, exchange: Exchange) -> Exchange:
        messages = (exchange.request, exchange.response)
        connection = exchange.websocket
        has_texts = connection is not None and bool(connection.texts)
        if not has_texts and not any(message is not None and _has_body(message) for message in messages):
            return exchange
        self._ledger.steps[Steps.BODIES_LEFT_OUT] += 1
        request, response = messages
        return replace(
            exchange,
            request=None if request is None else _head(request),
            response=None if response is None else _head(response),
            websocket=None if connection is None else replace(connection, texts=()),
        )

    def _provenance(self, view: Settled | Reported) -> Provenance:
        return self._captured(view) if isinstance(view, Settled) else self._reported(view)

    def _captured(self, view: Settled) -> Provenance:
        role, source = view.connection.role, view.connection.connection.source
        client, server = (view.local, view.peer) if role is Role.CLIENT else (view.peer, view.local)
        return Provenance(
            agent=self._origin.agent,
            node=self._origin.node,
            cluster=self._origin.cluster,
            offset_ns=0 if view.clock is None else view.clock.offset_ns,
            boot_id="" if view.clock is None else view.clock.boot_id,
            connection=view.connection.connection,
            side="unknown" if role is None or source == PACKET else SIDES[role],
            tls=None if source in PLAIN else source,
            client=None if role is None else client,
            server=None if role is None else server,
            process=view.process,
            seen_ns=view.now_ns,
            via=view.via,
        )

    def _reported(self, view: Reported) -> Provenance:
        """The provenance of a reported exchange, whose times are wall-clock."""
        return Provenance(
            agent=self._origin.agent,
            node=self._origin.node,
            cluster=self._origin.cluster,
            offset_ns=0,
            boot_id="",
            connection=view.connection,
            side=view.side,
            tls=None,
            client=view.client,
            server=view.server,
            process=None,
            timed=view.timed,
        )


def packed(record: wire.Record, ledger: Ledger) -> bytes | None:
    """The record as bytes; None if it cannot be packed, which is counted: one record ends no run."""
    try:
        return wire.pack_record(record)
    except Exception as error:
        ledger.exchanges.update((Exchanges.PARSED, Exchanges.PACKING_FAILED))
        log.error("a record could not be packed and was dropped: %s", type(error).__name__)
        return None


def _has_body(message: Request | Response) -> bool:
    return message.body.size != 0 or message.body.state is not BodyState.COMPLETE


def _head(message: Message) -> Message:
    """The message without its body, whose size stays."""
    if not _has_body(message):
        return message
    body = message.body
    return replace(message, body=Body(body.size, b"", BodyState.UNSEEN, body.coded))
