"""Specifications that Services name by annotation: read from their pods or a ConfigMap, from nowhere else."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent.wire import Resident, Residents
from server import annotated_specs, fetching
from server.analysis.specs.load import load
from server.cluster.settings import ClusterSettings
from server.cluster.spec_annotations import SPEC
from tests.agent.kube.api import SECRET, SERVICES, SLICES, Api, Object, access_to, endpoints
from tests.agent.kube.api import service as kube_service
from tests.agent.kube.api import serving as api_serving
from tests.server.api.test_api_uploads import DOCUMENT, service
from tests.server.records import NOON
from tests.server.running import Client, serving, wait_for

Answer = tuple[int, dict[str, str], bytes]
CONFIG_MAPS = "/api/v1/namespaces/shop/configmaps"
CART = Resident(("127.0.0.1",), "cart-1", "shop", "cart", "Deployment", {}, NOON - 1)
PORTS: tuple[Object, ...] = ({"name": "web", "port": 80},)


def document(title: str) -> bytes:
    return json.dumps({**json.loads(DOCUMENT), "info": {"title": title, "version": "1"}}).encode()


def annotate(api: Api, text: str, port: int = 1, *ips: str) -> None:
    """The Service `cart` with this annotation, before a pod."""
    api.put(SERVICES, kube_service("cart", "10.96.0.5", ports=PORTS, annotations={SPEC: text}))
    api.put(SLICES, endpoints("cart", *(ips or ("127.0.0.1",)), web=port))


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotated_specs, "TICK_S", 0.02)
    monkeypatch.setattr(annotated_specs, "LEAST_S", 0.05)
    monkeypatch.setattr(annotated_specs, "REFRESH_S", 0.1)


@contextmanager
def watching(folder: Path, api: Api, *namespaces: str) -> Iterator[Client]:
    """A server that takes specifications of these namespaces, and knows the pod."""
    (folder / "account").mkdir(exist_ok=True)
    with api_serving(api) as url:
        settings = ClusterSettings(access_to(url, folder / "account"), "east", frozenset(namespaces))
        with serving(folder / "data", load, cluster=settings) as client:
            client.report_pods(Residents("east", "node-1", (CART,)))
            yield client


def titles(client: Client) -> list[Any]:
    return [one["title"] for one in client.items("/specs")]


def is_asked(asked: list[Any], path: str) -> bool:
    return path in [one for one, _ in asked]


def said(caplog: pytest.LogCaptureFixture, text: str) -> None:
    wait_for(lambda: text in caplog.text, text)
    assert SECRET not in caplog.text


def test_a_document_of_the_services_pods_describes_their_workload_and_is_renewed(tmp_path: Path) -> None:
    answers: dict[str, Answer] = {"/openapi.json": (200, {}, document("First"))}
    api = Api()
    with service(answers) as (url, asked), watching(tmp_path, api, "shop") as client:
        annotate(api, "/openapi.json", int(url.rpartition(":")[2]))
        wait_for(lambda: titles(client) == ["First"], "the specification")
        (found,) = client.items("/apis")
        assert (found["name"], found["cluster"]) == ("shop/cart", "east")
        seen = len(asked)
        wait_for(lambda: len(asked) > seen + 2, "further readings")
        assert titles(client) == ["First"]  # the same is not uploaded again
        answers["/openapi.json"] = (200, {}, document("Second"))
        wait_for(lambda: titles(client) == ["Second"], "the renewed specification")
        assert {authorization for _, authorization in asked} == {None}


def test_what_is_stored_already_is_not_uploaded_again_after_a_restart(tmp_path: Path) -> None:
    api = Api()
    with service({"/x": (200, {}, DOCUMENT)}) as (url, asked):
        annotate(api, "/x", int(url.rpartition(":")[2]))
        with watching(tmp_path, api, "shop") as client:
            (first,) = wait_for(lambda: client.items("/specs"), "the specification")
        seen = len(asked)
        with watching(tmp_path, api, "shop") as client:
            wait_for(lambda: len(asked) > seen + 1, "readings after the restart")
            assert [one["id"] for one in client.items("/specs")] == [first["id"]]


def test_nothing_is_read_of_a_namespace_that_is_not_listed(tmp_path: Path) -> None:
    api, till = Api(), Resident(("127.0.0.3",), "till-1", "other", "till", "Deployment", {}, NOON - 1)
    api.put(
        "/api/v1/namespaces/other/configmaps", {"metadata": {"name": "s"}, "data": {"a": DOCUMENT.decode()}}
    )
    with service({"/x": (200, {}, DOCUMENT)}) as (url, asked):
        annotate(api, "/x", int(url.rpartition(":")[2]))
        api.put(SLICES, endpoints("till", "127.0.0.3", space="other"))
        api.put(SERVICES, kube_service("till", "10.96.0.6", space="other", annotations={SPEC: "configmap:s"}))
        with watching(tmp_path, api, "other") as client:
            client.report_pods(Residents("east", "node-1", (CART, till)))
            wait_for(lambda: titles(client), "the other's specification")
            assert [one["name"] for one in client.items("/apis")] == ["other/till"]
        assert asked == []


def test_it_is_off_unless_a_namespace_is_listed(tmp_path: Path) -> None:
    api = Api()
    with service({"/x": (200, {}, DOCUMENT)}) as (url, asked):
        annotate(api, "/x", int(url.rpartition(":")[2]))
        with watching(tmp_path, api) as client:
            write = client.core.store.write
            wait_for(lambda: write(lambda unit: unit.pods.at("east", "10.96.0.5")).result(), "the Service")
            assert "annotated specifications" not in {one.name for one in threading.enumerate()}
        assert asked == []


def test_a_redirect_leads_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    api = Api()
    with service({"/secret": (200, {}, DOCUMENT)}) as (elsewhere, stolen):
        answers: dict[str, Answer] = {
            "/away": (302, {"location": f"{elsewhere}/secret"}, b""),
            "/within": (302, {"location": "/x"}, b""),
            "/x": (200, {}, DOCUMENT),
        }
        with service(answers) as (url, asked), watching(tmp_path, api, "shop") as client:
            for path in ("/away", "/within"):
                annotate(api, path, int(url.rpartition(":")[2]))
                wait_for(partial(is_asked, asked, path), path)
            said(caplog, "the service redirects, which is not followed here")
            assert titles(client) == []
            assert {one for one, _ in asked} == {"/away", "/within"}
        assert stolen == []


def test_an_address_that_is_no_pod_of_the_namespace_is_not_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    api = Api()
    with service({"/x": (200, {}, DOCUMENT)}) as (url, asked), watching(tmp_path, api, "shop") as client:
        annotate(api, "/x", int(url.rpartition(":")[2]), "127.0.0.2")
        said(caplog, "not all addresses behind the Service are pods of its namespace")
        annotate(api, url + "/x", int(url.rpartition(":")[2]))
        said(caplog, f"{SPEC} is neither a path of the Service nor configmap:NAME")
        assert (asked, titles(client)) == ([], [])


def test_a_large_document_a_slow_one_and_one_that_is_none_are_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Api()
    answers: dict[str, Answer] = {
        "/big": (200, {}, b" " * 2000),
        "/no": (200, {}, SECRET.encode()),
        "/x": (200, {}, DOCUMENT),
    }
    with service(answers) as (url, _), watching(tmp_path, api, "shop") as client:
        port = int(url.rpartition(":")[2])
        annotate(api, "/no", port)
        said(caplog, "specification of the Service shop/cart:")
        monkeypatch.setattr(annotated_specs, "MAX_SPEC", 1000)
        annotate(api, "/big", port)
        said(caplog, "the document is larger than 1000 bytes")
        monkeypatch.setattr(fetching, "TOTAL_S", -1.0)
        annotate(api, "/x", port)
        said(caplog, "the document took longer")
        assert titles(client) == []


def test_a_config_map_holds_the_document(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    api = Api()
    with watching(tmp_path, api, "shop") as client:
        annotate(api, "configmap:spec")
        said(caplog, "the ConfigMap spec does not exist")
        api.put(CONFIG_MAPS, {"metadata": {"name": "spec"}, "data": {"a": "{}", "b": SECRET}})
        said(caplog, "the ConfigMap spec has 2 texts: name one")
        annotate(api, "configmap:spec/c")
        said(caplog, "the ConfigMap spec has no text c")
        api.put(CONFIG_MAPS, {"metadata": {"name": "spec"}, "data": {"c": DOCUMENT.decode(), "b": SECRET}})
        wait_for(lambda: titles(client) == ["Live"], "the specification")
        (found,) = client.items("/apis")
        assert found["name"] == "shop/cart"
        api.refuses = 403
        said(caplog, "may not be read (HTTP 403)")
