from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.wire import Capture, Consumer, Endpoint, SubOperation, WebSocket, WebSocketHalf, WebSocketText
from server.analysis.specs.kinds import Verdict
from server.analysis.specs.load import load
from server.ui.pages import APIS
from tests.server.records import both, record
from tests.server.running import Client, serving, wait_for
from tests.server.ui.estate import furnish
from tests.server.ui.reading import crawled, read
from tests.server.ui.shop import CANARY, SPEC, describe, filled, hostile, hostile_spec, only_api

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
TAGS = """html head meta title link body header main nav section a img form button h1 h2 h3 p span dl dt dd
    div ul li footer code pre table thead tbody tr th td caption time svg rect script noscript label input
    select option mark figure figcaption g desc details
    summary"""
ATTRIBUTES = """charset name content lang rel href type src defer id class width height alt aria-current
    aria-hidden hidden aria-label aria-labelledby role data-label data-url data-count title scope datetime
    selected viewbox preserveaspectratio x y method action enctype value size maxlength pattern required
    accept download placeholder tabindex hx-get
    hx-trigger hx-select hx-select-oob hx-swap"""
OURS = {*TAGS.split(), *ATTRIBUTES.split()}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path, load) as client:
        yield client


def page(client: Client, path: str, status: int = 200) -> str:
    answer = client.http.get(path)
    assert answer.status_code == status, answer.text
    return " ".join(read(answer.text).text.split())


def test_an_empty_server_says_what_to_do(client: Client) -> None:
    text = page(client, "/")
    assert "No agent is connected yet" in text
    assert f"spectap-agent run --server {client.http.base_url}".rstrip("/") in text
    assert "curl --data-binary @openapi.yaml" in text
    client.send()
    assert "An agent is connected and has captured no calls yet" in page(client, "/")


def test_the_overview_answers_in_numbers_and_leads_to_the_apis(client: Client) -> None:
    api = filled(client)
    text = page(client, "/")
    for said in (
        "Documented 1 of 1 APIs 75 % of calls are of described operations",
        "As specified 25 % of calls 1 of 4 judged calls deviate",
        "Deprecated in use 1 operation 1 calls",
        "Undocumented 1 operation 1 calls",
        "Coverage 2 of 2 described operations were called (100 %)",
        "Security 1 deviation of high severity",
        "Shop nginx:8080 1 25 %",
        "curl process 1 1",
    ):
        assert said in text
    assert {f"/apis/{api}"} < set(read(client.http.get("/").text).links)


def test_what_was_first_seen_within_a_day_is_new(client: Client) -> None:
    client.send(record(0, path="/old"), record(1, path="/fresh", start=time.time_ns() - 10**9))
    text = page(client, "/")
    assert "New in 24 hours 0 APIs, 1 operations, 0 deviations" in text
    assert "operation GET /fresh" in text
    assert "GET /old" not in text


def test_an_operations_page_has_its_numbers_specification_coverage_and_consumers(client: Client) -> None:
    api = filled(client)
    found = next(one for one in client.items("/operations") if one["operation"] == "GET /users/{id}")
    text = page(client, f"/apis/{api}/operations/{found['id']}")
    for said in (
        "nginx:8080 GET /users/{id} Calls 2",
        "Statuses 200 2 Verdicts conforming 1 deviating 1 Faults server-lax 1",
        "Judged calls per hour by verdict 0 calls, at most 0 No calls in this time.",
        "Operation id getUser",
        "Calls by duration 2 calls, at most 2",
        "unknown-parameter GET /users/{id} query colour",
        "As specified Shop 1.2 /paths/~1users~1{id}/get operationId: getUser",
        "1 of 1 parameters and 1 of 2 fields were used",
        "response.body.200/name not used",
        "curl process 2",
    ):
        assert said in text, said
    assert "no such operation" in page(client, f"/apis/{api}/operations/{'0' * 16}", 404).lower()
    undocumented = next(one for one in client.items("/operations") if one["operation"] == "GET /admin")
    text = page(client, f"/apis/{api}/operations/{undocumented['id']}")
    assert "No specification describes this operation." in text


def test_calls_over_time_are_bars_with_a_table(client: Client) -> None:
    client.send(*both(0, start=time.time_ns() - 10**9), *both(1, status=503, start=time.time_ns() - 10**9))
    text = page(client, "/?hours=168")
    assert "Calls per hour by status 2 calls, at most 2" in text
    assert re.search(r"As a table When 2xx 5xx \d{4}-\d\d-\d\d \d\d:00 UTC 1 1", text)
    assert client.http.get("/?hours=169").status_code == 422


