"""In a pod: makes calls to a host, `call.py HOST CALL...`, where a CALL is http or https, a port, and an id,
joined by colons. Prints the id of each that was answered.
"""

from __future__ import annotations

import ssl
import sys
from urllib.request import Request, urlopen


def main() -> None:
    host, *calls = sys.argv[1:]
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    for call in calls:
        scheme, port, name = call.split(":")
        request = Request(
            f"{scheme}://{host}:{port}/calls/{name}", b'{"quantity": 1}', {"host": "orders.test"}
        )
        with urlopen(request, timeout=60, context=unchecked if scheme == "https" else None) as answer:
            answer.read()
        sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main()
