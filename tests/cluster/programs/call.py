"""In a pod: posts to each of the given URLs. Prints the last element of each that was answered."""

from __future__ import annotations

import ssl
import sys
from urllib.request import Request, urlopen


def main() -> None:
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    for url in sys.argv[1:]:
        request = Request(url, b'{"quantity": 1}', {"content-type": "application/json"})
        with urlopen(request, timeout=60, context=unchecked if url.startswith("https") else None) as answer:
            answer.read()
        sys.stdout.write(f"{url.rpartition('/')[2]}\n")


if __name__ == "__main__":
    main()
