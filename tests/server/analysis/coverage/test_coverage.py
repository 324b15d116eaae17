"""Which parts of a specification were exercised, correctly or not, and by whom."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.wire import Endpoint, Mask, Process
from server.analysis.coverage import counts as counting
from server.analysis.coverage.counts import By, Counts, callers
from server.analysis.coverage.fields import MAX_FIELDS
from server.analysis.coverage.outline import Outline, level_of
from server.analysis.coverage.parts import parts_of
from server.analysis.coverage.report import matching, report
from server.analysis.coverage.table import csv_text, rows
from server.analysis.specs.judging.judged import Judged
from tests.server.analysis.coverage.shop import ORDER_FIELDS, by_agent, covered, creating, listing, of, shop
from tests.server.analysis.specs.spec_calls import PATIENT, answering, body, call, operation, parameter, spec

LIST, CREATE, OLD = "GET /v1/orders", "POST /v1/orders", "GET /v1/old"


def test_deprecated_operations_are_listed_and_left_out_of_the_totals() -> None:
    coverage = covered(call("GET", b"/v1/old"))
    assert (coverage["total"], coverage["hit"]) == (3, 0)
    assert coverage["deprecated"]["hit"] == 1
    assert of(coverage, OLD)["hits"] == {"2xx": 1}


def test_levels_are_told_by_the_version_in_the_path() -> None:
    coverage = covered(listing())
    assert {name: (one["total"], one["hit"]) for name, one in coverage["levels"].items()} == {
        "stable": (2, 1),
        "beta": (1, 0),
    }


@pytest.mark.parametrize(
    ("template", "level"),
    [
        ("/apis/apps/v1/deployments", "stable"),
        ("/apis/a.io/v2beta1/b", "beta"),
        ("/apis/a.io/v1alpha3/b", "alpha"),
        ("/api/v1/namespaces/{v1alpha1}/pods", "stable"),
        ("/version", "stable"),
    ],
)
def test_a_level_is_that_of_the_first_version(template: str, level: str) -> None:
    assert level_of(template) == level


def test_success_is_counted_apart_from_the_rest() -> None:
    coverage = covered(creating({}, 404), listing())
    assert (coverage["hit"], coverage["hit_2xx"]) == (2, 1)
    assert coverage["percent"] == 66.67
    assert of(coverage, CREATE)["hits"] == {"4xx": 1}


def test_a_watch_is_no_list() -> None:
    coverage = covered(listing(query=b"watch=true"), listing(query=b"watch=1"))
    assert of(coverage, LIST)["watch"] == {"2xx": 2}
    assert of(coverage, LIST)["hits"] == {}
    assert coverage["hit"] == 0
    assert of(covered(listing(query=b"watch=false")), LIST)["hits"] == {"2xx": 1}


def test_parameters_count_where_they_were_sent_right_or_wrong() -> None:
    wrong = listing(query=b"limit=many")
    made = creating({"id": 1}, headers=[(b"x-trace", b"1")])
    coverage = covered(wrong, made)
    assert of(coverage, LIST)["parameters"] == {"query:limit": 1, "query:watch": 0}
    assert of(coverage, LIST)["deviating"] == 1
    assert of(coverage, CREATE)["parameters"] == {"header:x-trace": 1}


def test_fields_are_those_of_the_schema_with_stars_for_items_and_for_names_of_maps() -> None:
    value = {"id": 1, "a/b": "x", "items": [{"sku": "1"}, {"sku": "2", "parts": []}], "labels": {"any": "1"}}
    one = of(covered(creating(value)), CREATE)
    sent = {name: n for name, n in one["fields"].items() if name.startswith("request.body")}
    assert sent == dict.fromkeys((f"request.body{pointer}" for pointer in ORDER_FIELDS), 1)
    assert {f"response.body.201{pointer}" for pointer in ORDER_FIELDS} <= one["fields"].keys()
    assert one["totals"]["fields"] == {"total": 16, "hit": 16}


def test_a_field_counts_once_an_exchange_and_absent_ones_stay_at_none() -> None:
    one = of(covered(creating({"items": [{"sku": "a"}, {"sku": "b"}]}), creating({"id": 3})), CREATE)
    assert one["fields"]["request.body/items/*/sku"] == 1
    assert one["fields"]["request.body/id"] == 1
    assert one["fields"]["request.body/labels"] == 0


def test_what_was_not_seen_of_a_body_is_said_and_not_taken_for_absent() -> None:
    cut = creating({"id": 1})
    assert cut.request is not None
    cut = replace(cut, request=replace(cut.request, body=replace(cut.request.body, state="truncated")))
    one = of(covered(cut), CREATE)
    assert one["bodies_unseen"] == 1
    assert one["fields"]["request.body/id"] == 0
    assert one["fields"]["response.body.201/id"] == 1


def test_a_masked_value_counts_as_its_field() -> None:
    made = replace(creating({"id": 1}), masks=(Mask("request.body", "/id", "name"),))
    assert of(covered(made), CREATE)["fields"]["request.body/id"] == 1


def test_callers_are_told_apart_by_what_was_asked_for() -> None:
    calls = [by_agent(listing(), "e2e", "creates a pod"), by_agent(listing(), "e2e"), listing()]
    assert of(covered(*calls), LIST)["consumers"] == {
        "e2e": {"hits": {"2xx": 2}, "watch": {}},
        "(unknown)": {"hits": {"2xx": 1}, "watch": {}},
    }
    assert list(of(covered(*calls, by=By.TEST), LIST)["consumers"]) == ["(unknown)", "creates a pod"]


def test_each_caller_has_its_own_share_of_each_level() -> None:
    calls = [by_agent(listing(), "shop"), by_agent(creating({}, 404), "shop"), by_agent(listing(), "e2e")]
    early = by_agent(call("GET", b"/v1beta1/orders"), "e2e")
    old, watch = by_agent(call("GET", b"/v1/old"), "old"), by_agent(listing(query=b"watch=1"), "e2e")
    found = covered(*calls, early, old, watch)["consumers"]
    assert list(found) == ["e2e", "shop"]  # most calls first; a deprecated operation counts for nobody
    assert found["e2e"]["calls"] == 3
    assert (found["shop"]["hit"], found["shop"]["percent"], found["shop"]["hit_2xx"]) == (2, 66.67, 1)
    assert {
        name: {level: (share["hit"], share["total"]) for level, share in one["levels"].items()}
        for name, one in found.items()
    } == {"e2e": {"stable": (1, 2), "beta": (1, 1)}, "shop": {"stable": (2, 2), "beta": (0, 1)}}
    assert list(covered(*calls, caller=matching("e*"))["consumers"]) == ["e2e"]


def test_a_watch_alone_covers_nothing_of_a_caller() -> None:
    one = covered(by_agent(listing(query=b"watch=1"), "informer"))["consumers"]["informer"]
    assert (one["calls"], one["hit"], one["levels"]["stable"]["percent"]) == (1, 0, 0.0)


def test_brackets_in_a_pattern_are_part_of_the_name() -> None:
    calls = [
        by_agent(listing(), "e2e", "[sig-node] Pods [Conformance]"),
        by_agent(creating({"id": 1}), "e2e", "C"),
    ]
    assert covered(*calls, by=By.TEST, caller=matching("[sig-node]*[Conformance]"))["hit"] == 1
    assert covered(*calls, by=By.TEST, caller=matching("[Conformance]"))["hit"] == 0


def test_a_pattern_restricts_to_some_callers() -> None:
    calls = [by_agent(listing(), "kubectl/1"), by_agent(creating({"id": 1}), "curl/8")]
    coverage = covered(*calls, caller=matching("kubectl/*"))
    assert coverage["hit"] == 1
    assert of(coverage, CREATE)["hits"] == {}
    assert of(coverage, LIST)["hits"] == {"2xx": 1}


def test_all_views_together_tell_who_called() -> None:
    process = Process(1, "curl", "boot")
    client = replace(listing(), side="client", process=process)
    server = replace(
        listing(),
        client=Endpoint(
            *("10.0.0.1", 5),
            pod="p",
            namespace="n",
            workload="d",
            image="d:1",
            labels={"helm.sh/chart": "d-1.2"},
        ),
    )
    assert dict(callers([client, server])) == {
        By.PROCESS: "curl",
        By.WORKLOAD: "n/d",
        By.POD: "n/p",
        By.NAMESPACE: "n",
        By.IMAGE: "d:1",
        By.CHART: "d-1.2",
        By.IP: "10.0.0.1",
    }


def test_a_level_or_a_tag_restricts_what_is_counted() -> None:
    assert covered(listing(), level="beta")["total"] == 1
    assert covered(listing(), tag="writing")["total"] == 1
    assert covered(listing())["tags"]["orders"]["hit"] == 1


def test_calls_that_nothing_describes_are_listed_by_template() -> None:
    coverage = covered(*(call("GET", b"/admin/17", status) for status in (200, 403, 404)))
    hits = {"2xx": 1, "4xx": 1, "probe": 1}
    assert coverage["unknown"] == [{"method": "GET", "path": "/admin/{id}", "hits": hits}]
    assert coverage["exchanges"] == 3


def test_unknown_calls_and_callers_are_bounded_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MAX_UNKNOWN", 3)
    monkeypatch.setattr(counting, "MAX_CALLERS", 2)
    calls = [call("GET", f"/word{chr(97 + i)}".encode()) for i in range(10)]
    coverage = covered(*calls, *(by_agent(listing(), f"agent-{i}") for i in range(10)))
    assert sum(sum(one["hits"].values()) for one in coverage["unknown"]) == 10
    assert len(coverage["unknown"]) == 4
    consumers = of(coverage, LIST)["consumers"]
    assert consumers["(other)"]["hits"] == {"2xx": 8}
    assert len(consumers) == 3


def test_a_schema_without_end_has_a_bounded_number_of_fields() -> None:
    wide = {"type": "object", "properties": {f"f{i}": {"$ref": "#/components/schemas/W"} for i in range(200)}}
    nested = {
        "type": "object",
        "properties": {f"n{i}": {"$ref": "#/components/schemas/N"} for i in range(200)},
    }
    outline = Outline([answering({"properties": {"w": wide, "n": nested}}, W=nested, N=wide)])
    assert outline.field_count(outline.offers["GET /x"]) <= MAX_FIELDS


def test_a_row_shows_what_the_report_says() -> None:
    row = next(row for row in rows(covered(listing(query=b"limit=1"))) if row["operation"] == LIST)
    assert (row["calls"], row["2xx"], row["parameters"], row["level"]) == (1, 1, "1/2", "stable")


def test_csv_reads_back_and_runs_nothing_in_a_spreadsheet() -> None:
    coverage = covered(listing())
    of(coverage, LIST)["operationId"] = "=1+1"
    table = list(csv.DictReader(io.StringIO(csv_text(coverage))))
    assert [row["operation"] for row in table] == [one["operation"] for one in coverage["operations"]]
    assert table[0]["operationId"] == "'=1+1"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["id", "items", "sku", "labels", "parts", "x"]), inner)
    ),
)


@PATIENT
@given(JSON)
def test_whatever_a_body_holds_only_described_fields_are_counted(value: Any) -> None:
    specification = shop()
    outline, record = Outline([specification]), creating(value)
    parts = parts_of(Judged.by(specification, record), outline)
    described = set(outline.field_names(outline.offers[CREATE]))
    assert {part[len("field:") :] for part in parts if part.startswith("field:")} <= described


@PATIENT
@given(st.binary())
def test_bytes_that_are_no_json_are_said_to_be_unseen(raw: bytes) -> None:
    specification = shop()
    record = call("POST", b"/v1/orders", 201, sent=body(b"\xff" + raw))
    assert "body:unseen" in parts_of(Judged.by(specification, record), Outline([specification]))


def test_counts_of_everyone_are_apart_from_those_of_callers() -> None:
    counts = Counts()
    counts.add("GET /x", None, ["hits:2xx"], 3)
    counts.add("GET /x", "curl", ["hits:2xx"], 2)
    assert counts.everyone["GET /x"]["hits:2xx"] == 3
    assert counts.callers["GET /x"]["curl"]["hits:2xx"] == 2


def test_calls_whose_parameter_holds_slashes_count_for_their_operation() -> None:
    described = {**parameter("ref", "path", {}), "x-multi-segment": True}
    refs = spec({"/refs/{ref}": {"get": operation(parameters=[described])}})
    outline, counts = Outline([refs]), Counts()
    for path in (b"/refs/main", b"/refs/heads/main"):
        one = call(path=path)
        counts.add_exchange(Judged.by(refs, one), outline, By.USER_AGENT)
    found = of(report(outline, counts), "GET /refs/{ref}")
    assert (found["hits"], found["parameters"]) == ({"2xx": 2}, {"path:ref": 2})


def test_parameters_and_fields_that_nothing_describes_are_named_and_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counting, "MAX_UNKNOWN_PARTS", 3)
    calls = [creating({"id": 1, "bogus": 2}), creating({"id": 1, "bogus": 3, "items": [{"odd": 1}]})]
    found = of(covered(*calls, listing(query=b"limit=1&loose=2"), *calls), CREATE)["unknown"]
    assert found == {
        "request.body/bogus": 4,
        "response.body/bogus": 4,
        "request.body/items/*/odd": 2,
        "(other)": 2,
    }
    assert of(covered(listing(query=b"loose=2")), LIST)["unknown"] == {"query:loose": 1}


def test_csv_names_the_first_consumers_and_says_how_many_more_there_are() -> None:
    coverage = covered(*[by_agent(listing(), f"agent/{n:02}") for n in range(53)])
    (row,) = [one for one in rows(coverage) if one["operation"] == LIST]
    assert row["called by"].startswith("agent/00 | agent/01 | ")
    assert row["called by"].endswith(" | agent/49 | and 3 more")


def test_excluded_operations_are_listed_and_left_out_of_the_totals() -> None:
    coverage = covered(listing(), excluded={"listOrders"})
    assert (coverage["total"], coverage["hit"]) == (2, 0)
    assert (coverage["excluded"]["total"], coverage["excluded"]["hit"]) == (1, 1)
    assert of(coverage, LIST)["excluded"]
