"""Whose a difference is: each row of the table in fault.py."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from server.analysis.specs.judging.fault import fault_of
from server.analysis.specs.kinds import KINDS, Where
from tests.server.analysis.specs.spec_calls import body, call, found, operation, parameter, spec

FAILED = {"content": {"application/json": {"schema": {"required": ["error"]}}}}
SHOP = spec(
    {
        "/pets/{id}": {
            "get": operation(
                parameters=[
                    parameter("id", "path", {"type": "integer"}),
                    parameter("full", "query", {"type": "boolean"}),
                ],
                responses={
                    "200": {"content": {"application/json": {"schema": {"required": ["name"]}}}},
                    "302": {"description": "moved"},
                    "400": FAILED,
                    "401": FAILED,
                    "5XX": FAILED,
                },
                security=[{"key": []}],
            )
        }
    },
    components={"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "x-key"}}},
)
KEY = ((b"host", b"h"), (b"x-key", b"*"))
PET, ERROR, NOTHING = body({"name": "Bo"}), body({"error": "no"}), body({})


def judged(path: bytes, status: int | None, answer: Any = PET, method: str = "GET", **others: Any) -> Any:
    one = call(method, path, status or 0, answer=answer, **{"headers": KEY, **others})
    return SHOP.match(one if status else replace(one, response=None))


@pytest.mark.parametrize(
    ("path", "status", "answer", "verdict", "fault", "kinds"),
    [
        (b"/pets/7", 200, PET, "conforming", None, []),
        (b"/pets/7", 200, NOTHING, "deviating", "server", ["missing-field"]),
        (b"/pets/7", 400, ERROR, "conforming", None, []),
        (b"/pets/7", 400, NOTHING, "deviating", "server", ["missing-field"]),
        (b"/pets/7", 418, NOTHING, "deviating", "server", ["unknown-status"]),
        (b"/pets/x", 400, ERROR, "conforming", "caller", []),
        (b"/pets/x", 400, NOTHING, "deviating", "server", ["missing-field"]),
        (b"/pets/x", 418, ERROR, "deviating", "server", ["unknown-status"]),
        (b"/pets/x", 200, PET, "deviating", "server-lax", ["type"]),
        (b"/pets/x", 302, body(b""), "deviating", "server-lax", ["type"]),
        (b"/pets/x", 200, NOTHING, "deviating", "server-lax", ["missing-field", "type"]),
        (b"/pets/x", 401, ERROR, "unjudged", None, []),
        (b"/pets/7", 401, ERROR, "unjudged", None, []),
        (b"/pets/x", 401, NOTHING, "deviating", "server", ["missing-field"]),
        (b"/pets/x", 503, ERROR, "unjudged", None, []),
        (b"/pets/x", 503, NOTHING, "deviating", "server", ["missing-field"]),
        (b"/pets/x", 429, ERROR, "deviating", "server", ["unknown-status"]),
        (b"/pets/x", None, ERROR, "unjudged", None, []),
        (b"/.env", 404, NOTHING, "unjudged", "caller", []),
        (b"/.env", 405, NOTHING, "unjudged", "caller", []),
        (b"/.env", 501, NOTHING, "unjudged", "caller", []),
        (b"/.env", 401, NOTHING, "unjudged", None, []),
        (b"/.env", 403, NOTHING, "unjudged", None, []),
        (b"/.env", 502, NOTHING, "unjudged", None, []),
        (b"/.env", None, NOTHING, "shadow", "server", ["unknown-path"]),
        (b"/.env", 200, NOTHING, "shadow", "server", ["unknown-path"]),
        (b"/.env", 302, NOTHING, "shadow", "server", ["unknown-path"]),
        (b"/.env", 400, NOTHING, "shadow", "server", ["unknown-path"]),
        (b"/..%2f..%2fetc/passwd", 400, NOTHING, "unjudged", "caller", []),
        (b"/a%00b", 400, NOTHING, "unjudged", "caller", []),
        (b"/..%2f..%2fetc/passwd", 200, NOTHING, "shadow", "server", ["unknown-path"]),
    ],
)  # fmt: skip
def test_the_answer_decides_whose_a_difference_is(
    path: bytes, status: int | None, answer: Any, verdict: str, fault: str | None, kinds: list[str]
) -> None:
    judgement = judged(path, status, answer)
    assert (judgement.verdict, judgement.fault) == (verdict, fault)
    assert [kind for kind, _, _ in found(judgement)] == kinds


def test_an_unknown_method_is_a_probe_or_a_shadow() -> None:
    assert judged(b"/pets/7", 405, method="DELETE").fault == "caller"
    assert judged(b"/pets/7", 204, method="DELETE").verdict == "shadow"


def test_why_says_what_was_refused_and_holds_nothing_captured() -> None:
    judgement = judged(b"/pets/s3cret", 400, ERROR, query=b"full=s3cret&s3cret=1")
    assert judgement.why == (
        "the request breaks the specification"
        " (type in path, type in query, unknown-parameter in query), and was refused"
    )
    assert judged(b"/.env", 404).why == "no such operation here, and the server says so"


def test_credentials_that_were_not_asked_for_are_a_fault_of_the_server() -> None:
    assert judged(b"/pets/7", 200, headers=((b"host", b"h"),)).fault == "server-lax"
    assert judged(b"/pets/7", 400, ERROR, headers=((b"host", b"h"),)).fault == "caller"


def test_every_reported_deviation_has_a_fault() -> None:
    assert {fault_of(kind, where) for kind in KINDS for where in Where} == {"server", "server-lax"}


@pytest.mark.parametrize(
    ("method", "path", "status", "location", "verdict"),
    [
        ("HEAD", b"/pets/7", 405, None, "unjudged"),
        ("HEAD", b"/pets/7", 418, None, "deviating"),
        ("GET", b"/pets/7/", 404, None, "unjudged"),
        ("GET", b"/pets/7", 404, None, "deviating"),
        ("GET", b"/pets/x", 404, None, "unjudged"),
        ("GET", b"/pets/x", 410, None, "unjudged"),
        ("GET", b"/old", 410, None, "unjudged"),
        ("GET", b"//pets/7", 307, b"/pets/7", "unjudged"),
        ("GET", b"/../pets/7", 301, b"https://h/pets/7?a=1", "unjudged"),
        ("GET", b"/pets/7/", 308, b"/pets/7", "unjudged"),
        ("GET", b"/login", 302, b"/pets/7", "shadow"),
        ("GET", b"/pets//x/y", 307, b"/pets/x/y", "shadow"),
        ("GET", b"//pets/7", 200, None, "shadow"),
    ],
)
def test_a_server_that_is_stricter_about_paths_raises_no_alarm(
    method: str, path: bytes, status: int, location: bytes | None, verdict: str
) -> None:
    sent = () if location is None else ((b"location", location),)
    found_ = judged(path, status, body(b""), method, answer_headers=sent)
    assert (found_.verdict, found_.fault == "caller") == (verdict, verdict == "unjudged")
