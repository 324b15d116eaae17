"""How the agent recognises its server over TLS, and shows who it is itself.

The files are read again when they change, as Secrets and renewed certificates do.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

Stamp: TypeAlias = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class ServerTrust:
    """`ca` has the authorities that may vouch for the server, in place of the public ones; `certificate` and
    `key` are the agent's own.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def stamp(self) -> Stamp:
        """Changes with each of the files. Raises OSError."""
        files = (path.stat() for path in (self.ca, self.certificate, self.key) if path is not None)
        return tuple((file.st_mtime_ns, file.st_ino, file.st_size) for file in files)

    def context(self) -> ssl.SSLContext | None:
        """What the files say now; None where they replace no default. Raises OSError and ValueError.

        An authority of one's own may lack the key identifiers on which Python's strict checks (from 3.13 on)
        insist.
        """
        if self.ca is None and self.certificate is None:
            return None
        if self.ca is not None:
            context = ssl.create_default_context(cafile=self.ca)
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        else:
            from httpx import create_ssl_context  # checks of other options need no HTTP client

            context = create_ssl_context(trust_env=False)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key, password=lambda: "")
        return context


def tls_failure(error: BaseException | None) -> str | None:
    """Why TLS failed, in the library's words, if that is behind an error."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {error.verify_message}"
        if isinstance(error, ssl.SSLError) and error.reason:
            return f"TLS: {error.reason.lower().replace('_', ' ')}"
        error = error.__cause__ or error.__context__
    return None
