"""One visitor: a browser page, with all errors, refusals and requests to other origins."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request

PATIENCE_MS = 60_000
NOTICE = """
    window.refused = [];
    addEventListener("securitypolicyviolation", (event) =>
        window.refused.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""


@dataclass
class Visit:
    """`refused` belongs to the current page; the other lists to all pages visited."""

    page: Page
    origin: str
    errors: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    astray: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        self.page.goto(self.origin + path)
        return self.page

    @property
    def refused(self) -> list[str]:
        """What the policy refused on the current page."""
        return list(self.page.evaluate("window.refused"))

    def assert_quiet(self) -> None:
        """Asserts that nothing failed, was refused, or was sent to another origin."""
        assert (self.errors, self.refused, self.dialogs, self.astray) == ([], [], [], [])

    def on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def on_dialog(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def on_request(self, request: Request) -> None:
        self.asked.append(request.url)
        if not request.url.startswith((f"{self.origin}/", "data:")):
            self.astray.append(request.url)


@contextmanager
def visiting(browser: Browser, origin: object, **options: Any) -> Iterator[Visit]:
    """A visitor without cookies, at `origin`."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
    context.set_default_timeout(PATIENCE_MS)
    if options.get("java_script_enabled", True):
        context.add_init_script(NOTICE)
    visit = Visit(context.new_page(), str(origin).rstrip("/"))
    visit.page.on("console", visit.on_console)
    visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
    visit.page.on("dialog", visit.on_dialog)
    visit.page.on("request", visit.on_request)
    try:
        yield visit
    finally:
        context.close()


@contextmanager
def elsewhere() -> Iterator[str]:
    """Another origin. Asserts at the end that nobody connected to it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.setblocking(False)
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return
        raise AssertionError("something was fetched from elsewhere")
