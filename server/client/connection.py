"""The connection to a server: retried for a while, then one sentence."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from msgspec import MsgspecError
from msgspec.json import Decoder

from server.client.errors import (
    AddressError,
    AnswerUnreadable,
    CertificateNotTrusted,
    Cures,
    NotOnServer,
    NotSpectap,
    RequestRefused,
    ServerUnreachable,
    TokenRejected,
    WrongQuery,
)

PATIENCE_S = 30.0  # a restarting server is waited for
PAUSE_S = 0.5
ANSWER_S = 180.0  # on a busy machine a specification of 47 MB takes more than one minute
PAGE = 200  # items
_page = Decoder(dict[str, Any]).decode
Params = Mapping[str, str | list[str]]
T = TypeVar("T")
NO_PARAMS: Params = MappingProxyType({})
MOST_DETAIL = 500  # characters of the server's message
LATER = frozenset({429, 500, 502, 503, 504})
NO_ROUTE = "Not Found"  # the detail of a path that the server does not have


def trust(
    ca_file: Path | None = None, client_cert: Path | None = None, client_key: Path | None = None
) -> ssl.SSLContext | None:
    """TLS with an authority of one's own, a certificate for oneself, or both; None for the defaults. Raises
    AddressError.
    """
    if ca_file is None and client_cert is None:
        return None
    try:
        if ca_file is None:
            context = httpx.create_ssl_context(trust_env=False)
        else:
            context = ssl.create_default_context(cafile=ca_file)
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # an older authority has no key identifiers
        if client_cert is not None:
            context.load_cert_chain(client_cert, client_key, password=lambda: "")
    except (OSError, ValueError) as error:
        raise AddressError(
            f"the authorities or the certificate cannot be used for TLS: {plain(str(error))}"
        ) from None
    return context


class Remote:
    """The server at `url`. Use it as a context. `waiting` receives one sentence if an answer takes several
    attempts. Raises AddressError.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        patience_s: float = PATIENCE_S,
        tls: ssl.SSLContext | None = None,
        cures: Cures = Cures(),  # noqa: B008  (frozen)
        waiting: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._shown = _shown(url, cures.option)
        self._patience_s = patience_s
        self._cures = cures
        self._waiting = waiting
        if token is not None:
            check_token(token, "the token")
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        self._http = httpx.Client(
            base_url=url.rstrip("/") + "/api/v1",
            headers={"user-agent": "spectap", **headers},
            timeout=ANSWER_S,
            trust_env=False,
            verify=True if tls is None else tls,
        )

    def __enter__(self) -> Remote:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def send(
        self, method: str, path: str, content: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Sends a request. Raises SpectapError. The request may arrive twice."""
        return self._done(self._http.build_request(method, path, content=content, headers=headers))

    def get(self, path: str, params: Params = NO_PARAMS) -> httpx.Response:
        """Requests `path`. Raises SpectapError."""
        return self._done(self._http.build_request("GET", path, params=params))

    def read(self, path: str, params: Params, decode: Callable[[bytes], T]) -> T:
        """What `decode` makes of the answer. Raises SpectapError."""
        return self.decoded(self.get(path, params), decode)

    def decoded(self, answer: httpx.Response, decode: Callable[[bytes], T]) -> T:
        """What `decode` makes of an answer. Raises AnswerUnreadable."""
        try:
            return decode(answer.content)
        except MsgspecError as error:
            text = f"the answer of {self._shown} cannot be read: {plain(str(error))}"
            raise AnswerUnreadable(f"{text}; it may be of another version than this client") from None

    def items(
        self,
        path: str,
        params: Params = NO_PARAMS,
        decode: Callable[[bytes], Any] = _page,
        limit: int | None = None,
    ) -> Iterator[Any]:
        """All items of a list, or the first `limit`, page by page; `decode` reads `items` and `next` of a
        page. Raises SpectapError.
        """
        cursor: dict[str, str] = {}
        left = limit
        while left is None or left > 0:
            wanted = PAGE if left is None else min(PAGE, left)
            page = self.read(path, {**params, "limit": str(wanted), **cursor}, decode)
            items, following = self._parts(page)
            yield from items
            left = None if left is None else left - len(items)
            if following is None:
                return
            cursor = {"cursor": following}

    def _parts(self, page: Any) -> tuple[list[Any], str | None]:
        try:
            return (page["items"], page["next"]) if isinstance(page, dict) else (page.items, page.next)
        except KeyError:
            raise AnswerUnreadable(
                f"the answer of {self._shown} cannot be read: it is no list: {self._cures.other}"
            ) from None

    def _done(self, request: httpx.Request) -> httpx.Response:
        until, pause, said = time.monotonic() + self._patience_s, PAUSE_S, False
        while True:
            try:
                response = self._sent(request)
                if response.status_code not in LATER or _is_final(response):
                    return self._good(response)
                detail = _detail(response)
                why = detail or f"HTTP {response.status_code}"
                trouble = f"answers HTTP {response.status_code}: {detail or self._cures.address}"
            except httpx.HTTPError as error:
                self._check_trust(error)
                why = _why(error)
                trouble = f"cannot be reached ({why}): {self._cures.address}"
            if time.monotonic() + pause > until:
                raise ServerUnreachable(f"the server at {self._shown} {trouble}")
            if not said:
                giving_up = f"giving up in {self._patience_s:.0f} s"
                self._waiting(f"waiting for the server at {self._shown}: {why}; {giving_up}")
                said = True
            time.sleep(pause)
            pause = min(2 * pause, 4.0)

    def _sent(self, request: httpx.Request) -> httpx.Response:
        """The response, also where an earlier id is redirected to the present one on the same server."""
        response = self._http.send(request)
        there = response.next_request
        if response.status_code != HTTPStatus.PERMANENT_REDIRECT or there is None:
            return response
        here = (there.url.scheme, there.url.netloc) == (request.url.scheme, request.url.netloc)
        return self._http.send(there) if here else response

    def _check_trust(self, error: httpx.HTTPError) -> None:
        """Raises CertificateNotTrusted if that is the cause: waiting would not help."""
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                reason = plain(cause.verify_message.lower())
                raise CertificateNotTrusted(
                    f"the certificate of {self._shown} is not trusted ({reason}): {self._cures.authority}"
                ) from None
            cause = cause.__cause__ or cause.__context__

    def _good(self, response: httpx.Response) -> httpx.Response:
        if response.is_success:
            return response
        status, detail = response.status_code, _detail(response)
        says = f" ({detail})" if detail else ""
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise TokenRejected(
                f"the server at {self._shown} rejected the request: {self._cures.token}{says}"
            )
        if status == HTTPStatus.NOT_FOUND and _is_problem(response) and detail != NO_ROUTE:
            raise NotOnServer(f"the server at {self._shown}: {detail or 'not found'}")
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED) and _is_problem(response):
            path = plain(response.request.url.path)
            raise NotSpectap(
                f"the server at {self._shown} has no {path}: it is of another version than this client"
            )
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED) or response.is_redirect:
            raise NotSpectap(f"{self._shown} is not a spectap server: {self._cures.other}{says}")
        reason = detail or "no reason given"
        if status == HTTPStatus.UNPROCESSABLE_ENTITY and reason.startswith("query."):
            raise WrongQuery(f"the server at {self._shown} refused (HTTP 422): {reason[6:]}")
        raise RequestRefused(f"the server at {self._shown} refused (HTTP {status}): {reason}")


def _shown(url: str, option: str) -> str:
    """The address without user-info, which may hold a password. Raises AddressError."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  (it raises)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AddressError(f"{option} takes an http:// or https:// URL")
    return plain(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")


def _is_final(response: httpx.Response) -> bool:
    """Whether a 502 is the server's own, about a service it fetched from, and not a gateway's."""
    return response.status_code == HTTPStatus.BAD_GATEWAY and _is_problem(response)


def _is_problem(response: httpx.Response) -> bool:
    """Whether this is a server's own answer (RFC 9457)."""
    kind: str = response.headers.get("content-type", "")
    return kind.startswith("application/problem+json")


def _why(error: httpx.HTTPError) -> str:
    """The operating system's reason for a failed connection; else the kind of failure."""
    if isinstance(error, httpx.RemoteProtocolError):
        return "it ended its answer early, or does not speak HTTP"
    if isinstance(error, httpx.TimeoutException):
        return "it does not answer in time"
    text = (
        re.fullmatch(r"\[Errno -?\d+\] (.+)", str(error)) if isinstance(error, httpx.ConnectError) else None
    )
    if text is None and "[SSL" in str(error):
        return "it does not speak TLS as this client does"
    return plain(text[1].lower()) if text else type(error).__name__


def _detail(response: httpx.Response) -> str | None:
    """The detail of the server's problem document, printable."""
    try:
        found = response.json()
    except ValueError:
        found = None
    detail = found.get("detail") if isinstance(found, dict) else None
    return plain(detail[:MOST_DETAIL]) if isinstance(detail, str) else None


def plain(text: str) -> str:
    """Text on one line, with what cannot be printed escaped."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def token_in(path: Path, option: str = "--token-file") -> str:
    """The token in a file, which an option names. Raises AddressError."""
    try:
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise AddressError(f"{option} {path} cannot be read: {reason}") from None
    check_token(token, f"{option} {path}")
    return token


def check_token(token: str, where: str) -> None:
    """Raises AddressError, without the token, if it cannot be one."""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise AddressError(f"{where} holds no token")
