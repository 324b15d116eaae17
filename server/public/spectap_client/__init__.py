"""The client of spectap's HTTP API: `from spectap_client import Spectap`.

It needs httpx and msgspec (`pip install 'spectap-….whl[client]'`) and nothing else of spectap.
"""

from server.client.coverage_models import Coverage, Gaps
from server.client.errors import (
    AddressError,
    AnswerUnreadable,
    CertificateNotTrusted,
    NotOnServer,
    NotSpectap,
    RequestRefused,
    ServerUnreachable,
    SpectapError,
    TokenRejected,
    WrongQuery,
)
from server.client.exchange_models import Bytes, Exchange
from server.client.models import (
    Agent,
    Api,
    ConsumerCalls,
    ConsumerOperation,
    Ledger,
    Operation,
    SpecInfo,
    Stats,
    StoredDeviation,
    Uploaded,
    Version,
    VersionDiff,
)
from server.client.spectap import Spectap

__all__ = [
    "AddressError",
    "Agent",
    "AnswerUnreadable",
    "Api",
    "Bytes",
    "CertificateNotTrusted",
    "ConsumerCalls",
    "ConsumerOperation",
    "Coverage",
    "Exchange",
    "Gaps",
    "Ledger",
    "NotOnServer",
    "NotSpectap",
    "Operation",
    "RequestRefused",
    "ServerUnreachable",
    "SpecInfo",
    "Spectap",
    "SpectapError",
    "Stats",
    "StoredDeviation",
    "TokenRejected",
    "Uploaded",
    "Version",
    "VersionDiff",
    "WrongQuery",
]
