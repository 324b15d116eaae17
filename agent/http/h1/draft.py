"""An exchange whose messages are being read, and how much of it was seen once it is finished."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.http.h1.facts import RequestDone, ResponseDone
from agent.http.messages import Completeness, Exchange, Request, Response, header

MAX_INTERIM = 16
"""Kept 1xx statuses of one response."""

OVERHEAD, FIELD_OVERHEAD = 1024, 160
"""Bytes of the objects of a request and of each of its fields (CPython), beside their text."""

_BY_SEVERITY = (
    Completeness.COMPLETE,
    Completeness.TRUNCATED,
    Completeness.GAP,
    Completeness.INCOMPLETE,
)


@dataclass(slots=True, eq=False)
class PairDraft:
    """An incomplete exchange. `fenced`: requests before it may have passed unseen. `given_up`: no response
    will be paired with it, since one may have been lost. `absolute` is the exchange's.
    """

    ordinal: int
    start_ns: int
    method: bytes | None
    absolute: bool
    fenced: bool = False
    given_up: bool = False
    switch: bytes | None = None  # the protocol its request offers to switch to
    upgraded: bytes | None = None
    request: Request | None = None
    response: Response | None = None
    request_cut: Completeness = Completeness.COMPLETE
    response_cut: Completeness = Completeness.COMPLETE
    error: str | None = None
    interim: tuple[int, ...] = ()
    held: int = 0  # what the pairer has counted of its memory

    @property
    def memory(self) -> int:
        """Bytes of memory of the request, roughly."""
        request = self.request
        if request is None:
            return OVERHEAD
        fields = sum(len(name) + len(value) + FIELD_OVERHEAD for name, value in request.headers)
        return OVERHEAD + fields + len(request.target) + len(request.body.data)

    def add_request(self, fact: RequestDone) -> None:
        """Adds the request, which is over."""
        self.request, self.request_cut = fact.request, fact.cut
        self.error = self.error or fact.error

    def add_interim(self, status: int) -> None:
        """Adds a 1xx response; beyond the bound it is dropped."""
        if len(self.interim) < MAX_INTERIM:
            self.interim += (status,)

    def add_response(self, fact: ResponseDone) -> None:
        """Adds the final response, which is over; it decides whether the protocol is switched."""
        response = fact.response
        self.response = replace(response, interim=self.interim) if self.interim else response
        self.response_cut = fact.cut
        self.error = self.error or fact.error
        if response.status == 101:
            self.upgraded = header(response.headers, b"upgrade") or self.switch or b"unknown"
        elif self.method == b"CONNECT" and 200 <= response.status < 300:
            self.upgraded = b"CONNECT"

    def exchange(self, without_request: Completeness, without_response: Completeness) -> Exchange:
        """The exchange as it is now. Without a request or a response, its completeness is the given one."""
        if self.error is not None:
            seen = Completeness.MALFORMED
        elif self.request is None:
            seen = without_request
        elif self.response is None:
            cut = self.request_cut
            seen = cut if cut is Completeness.INCOMPLETE else without_response
        else:
            seen = max(self.request_cut, self.response_cut, key=_BY_SEVERITY.index)
        return Exchange(
            self.ordinal,
            self.request,
            self.response,
            seen,
            self.upgraded,
            self.error,
            absolute=self.absolute,
        )
