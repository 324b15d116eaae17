"""In a pod: asks the cluster's API for each of these paths, as an addon does. Prints the answers' status."""

from __future__ import annotations

import http.client
import os
import ssl
import sys
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def main() -> None:
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    trust.verify_flags &= ~ssl.VERIFY_X509_STRICT
    connection = http.client.HTTPSConnection(os.environ["KUBERNETES_SERVICE_HOST"], context=trust, timeout=60)
    token = (ACCOUNT / "token").read_text().strip()
    for path in sys.argv[1:]:
        connection.request("GET", path, headers={"authorization": f"Bearer {token}", "x-team": "blue"})
        answer = connection.getresponse()
        answer.read()
        sys.stdout.write(f"{answer.status}\n")


if __name__ == "__main__":
    main()
