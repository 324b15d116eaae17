"""A short-lived urllib client: one call, the response written to a file."""

from __future__ import annotations

import argparse
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

from tests.e2e.observations import AGGREGATION_HEADER


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("id")
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    request = Request(options.url, headers={AGGREGATION_HEADER: options.id})
    with build_opener(ProxyHandler({})).open(request, timeout=60) as answer:
        options.output.write_bytes(answer.read())


if __name__ == "__main__":
    main()
