"""The connection of commands to a server: retried for a while, then one sentence."""

from __future__ import annotations

import argparse
import re
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx
from msgspec import MsgspecError
from msgspec.json import Decoder

PATIENCE_S = 30.0  # a restarting server is waited for
PAUSE_S = 0.5
ANSWER_S = 180.0  # on a busy machine a specification of 47 MB takes more than one minute
PAGE = 200  # items
_page = Decoder(dict[str, Any]).decode
Params = Mapping[str, str | list[str]]
NO_PARAMS: Params = MappingProxyType({})
MOST_DETAIL = 500  # characters of the server's message
CHECK = "check --server and whether the server is running"
LATER = frozenset({429, 500, 502, 503, 504})


class RemoteError(Exception):
    """The server did not fulfil a request; the message is one sentence with the cure."""


class AddressError(ValueError):
    """The value is no valid server address or token."""


def add_options(parser: argparse.ArgumentParser, role: str) -> None:
    """Adds `--server` and `--token-file`; `role` is the token's."""
    parser.add_argument("--server", required=True, metavar="URL", help="such as http://127.0.0.1:8080")
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help=f"file with the server's {role} token, if it has one"
    )
    parser.add_argument(
        "--ca-file",
        type=Path,
        metavar="FILE",
        help="file with the authorities that may vouch for an https:// server (default: the public ones)",
    )
    if role == "ingest":
        parser.add_argument(
            "--client-cert",
            type=Path,
            metavar="FILE",
            help="file with a certificate, if the server wants one",
        )
        parser.add_argument("--client-key", type=Path, metavar="FILE", help="file with its private key")


def trust(parsed: argparse.Namespace) -> ssl.SSLContext | None:
    """What the options say about TLS; None for the defaults. Raises AddressError."""
    certificate, key = getattr(parsed, "client_cert", None), getattr(parsed, "client_key", None)
    if (certificate is None) != (key is None):
        raise AddressError("--client-cert and --client-key belong together: give both, or neither")
    if parsed.ca_file is None and certificate is None:
        return None
    try:
        if parsed.ca_file is None:
            context = httpx.create_ssl_context(trust_env=False)
        else:
            context = ssl.create_default_context(cafile=parsed.ca_file)
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # an older authority has no key identifiers
        if certificate is not None:
            context.load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError) as error:
        raise AddressError(f"--ca-file or --client-cert cannot be used for TLS: {error}") from None
    return context


def connected(parsed: argparse.Namespace) -> Remote:
    """The server that the options of `add_options` name. Raises AddressError."""
    return Remote(parsed.server, parsed.token_file, tls=trust(parsed))


class Remote:
    """The server at `url`. Use it as a context. Raises AddressError."""

    def __init__(
        self,
        url: str,
        token_file: Path | None,
        patience_s: float = PATIENCE_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise AddressError("--server takes an http:// or https:// URL")
        self._shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._patience_s = patience_s
        headers = {} if token_file is None else {"authorization": f"Bearer {token_in(token_file)}"}
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
        """Sends a request. Raises RemoteError. The request may arrive twice."""
        return self._done(self._http.build_request(method, path, content=content, headers=headers))

    def get(self, path: str, params: Params) -> httpx.Response:
        """Requests `path`. Raises RemoteError."""
        return self._done(self._http.build_request("GET", path, params=params))

    def items(
        self, path: str, params: Params = NO_PARAMS, decode: Callable[[bytes], Any] = _page
    ) -> Iterator[Any]:
        """All items of a list, page by page; `decode` reads `items` and `next` of a page. Raises
        RemoteError.
        """
        cursor: dict[str, str] = {}
        while True:
            answer = self.get(path, {**params, "limit": str(PAGE), **cursor})
            try:
                page = decode(answer.content)
            except MsgspecError as error:
                raise RemoteError(f"the answer of {self._shown} cannot be read: {error}") from None
            yield from page["items"]
            if page["next"] is None:
                return
            cursor = {"cursor": page["next"]}

    def _done(self, request: httpx.Request) -> httpx.Response:
        until, pause, said = time.monotonic() + self._patience_s, PAUSE_S, False
        while True:
            try:
                response = self._sent(request)
                if response.status_code not in LATER or _is_final(response):
                    return self._good(response)
                detail = _detail(response)
                why = detail or f"HTTP {response.status_code}"
                trouble = f"answers HTTP {response.status_code}: {detail or CHECK}"
            except httpx.HTTPError as error:
                why = _why(error)
                trouble = f"cannot be reached ({why}): {CHECK}"
            if time.monotonic() + pause > until:
                raise RemoteError(f"the server at {self._shown} {trouble}")
            if not said:
                said = self._print_waiting(why)
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

    def _print_waiting(self, why: str) -> bool:
        giving_up = f"giving up in {self._patience_s:.0f} s"
        sys.stderr.write(f"waiting for the server at {self._shown}: {why}; {giving_up}\n")
        sys.stderr.flush()
        return True

    def _good(self, response: httpx.Response) -> httpx.Response:
        if response.is_success:
            return response
        status, detail = response.status_code, _detail(response)
        says = f" ({detail})" if detail else ""
        if status in (401, 403):
            raise RemoteError(
                f"the server at {self._shown} rejected the request:"
                f" give --token-file with a valid token{says}"
            )
        if status == 404 and _is_problem(response):
            raise RemoteError(f"the server at {self._shown}: {detail or 'not found'}")
        if status in (404, 405) or response.is_redirect:
            raise RemoteError(f"{self._shown} is not a spectap server: check --server{says}")
        reason = detail or "no reason given"
        raise RemoteError(f"the server at {self._shown} refused (HTTP {status}): {reason}")


def _is_final(response: httpx.Response) -> bool:
    """Whether a 502 is the server's own, about a service it fetched from, and not a gateway's."""
    return response.status_code == HTTPStatus.BAD_GATEWAY and _is_problem(response)


def _is_problem(response: httpx.Response) -> bool:
    """Whether this is a server's own answer (RFC 9457)."""
    kind: str = response.headers.get("content-type", "")
    return kind.startswith("application/problem+json")


def _why(error: httpx.HTTPError) -> str:
    """The operating system's reason for a failed connection; else the kind of failure."""
    text = (
        re.fullmatch(r"\[Errno -?\d+\] (.+)", str(error)) if isinstance(error, httpx.ConnectError) else None
    )
    return _plain(text[1].lower()) if text else type(error).__name__


def _detail(response: httpx.Response) -> str | None:
    """The detail of the server's problem document, printable."""
    try:
        found = response.json()
    except ValueError:
        found = None
    detail = found.get("detail") if isinstance(found, dict) else None
    return _plain(detail[:MOST_DETAIL]) if isinstance(detail, str) else None


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def token_in(path: Path, option: str = "--token-file") -> str:
    """The token in the file named by an option. Raises AddressError."""
    try:
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise AddressError(f"{option} {path} cannot be read: {reason}") from None
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise AddressError(f"{option} {path} holds no token")
    return token
