"""Parses pages as a browser does, to tell markup from text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx

INLINE = {"a", "code", "span", "time"}
OTHER = ("/api/", "/static/", "/logout", "/metrics", "/openapi.json", "/deprecated.csv")
LINKS = {"href", "src", "action", "data-url", "hx-get"}


@dataclass
class Read(HTMLParser):
    """Elements with their attributes, and all text."""

    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        self.text += "" if tag in INLINE else " "

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def links(self) -> list[str]:
        return [value for _, found in self.elements for name, value in found.items() if name in LINKS]

    @property
    def names(self) -> set[str]:
        """All tags and attributes in use."""
        return {tag for tag, _ in self.elements} | {name for _, found in self.elements for name in found}


def read(html: str) -> Read:
    page = Read()
    page.feed(html)
    page.close()
    return page


def crawled(http: httpx.Client, start: str = "/") -> Iterator[tuple[str, httpx.Response]]:
    """Every page that links lead to, each once; without the API's documents and files."""
    seen, waiting = {start}, [start]
    while waiting:
        address = waiting.pop()
        answer = http.get(address)
        yield address, answer
        for link in read(answer.text).links:
            link = link.partition("#")[0]
            if link.startswith("/") and not link.startswith(OTHER) and link not in seen:
                seen.add(link)
                waiting.append(link)
