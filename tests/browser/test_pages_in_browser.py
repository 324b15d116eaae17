"""What a person sees, and what captured data must not do in their browser."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from server.analysis.specs.load import load
from server.config import digest
from tests.browser.visits import PATIENCE_MS, elsewhere, visiting
from tests.server.records import both
from tests.server.running import Client, serving, wait_for
from tests.server.ui.reading import crawled
from tests.server.ui.shop import CANARY, NAME, describe, filled, hostile, hostile_spec, only_api

pytestmark = pytest.mark.browser

expect.set_options(timeout=PATIENCE_MS)


def rows(page: Page, heading: str) -> list[str]:
    """The rows of the table under this heading, as text."""
    found = page.get_by_role("table", name=heading, exact=True).locator("tbody tr")
    expect(found.first).to_be_visible()
    return [re.sub(r"\s+", " ", text) for text in found.all_inner_texts()]


def pages_of(client: Client) -> list[str]:
    """The addresses of all pages but those that Swagger UI lays out."""
    return [
        address
        for address, answer in crawled(client.http)
        if "/spec" not in address and address != "/docs" and "html" in answer.headers["content-type"]
    ]


def test_the_overview_leads_to_an_apis_operations_and_to_a_deviations_exchange(
    browser: Browser, client: Client
) -> None:
    filled(client)
    with visiting(browser, client.http.base_url) as visit:
        page = visit.open("/")
        (worst,) = rows(page, "Furthest from their specification")
        assert worst.startswith("Shop nginx:8080 1 ")
        page.get_by_role("link", name="1", exact=True).first.click()
        (api,) = rows(page, "APIs")
        assert re.match(r"nginx:8080 internal shop.local:8080 4 3 .*1 shadow.* Shop ", api)
        page.get_by_role("link", name="nginx:8080").click()
        operations = rows(page, "Operations")
        assert {re.split(r" \d", one)[0] for one in operations} == {
            "GET /users/{id}",
            "GET /carts deprecated",
            "GET /admin undocumented",
        }
        page.get_by_role("row", name="unknown-parameter").get_by_role("link", name="exchange").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("/users/2?colour=red")
        assert [one.split()[0] for one in rows(page, "Views")] == ["client", "server"]
        visit.assert_quiet()


def test_a_specification_is_laid_out_and_nothing_can_be_sent_from_it(
    browser: Browser, client: Client
) -> None:
    api = filled(client)
    with visiting(browser, client.http.base_url) as visit:
        page = visit.open(f"/apis/{api}/spec")
        blocks = page.locator(".opblock")
        expect(blocks).to_have_count(2)
        texts = [re.sub(r"\s+", " ", text.replace("\u200b", "")) for text in blocks.all_inner_texts()]
        assert [text.strip() for text in texts] == ["GET /users/{id}", "GET /carts"]
        blocks.first.get_by_role("button").first.click()
        expect(blocks.first).to_contain_text("The user")
        expect(blocks.first.locator(".model-example")).to_be_visible()
        assert page.get_by_role("button", name=re.compile("try it out|authorize|execute", re.I)).count() == 0
        visit.assert_quiet()


def test_a_hostile_specification_runs_nothing_and_fetches_nothing(browser: Browser, client: Client) -> None:
    client.send(*both())
    api = only_api(client)
    with elsewhere() as other, visiting(browser, client.http.base_url) as visit:
        describe(client, hostile_spec(other), f"/apis/{api}/spec")
        page = visit.open(f"/apis/{api}/spec")
        expect(page.locator(".info .description")).to_contain_text("{{7777*7777}}")
        block = page.locator(".opblock").first
        block.get_by_role("button").first.click()
        expect(block.locator(".parameters")).to_contain_text("{{7777*7777}}")
        for link in page.locator("#swagger a").all():
            assert not (link.get_attribute("href") or "").strip().lower().startswith("javascript:")
        for found in ("script", "iframe", "form", "[onerror]", "[onload]"):
            assert page.locator(f"#swagger {found}").count() == 0, found
        assert page.evaluate(f"window.{NAME}") is None
        assert visit.dialogs == []
        assert len([url for url in visit.asked if "/api/" in url]) == 1  # the document only
        assert page.url == f"{visit.origin}/apis/{api}/spec"


def test_no_captured_value_runs_on_any_page(browser: Browser, client: Client) -> None:
    client.send(*hostile())
    describe(client, hostile_spec("http://127.0.0.1:9"), f"/apis/{only_api(client)}/spec")
    wait_for(lambda: client.items("/deviations"), "deviation")
    addresses = pages_of(client)
    assert len(addresses) >= 6
    with visiting(browser, client.http.base_url) as visit:
        for address in addresses:
            page = visit.open(address)
            assert page.evaluate(f"window.{NAME}") is None
            visit.assert_quiet()
        assert CANARY in visit.open("/exchanges").inner_text("main")


def test_new_calls_appear_without_a_reload(browser: Browser, client: Client) -> None:
    filled(client)
    with visiting(browser, client.http.base_url) as visit:
        page = visit.open("/")
        page.evaluate("window.loaded = 1")
        client.send(*both(9, start=time.time_ns(), path="/unheard-of"))
        expect(page.get_by_role("table", name="New in 24 hours")).to_contain_text("/unheard-of")
        assert page.evaluate("window.loaded") == 1
        visit.assert_quiet()


def test_a_selection_survives_refreshes_and_a_server_that_is_gone_is_reported(
    browser: Browser, tmp_path: Path
) -> None:
    with serving(tmp_path, load) as server, visiting(browser, server.http.base_url) as visit:
        filled(server)
        page = visit.open("/")
        figure = page.locator(".figure").first
        figure.select_text()
        with page.expect_response(lambda answer: answer.url.startswith(f"{visit.origin}/?hours=")):
            pass
        assert page.evaluate("getSelection().toString()").split() == ["1", "of", "1", "APIs"]
        expect(page.locator("#gone")).to_be_hidden()
        page.route("**/*", lambda route: route.abort())
        expect(page.locator("#gone")).to_contain_text("The server has not answered since")
        page.unroute("**/*")
        expect(page.locator("#gone")).to_be_hidden()


def test_pages_work_without_scripts(browser: Browser, client: Client) -> None:
    api = filled(client)
    with visiting(browser, client.http.base_url, java_script_enabled=False) as visit:
        assert rows(visit.open("/apis"), "APIs")
        assert rows(visit.open(f"/apis/{api}"), "Operations")
        page = visit.open(f"/apis/{api}/spec")
        expect(page.get_by_role("link", name="the uploaded document")).to_be_visible()


def test_a_specification_is_uploaded_by_the_form(browser: Browser, client: Client, tmp_path: Path) -> None:
    client.send(*both())
    document = tmp_path / "openapi.json"
    document.write_text(
        '{"openapi": "3.1.0", "info": {"title": "Mine", "version": "1"}, "paths": {"/x": {}}}'
    )
    with visiting(browser, client.http.base_url) as visit:
        page = visit.open(f"/apis/{only_api(client)}")
        page.get_by_label("Document").set_input_files(document)
        page.get_by_role("button", name="Upload").click()
        expect(page.locator("#swagger .title")).to_contain_text("Mine")
        visit.assert_quiet()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_deviation_is_ignored_taken_back_and_accepted_by_forms(
    browser: Browser, client: Client, scripts: bool
) -> None:
    filled(client)
    with visiting(browser, client.http.base_url, java_script_enabled=scripts) as visit:
        page = visit.open("/deviations")
        page.get_by_role("link", name="unknown-parameter").click()
        page.get_by_role("button", name="Ignore").click()  # the browser itself requires the reason
        form = page.get_by_role("form", name="Ignore")
        form.get_by_label("Reason").fill(CANARY)
        form.get_by_role("button", name="Ignore").click()
        expect(page.get_by_role("definition").filter(has_text=CANARY)).to_be_visible()
        page.get_by_role("button", name="Undo").click()
        page.get_by_role("button", name="Accept").click()
        expect(page.get_by_role("heading", name="Proposed change")).to_be_visible()
        expect(page.locator("#change ~ pre")).to_contain_text('"name": "colour"')
        with page.expect_download() as download:
            page.get_by_role("link", name="Download the specification").click()
        assert "colour" in download.value.path().read_text()
        if scripts:
            assert page.evaluate(f"window.{NAME}") is None
            visit.assert_quiet()


def test_where_tokens_are_set_one_logs_in_and_out(browser: Browser, tmp_path: Path) -> None:
    token = "admin-token-0123456789"
    tokens = {"ingest_token": digest("ingest-token-0123456789"), "admin_token": digest(token)}
    with serving(tmp_path, load, **tokens) as guarded, visiting(browser, guarded.http.base_url) as visit:
        page = visit.open("/exchanges")
        page.get_by_label("Admin token").fill(token)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Exchanges")).to_be_visible()
        assert page.evaluate("document.cookie") == ""
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("Admin token")).to_be_visible()
        page = visit.open("/")
        expect(page.get_by_label("Admin token")).to_be_visible()
        visit.assert_quiet()


@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1280])
def test_no_page_is_wider_than_the_screen(browser: Browser, client: Client, width: int) -> None:
    filled(client)
    client.send(*hostile(9, "w" * 300))
    addresses = pages_of(client)
    with visiting(browser, client.http.base_url, viewport={"width": width, "height": 800}) as visit:
        for address in addresses:
            page = visit.open(address)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, address