def test_a_search_says_how_far_back_it_went(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.store.sqlite.reading.exchanges.MAX_SEARCHED", 2)
    client.send(*[record(n, path=f"/{n}") for n in range(3)])
    text = page(client, "/exchanges?path=/0")
    assert "No matching exchanges yet. Searched back to" in text
    answer = client.get("/exchanges", path="/0")
    assert (answer["items"], len(client.items("/exchanges", path="/0"))) == ([], 1)
    following = page(client, f"/exchanges?path=/0&cursor={answer['next']}")
    assert "shop.local:8080 GET /0 200" in following
    assert "Searched back" not in following


def test_calls_of_the_last_hour_are_by_the_minute_as_far_as_they_are_counted(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns()
    client.send(*[one for n in range(3) for one in both(n, start=now - n * 60 * 10**9 - 10**9)])
    text = page(client, "/?hours=1")
    assert "Calls per minute by status 3 calls, at most 1" in text
    assert "Too many calls" not in text
    monkeypatch.setattr("server.services.consumers.MAX_RECENT", 2)
    text = page(client, "/?hours=1")
    assert "Calls per minute by status 2 calls, at most 1" in text
    assert "these are the newest, since" in text


def test_consumers_are_listed_with_what_each_calls_and_who_must_be_told(client: Client) -> None:
    filled(client)
    assert "curl process 4 1 3 1" in page(client, "/consumers")
    assert "callers of deprecated operations All" in page(client, "/consumers?deprecated=yes")
    (one,) = client.items("/consumers")
    text = page(client, f"/consumers/{one['id']}")
    assert "GET /carts deprecated nginx:8080 1 200 1" in text
    answer = client.http.get("/deprecated.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    (_, told) = answer.text.splitlines()
    assert told.startswith("curl,process,nginx:8080,GET /carts,1,")
    page(client, "/consumers/0000000000000000", 404)


def test_a_captured_name_is_no_formula_in_a_spreadsheet(client: Client) -> None:
    client.send(*both(0, "/carts", consumer=Consumer(user_agent="=cmd|x"), process=None))
    describe(client, path=f"/apis/{only_api(client)}/spec")
    wait_for(lambda: client.items("/consumers", deprecated="yes"), "deprecated call")
    assert "\r\n'=cmd|x," in client.http.get("/deprecated.csv").text


def test_agents_are_listed_with_state_lag_and_what_became_of_all_they_saw(client: Client) -> None:
    assert "No agent is connected yet" in page(client, "/agents")
    filled(client)
    client.report(Capture("everything", 12_000))
    text = page(client, "/agents")
    assert "agent-1 everything 12 s" in text
    assert "No bytes lost. No exchanges lost." in text
    assert "200 B parsed" in text


def test_the_list_of_apis_says_what_each_is(client: Client) -> None:
    filled(client)
    text = page(client, "/apis")
    for said in ("nginx:8080", "internal", "shop.local:8080", "Shop", "1 shadow", "1 deviating", "1 zombie"):
        assert said in text
    assert "1 called, 4 calls" in text
    assert "with a specification All" in page(client, "/apis?specified=true")
    assert "No such API" in page(client, "/apis?specified=false")


def test_described_operations_that_nobody_called_are_listed_with_their_apis(client: Client) -> None:
    furnish(client)
    assert "20 of 24 described operations were called (83 %); 4 were not" in page(client, "/")
    text = page(client, "/operations?state=unused")
    assert "not called All Described, and not called yet." in text
    assert text.count("GET /v1/") == 4
    assert "GET /v1/orders/archive nginx:8000" in text
    narrowed = page(client, "/operations?state=unused&method=GET", 422)
    assert "Of unused operations only the API is known" in narrowed


def test_operations_of_all_apis_are_listed_with_their_apis(client: Client) -> None:
    filled(client)
    assert "GET /carts deprecated nginx:8080 1 1 · · · 0 % ·" in page(client, "/operations")
    text = page(client, "/operations?state=shadow")
    assert "undocumented All" in text
    assert "GET /admin" in text
    assert "GET /carts" not in text


def test_an_apis_page_lists_what_was_asked_for_within_an_operation(client: Client) -> None:
    failed = [
        SubOperation("mcp", "call", "tools/call search", True),
        SubOperation("graphql", "query", "", None),
    ]
    more = [SubOperation("graphql", "query", f"Q{number}", False) for number in range(8)]
    subs = (failed[0], *failed, *more)
    client.send(*both(0, "/mcp", method="POST", sub_operations=subs))
    text = page(client, f"/apis/{only_api(client)}")
    assert re.search(
        r"POST /mcp mcp call tools/call search 2. \(2 failed\) graphql query \(unnamed\) 1.", text
    )
    assert "2 more" in text
    (exchange,) = client.items("/exchanges")
    assert "mcp call tools/call search failed" in page(client, f"/exchanges/{exchange['id']}")


@pytest.mark.parametrize(
    ("code", "closed_by", "end"),
    [
        (1001, "server", "closed by the server with 1001"),
        (1006, None, "ended without a Close frame"),
        (None, None, "the end was not seen"),
    ],
)
def test_an_exchanges_page_says_what_a_websocket_connection_carried(
    client: Client, code: int | None, closed_by: str | None, end: str
) -> None:
    asked, answered = WebSocketHalf(3, 2, 0, 0, 0, 2, 2048, 0), WebSocketHalf(1, 1, 0, 0, 0, 0, 8, 7)
    text = WebSocketText("server", b'{"colour": "red"}', 5)
    found = WebSocket(asked, answered, code, closed_by, None, (text,))
    client.send(*both(0, "/feed", status=101, upgraded="websocket", websocket=found))
    (exchange,) = client.items("/exchanges")
    shown = page(client, f"/exchanges/{exchange['id']}")
    assert "2 messages in 3 frames (2.05 kB, 2 compressed) from the client" in shown
    assert f"1 message in 1 frame (8 B, 7 B unseen) from the server; {end}" in shown
    assert '{"colour": "red"}' in shown


def test_an_apis_page_lists_its_operations_deviations_and_exchanges(client: Client) -> None:
    text = page(client, f"/apis/{filled(client)}")
    assert "GET /carts deprecated 1 1 · · · 0 % ·" in text
    assert re.search(r"GET /users/{id} 2 2 · · · 50 % 1 (\d\.?\d* ms ){3}1 ", text)
    assert re.search(r"/users/2\?colour=red 200 deviating 1.8 ms 0 B 11 B curl client, server", text)
    assert "Specification Shop 1.2" in text


def test_pages_and_api_say_whose_fault_a_difference_is(client: Client) -> None:
    filled(client)
    client.send(*both(7, "/none", status=404))
    faults = {one["path"]["text"]: (one["verdict"], one["fault"]) for one in client.items("/exchanges")}
    assert faults["/users/1"] == ("conforming", None)
    assert faults["/users/2"] == ("deviating", "server-lax")
    assert faults["/admin"] == ("shadow", "server")
    assert faults["/none"] == ("unjudged", "caller")
    found = {one["kind"]: one for one in client.items("/deviations")}
    assert {kind: (one["fault"], one["severity"]) for kind, one in found.items()} == {
        "unknown-parameter": ("server-lax", "low"),
        "unknown-path": ("server", "high"),
    }
    assert "low server-lax" in page(client, "/deviations")
    assert "server-lax" in page(client, f"/deviations/{found['unknown-parameter']['id']}")
    assert "server-lax" in page(client, f"/exchanges/{found['unknown-parameter']['exchange']}")


def test_an_exchanges_page_shows_both_witnesses_and_both_messages(client: Client) -> None:
    filled(client)
    found = next(one for one in client.items("/exchanges") if one["verdict"] == "deviating")
    text = page(client, f"/exchanges/{found['id']}")
    assert text.count("127.0.0.1:40000") == 2
    assert "client /usr/bin/curl curl, pid 200" in text
    assert "server /usr/sbin/nginx nginx, pid 100" in text
    assert "unknown-parameter query colour" in text
    assert "host shop.local:8080" in text
    assert '{ "id": "a" }' in text
    assert "+0.1 ms +1.9 ms +2 ms" in text


def test_what_was_not_seen_is_said(client: Client) -> None:
    client.send(record(0, status=None, request=None, response=None))
    (found,) = client.items("/exchanges")
    text = page(client, f"/exchanges/{found['id']}")
    assert text.count("Not captured.") == 2
    assert "request not seen" in page(client, f"/apis/{found['api']}")


def test_exchanges_that_may_be_others_are_counted_and_marked_apart(client: Client) -> None:
    client.send(record(1, "client", id="a", status=None, client=None, server=None), *both(2))
    assert "1 + 1 uncertain calls" in page(client, "/apis")
    apis = {one["name"]: (one["exchanges"], one["uncertain"]) for one in client.items("/apis")}
    assert apis == {"nginx:8080": (1, 0), "shop.local:8080": (0, 1)}
    api = next(one["id"] for one in client.items("/apis") if one["uncertain"])
    assert "GET /users/{id} 0 + 1 uncertain" in page(client, f"/apis/{api}")
    (operation,) = client.items(f"/apis/{api}/operations")
    assert (operation["count"], operation["uncertain"], operation["statuses"]) == (0, 1, {"none": 1})
    assert "uncertain" in page(client, "/exchanges/a")
    assert {one["id"]: one["uncertain"] for one in client.items("/exchanges")}["a"] is True
    assert "spectap_server_exchanges_uncertain 1.0" in client.http.get("/metrics").text


def test_bytes_that_are_not_text_and_characters_that_hide_are_visible(client: Client) -> None:
    client.send(*both(0, b"/caf\xe9/\xe2\x80\xaegnp.exe\x1b"))
    text = page(client, "/exchanges")
    assert "/caf\\xe9/" in text
    client.send(*both(1, "/\u202egnp.exe\x1b\u200b"))
    assert "/\\u202egnp.exe\\u001b\\u200b" in page(client, "/exchanges")


def test_exchanges_are_narrowed_as_in_the_api_and_an_empty_field_narrows_nothing(client: Client) -> None:
    api = filled(client)
    assert page(client, f"/exchanges?api={api}&method=&path_prefix=&status=&verdict=").count("200") == 4
    text = page(client, "/exchanges?verdict=shadow&method=GET&status=2xx&path_prefix=/a")
    assert "/admin" in text
    assert "/carts" not in text
    assert "No matching exchanges" in page(client, "/exchanges?status=500")
    assert "400..499 or none" in page(client, "/exchanges?status=boo", 422)


def test_what_does_not_fit_a_page_is_on_the_next(client: Client) -> None:
    client.send(*(record(n, path=f"/page/{n}") for n in range(60)))
    pages = {address: answer.text for address, answer in crawled(client.http, "/exchanges?method=GET")}
    following = [
        text for address, text in pages.items() if address.startswith("/exchanges?method=GET&cursor")
    ]
    assert len(following) == 1
    assert "/page/0<" in following[0]
    assert "/page/59<" not in following[0]


def test_totals_are_of_all_apis_also_of_those_on_the_next_page(client: Client) -> None:
    ports = range(1, APIS + 6)
    client.send(
        *(record(n, port=n, server=Endpoint("127.0.0.1", 9000 + n, 1), host=b"x:%d" % n) for n in ports)
    )
    text = page(client, "/apis")
    assert f"{APIS + 5} called, {APIS + 5} calls" in text
    assert (f"nginx:{9000 + APIS + 5}" in text, "nginx:9001" in text) == (True, False)
    pages = dict(crawled(client.http, "/apis"))
    assert any("nginx:9001" in text.text for address, text in pages.items() if "cursor=" in address)


@pytest.mark.parametrize("path", ["/apis/nope", "/apis/nope/spec", "/exchanges/nope"])
def test_what_is_not_there_is_a_page_that_says_so(client: Client, path: str) -> None:
    answer = client.http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "Not Found" in answer.text
    assert answer.headers["content-security-policy"] == POLICY


def test_a_cursor_of_another_making_is_refused_as_a_page(client: Client) -> None:
    assert "not a cursor" in page(client, "/apis?cursor=x", 422)


def test_an_unknown_address_is_a_page_for_people_and_a_problem_for_programs(client: Client) -> None:
    found = client.http.get("/nope", headers={"Accept": "text/html,*/*"})
    assert (found.status_code, found.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert found.headers["content-security-policy"] == POLICY
    assert client.http.get("/nope").headers["content-type"] == "application/problem+json"
    api = client.http.get("/api/v1/nope", headers={"Accept": "text/html"})
    assert api.headers["content-type"] == "application/problem+json"


def test_pages_answer_head(client: Client) -> None:
    for path in ("/", "/apis", "/exchanges"):
        found = client.http.head(path)
        assert (found.status_code, found.content) == (200, b"")


def test_a_refused_parameter_is_named(client: Client) -> None:
    assert "specified: is neither yes nor no" in page(client, "/apis?specified=x", 422)


def test_a_refused_filter_keeps_the_form_and_says_why_at_the_field(client: Client) -> None:
    answer = client.http.get("/exchanges?method=GET&status=boo&operation=x")
    assert answer.status_code == 422
    found = read(answer.text)
    kept = {values.get("name"): values.get("value") for tag, values in found.elements if tag == "input"}
    assert (kept["method"], kept["status"], kept["operation"]) == ("GET", "boo", "x")
    assert any(values.get("id") == "wrong-status" for _, values in found.elements)
    assert "No matching" not in found.text


def test_coverage_has_bars_filters_and_the_operations_that_nobody_called_first(client: Client) -> None:
    api = filled(client)
    text = page(client, f"/apis/{api}/coverage")
    assert "Operations 100 % 1 of 1 were used" in text
    assert "Fields 50 % 1 of 2 were used" in text
    assert "GET /users/{id} 2 1 1 of 1 1 of 2 1" in text
    assert "Operations 0 % 0 of 1 were used" in page(client, f"/apis/{api}/coverage?consumer=nobody")
    client.send(*both(7, "/x", server=Endpoint("127.0.0.1", 9999, 1), host=b"other:9999"))
    other = next(one["id"] for one in client.items("/apis", specified="no"))
    assert "No specification to measure against" in page(client, f"/apis/{other}/coverage")


def test_help_explains_every_verdict(client: Client) -> None:
    text = page(client, "/help")
    for verdict in Verdict:
        assert verdict in text


def test_every_page_says_in_its_head_how_fresh_it_is(client: Client) -> None:
    filled(client)
    client.report(Capture("everything", 12_000))
    pages = [one for one in crawled(client.http) if one[1].headers["content-type"].startswith("text/html")]
    for address, answer in pages:
        assert "1 agent capturing · lag 12 s" in " ".join(read(answer.text).text.split()), address
    assert "capturing" not in page(client, "/exchanges/nope", 404)


def test_every_page_holds_the_browser_to_the_policy(client: Client) -> None:
    filled(client)
    pages = list(crawled(client.http))
    assert len(pages) >= 9
    for address, answer in pages:
        assert answer.status_code == 200, address
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"


def test_no_captured_value_becomes_markup_on_any_page(client: Client) -> None:
    client.send(*hostile())
    api = only_api(client)
    describe(client, hostile_spec("http://127.0.0.1:9"), f"/apis/{api}/spec")
    wait_for(lambda: client.items("/deviations"), "deviation")
    pages = list(crawled(client.http))
    assert {"/", f"/apis/{api}", "/deviations", "/exchanges"} <= {address for address, _ in pages}
    assert any(address.startswith("/exchanges/") for address, _ in pages)
    assert any("/spec?spec=" in address for address, _ in pages)
    seen = 0
    for address, answer in pages:
        assert answer.status_code == 200, (address, answer.text)
        found = read(answer.text)
        assert found.names <= OURS, address
        assert all(link.startswith(("/", "#")) and not link.startswith("//") for link in found.links)
        assert all(
            values.get("src", "").startswith("/static/") for tag, values in found.elements if tag == "script"
        )
        assert str(7777 * 7777) not in found.text
        seen += CANARY in found.text
    assert seen >= 5  # it is shown, as text


def test_files_are_served_with_their_types_and_vendored_ones_are_kept(client: Client) -> None:
    filled(client)
    files = {
        link for _, answer in crawled(client.http) for link in read(answer.text).links if "/static/" in link
    }
    assert len(files) == 7
    for file in files:
        answer = client.http.get(file)
        assert answer.status_code == 200, file
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert ("immutable" in answer.headers["cache-control"]) == ("/vendor/" in file)
    assert client.http.get("/static/../pages.py").status_code == 404
    assert client.http.get("/static/%2e%2e/pages.py").status_code == 404


def test_vendored_files_have_their_licence_and_version_beside_them() -> None:
    folder = Path(__file__).parents[3] / "server/ui/static/vendor"
    said = (folder / "VENDORED.md").read_text()
    for package in (one for one in folder.iterdir() if one.is_dir()):
        name, _, version = package.name.rpartition("-")
        assert f"| `{name}` | {version} |" in said
        assert (package / "LICENSE").exists()


def test_the_specification_is_that_which_was_uploaded(client: Client) -> None:
    api = filled(client)
    document = next(link for link in read(client.http.get(f"/apis/{api}/spec").text).links if "/api/" in link)
    assert client.http.get(document).json() == SPEC
