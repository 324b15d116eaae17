"""Whose traffic a command judges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.sources import audit
from agent.wire import Record
from server.offline.scope import AUDITED, Document, OutOfScope, TrafficScope
from tests.server.analysis.specs.spec_calls import call, operation, spec

PATHS = {"/pets": {"get": operation()}}


def documents(*urls: str | None, paths: Any = PATHS) -> list[Document]:
    """A document for each server URL; None for one without servers."""
    said: list[Any] = [{} if url is None else {"servers": [{"url": url}]} for url in urls]
    return [Document.of(Path(f"{at}.yaml"), spec(paths, **more)) for at, more in enumerate(said)]


def to(host: str | None, path: bytes = b"/pets", **others: Any) -> Record:
    record = call(path=path, **others)
    assert record.request is not None
    authority = None if host is None else host.encode()
    return msgspec.structs.replace(
        record, request=msgspec.structs.replace(record.request, authority=authority)
    )


def judged(scope: TrafficScope, record: Record) -> tuple[str, str] | None:
    found = scope.judge(record)
    return None if found is None else (found[0].path.name, found[1].judgement.verdict)


def test_only_the_hosts_of_the_specification_are_judged_among_the_24_of_a_page() -> None:
    scope = TrafficScope(documents("https://api.shop.example/v1"))
    others = [f"cdn{number}.example" for number in range(23)]
    for _ in range(40):
        for host in others:
            assert judged(scope, to(host, b"/assets/app.js")) is None
    assert judged(scope, to("api.shop.example", b"/v1/pets")) == ("0.yaml", "conforming")
    assert judged(scope, to("api.shop.example", b"/v1/secret")) == ("0.yaml", "shadow")
    scope.check()
    assert scope.judged == 2
    assert str(scope).startswith("920 of other hosts left out (cdn0.example 40, cdn1.example 40,")
    assert "and 18 more): --host HOST or --any-host judges them" in str(scope)


def test_a_recording_of_a_staging_host_is_an_error_that_names_the_option() -> None:
    scope = TrafficScope(documents("https://api.shop.example"))
    assert judged(scope, to("staging.shop.example:8443")) is None
    with pytest.raises(OutOfScope) as error:
        scope.check()
    assert "names (api.shop.example)" in str(error.value)
    assert "--host staging.shop.example:8443" in str(error.value)
    scope = TrafficScope(documents("https://api.shop.example"), given=["staging.shop.example"])
    assert judged(scope, to("staging.shop.example:8443")) == ("0.yaml", "conforming")
    assert judged(scope, to("api.shop.example")) is None
    scope.check()


def test_no_exchange_at_all_is_no_error() -> None:
    TrafficScope(documents("https://api.shop.example")).check()


def test_any_host_judges_everything() -> None:
    scope = TrafficScope(documents("https://api.shop.example"), any_host=True)
    assert judged(scope, to("else.example")) == ("0.yaml", "conforming")
    assert judged(scope, to(None)) == ("0.yaml", "conforming")
    assert str(scope) == ""


@pytest.mark.parametrize("url", [None, "/"])
def test_a_specification_without_a_host_judges_traffic_of_one_host(url: str | None) -> None:
    scope = TrafficScope(documents(url))
    assert judged(scope, to(None)) == ("0.yaml", "conforming")
    assert judged(scope, to("a.example")) == ("0.yaml", "conforming")
    assert judged(scope, to("a.example")) == ("0.yaml", "conforming")
    with pytest.raises(
        OutOfScope, match=r"several \(a\.example, b\.example\): choose with --host a\.example, or"
    ):
        scope.judge(to("b.example"))


@pytest.mark.parametrize(
    ("first", "second"),
    [("shop.example", "shop.example:443"), ("shop.example:80", "Shop.example."), ("[::1]", "127.0.0.1:80")],
)
def test_one_host_is_one_however_it_is_written(first: str, second: str) -> None:
    scope = TrafficScope(documents("/v1"))
    assert judged(scope, to(first)) is not None
    assert judged(scope, to(second.lower())) is not None
    with pytest.raises(OutOfScope, match="several"):
        judged(scope, to("shop.example:8443"))


def test_what_to_choose_is_a_host_and_never_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.offline.scope.MAX_HOSTS", 1)
    scope = TrafficScope(documents("https://shop.example"))
    for host in ("a.test", "b.test", "c.test"):
        judged(scope, to(host))
    with pytest.raises(OutOfScope, match=r"choose with --host a\.test"):
        scope.check()


def test_exchanges_without_a_host_are_judged_unless_one_is_asked_for() -> None:
    assert audit.HOST.decode() == AUDITED
    named = documents("https://api.shop.example")
    assert judged(TrafficScope(named), to(None)) == ("0.yaml", "conforming")
    assert judged(TrafficScope(named), to(AUDITED, headers=())) == ("0.yaml", "conforming")
    assert judged(TrafficScope(named), to(AUDITED)) is None  # a client sent it
    scope = TrafficScope(named, given=["api.shop.example"])
    assert judged(scope, to(None)) is None
    with pytest.raises(OutOfScope, match=r"traffic is of \(no host\) 1: judge all with --any-host"):
        scope.check()


def test_each_exchange_is_judged_by_the_document_of_its_host_and_base_path() -> None:
    scope = TrafficScope(
        documents("https://a.example/v1", "https://a.example/v1/pets", "https://b.example", None)
    )
    assert judged(scope, to("a.example", b"/v1/pets")) == ("0.yaml", "conforming")  # the longest lacks it
    assert judged(scope, to("a.example", b"/v1/pets/pets")) == ("1.yaml", "conforming")
    assert judged(scope, to("a.example", b"/v1/pets/none")) == ("1.yaml", "shadow")
    assert judged(scope, to("b.example")) == ("2.yaml", "conforming")
    assert judged(scope, to("c.example")) == ("3.yaml", "conforming")


def test_hosts_are_counted_by_name_within_a_bound() -> None:
    scope = TrafficScope(documents("https://api.shop.example"))
    for number in range(3000):
        scope.judge(to(f"h{number}.example"))
    assert len(scope.left_out) == 1001
    assert sum(scope.left_out.values()) == 3000
