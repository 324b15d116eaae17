"""What can go wrong when a server is asked; each message is one sentence with the cure."""

from __future__ import annotations

from dataclasses import dataclass


class SpectapError(Exception):
    """The server did not fulfil a request. The message is one printable line."""


class AddressError(SpectapError, ValueError):
    """The value is no valid server address, token or certificate: nothing was sent."""


class ServerUnreachable(SpectapError):
    """No answer, or a failure that a server may recover from, for as long as it was waited for."""


class CertificateNotTrusted(SpectapError):
    """No known authority vouches for the server's certificate."""


class TokenRejected(SpectapError):
    """The server wants a token, or another one (401, 403)."""


class NotOnServer(SpectapError):
    """The server has nothing with this id (404)."""


class WrongQuery(SpectapError):
    """A filter, query or order means nothing to the server (422)."""


class RequestRefused(SpectapError):
    """Another refusal; the message has the HTTP status."""


class NotSpectap(SpectapError):
    """What answers is no spectap server, or one without this part of the API."""


class AnswerUnreadable(SpectapError):
    """The answer is not what this version expects: it was cut, or comes from another version."""


@dataclass(frozen=True, slots=True)
class Cures:
    """What a person can do, in the words of the program that asks. `option` names the server's address."""

    address: str = "check the address, and whether the server is running"
    other: str = "check the address"
    token: str = "give a valid token"
    authority: str = "give the file of its authority as ca_file"
    option: str = "url"
