from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from server.api.sessions import COOKIE, LASTS_S, MAX_SESSIONS, Sessions
from server.config import digest
from tests.server.running import Client, serving
from tests.server.ui.reading import read

INGEST, ADMIN = "ingest-token-0123456789", "admin-token-0123456789"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path, ingest_token=digest(INGEST), admin_token=digest(ADMIN)) as client:
        yield client


def log_in(client: Client, token: str = ADMIN, following: str = "/") -> httpx.Response:
    return client.http.post("/login", data={"token": token, "next": following})


@pytest.mark.parametrize(
    "path", ["/", "/apis/x", "/apis/x/spec", "/exchanges", "/exchanges/x", "/deviations", "/deviations/1"]
)
def test_pages_lead_to_the_login_and_it_leads_back(guarded: Client, path: str) -> None:
    answer = guarded.http.get(path)
    assert answer.status_code == 303
    form = read(guarded.http.get(answer.headers["location"]).text)
    assert {"type": "hidden", "name": "next", "value": path} in [values for _, values in form.elements]
    assert log_in(guarded, following=path).headers["location"] == path
    assert guarded.http.get(path).status_code in (200, 404)


def test_a_session_is_a_cookie_that_scripts_and_other_sites_cannot_use(guarded: Client) -> None:
    cookie = log_in(guarded).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert ADMIN not in cookie


def test_a_session_opens_the_api_for_reading_until_it_is_ended(guarded: Client) -> None:
    log_in(guarded)
    kept = guarded.http.cookies[COOKIE]
    assert guarded.http.get("/api/v1/apis").status_code == 200
    answer = guarded.http.post("/logout")
    assert answer.headers["location"] == "/login"
    assert COOKIE not in guarded.http.cookies
    headers = {"Cookie": f"{COOKIE}={kept}"}
    assert guarded.http.get("/api/v1/apis", headers=headers).status_code == 401
    assert guarded.http.get("/", headers=headers).status_code == 303


@pytest.mark.parametrize("token", ["", "wrong", INGEST, ADMIN + "x", "%00", "\u00e9" * 20])
def test_no_other_token_opens_the_pages(guarded: Client, token: str) -> None:
    answer = log_in(guarded, token)
    assert answer.status_code == 403
    assert "Wrong admin token." in answer.text
    assert "set-cookie" not in answer.headers
    if token:
        assert token not in answer.text


@pytest.mark.parametrize("cookie", [ADMIN, "x", '""'])
def test_no_made_up_cookie_is_a_session(guarded: Client, cookie: str) -> None:
    assert guarded.http.get("/", headers={"Cookie": f"{COOKIE}={cookie}"}).status_code == 303


@pytest.mark.parametrize(
    "following", ["//evil.example", "/\\evil.example", "http://evil.example", "", "/\r\nx: y"]
)
def test_the_login_leads_to_pages_of_this_server_only(guarded: Client, following: str) -> None:
    assert log_in(guarded, following=following).headers["location"] == "/"


def test_another_site_can_neither_log_in_nor_out(guarded: Client) -> None:
    log_in(guarded)
    for path in ("/login", "/logout"):
        assert guarded.http.post(path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert guarded.http.get("/").status_code == 200


def test_a_form_that_is_too_large_is_refused(guarded: Client) -> None:
    assert log_in(guarded, "x" * 10_000).status_code == 413


def test_a_page_that_refreshes_itself_after_the_session_ended_loads_anew(guarded: Client) -> None:
    answer = guarded.http.get("/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["hx-refresh"]) == (204, "true")


def test_the_bearer_token_opens_pages_too(guarded: Client) -> None:
    assert guarded.http.get("/", headers={"Authorization": f"Bearer {ADMIN}"}).status_code == 200


def test_an_open_server_asks_for_no_login(client: Client) -> None:
    assert client.http.get("/login").headers["location"] == "/"
    assert "Log out" not in client.http.get("/").text


def test_sessions_end_in_time_and_are_bounded() -> None:
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    first = sessions.begin()
    assert sessions.holds(first)
    assert not sessions.holds(None)
    now[0] = LASTS_S
    assert not sessions.holds(first)
    kept = [sessions.begin() for _ in range(MAX_SESSIONS + 1)]
    assert [sessions.holds(id) for id in (kept[0], kept[1], kept[-1])] == [False, True, True]
