"""Where an annotation says that a specification is; its author chooses no address."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from agent.kube.objects import EndpointSlice, Service
from server.cluster.spec_annotations import (
    SPEC,
    AnnotatedSpec,
    InConfigMap,
    InPods,
    Unusable,
    annotated,
    annotated_specs,
)
from tests.agent.kube.api import Object, endpoints, service
from tests.server.cluster.test_services import Pods

WEB: Object = {"name": "web", "port": 80, "protocol": "TCP"}
ADMIN: Object = {"name": "admin", "port": 8443, "protocol": "TCP", "appProtocol": "https"}
DNS: Object = {"name": "dns", "port": 53, "protocol": "UDP"}
CART = Pods(**{"10.1.0.5": "cart", "10.1.0.6": "cart"})


def found(
    text: str, slices: Sequence[Object] = (), pods: Pods = CART, ports: tuple[Object, ...] = (DNS, WEB, ADMIN)
) -> AnnotatedSpec | Unusable:
    one = msgspec.convert(service("cart", "10.96.0.5", ports=ports, annotations={SPEC: text}), Service)
    behind = slices or [endpoints("cart", "10.1.0.6", "10.1.0.5", web=8080, admin=8081)]
    (spec,) = annotated_specs([one], [msgspec.convert(some, EndpointSlice) for some in behind], "east", pods)
    assert (spec.namespace, spec.service) == ("shop", "cart")
    return spec


def urls(text: str) -> tuple[str, ...]:
    spec = found(text)
    assert isinstance(spec, AnnotatedSpec)
    assert isinstance(spec.place, InPods)
    assert spec.workload == "shop/cart"
    return spec.place.urls


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/openapi.json", "http://10.1.0.5:8080/openapi.json"),
        (" /v3/api-docs?group=a ", "http://10.1.0.5:8080/v3/api-docs?group=a"),
        (":web/openapi.json", "http://10.1.0.5:8080/openapi.json"),
        (":80/openapi.json", "http://10.1.0.5:8080/openapi.json"),
        (":admin/openapi.json", "https://10.1.0.5:8081/openapi.json"),
        (":8443/openapi.json", "https://10.1.0.5:8081/openapi.json"),
        ("//169.254.169.254/latest", "http://10.1.0.5:8080//169.254.169.254/latest"),
        ("/@169.254.169.254/", "http://10.1.0.5:8080/@169.254.169.254/"),
    ],
)
def test_a_path_is_that_of_the_pods_behind_the_services_port(text: str, expected: str) -> None:
    assert urls(text) == (expected, expected.replace("0.5", "0.6"))


def test_an_unnamed_port_and_ipv6() -> None:
    unnamed: Object = {"port": 80}
    only = {**endpoints("cart", "fd00::5"), "ports": [{"port": 8080}]}
    pods = Pods(**{"fd00::5": "cart"})
    spec = found("/a", [only], pods, (unnamed,))
    assert isinstance(spec, AnnotatedSpec)
    assert spec.place == InPods(("http://[fd00::5]:8080/a",))


@pytest.mark.parametrize(
    "text",
    [
        "http://169.254.169.254/latest",
        "https://elsewhere.test/openapi.json",
        "openapi.json",
        "@169.254.169.254/",
        ":80@169.254.169.254/",
        "/a b",
        "/a\r\nHost: x",
        "/é",
        "/a#b",
        "/" + "a" * 401,
        ":9999/openapi.json",
        ":dns/openapi.json",
        "configmap:",
        "configmap:../secrets/token",
        "configmap:..%2fsecrets",
        "configmap:UPPER",
        "configmap:spec/a/b",
        "configmap:spec/../x",
        "secret:token",
    ],
)
def test_whatever_names_another_place_is_refused(text: str) -> None:
    assert isinstance(found(text), Unusable)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("configmap:spec", InConfigMap("spec", None)),
        ("configmap:cart.api/openapi.yaml", InConfigMap("cart.api", "openapi.yaml")),
    ],
)
def test_a_config_map_is_of_the_services_namespace(text: str, place: InConfigMap) -> None:
    assert found(text) == AnnotatedSpec("shop", "cart", "shop/cart", place)


@pytest.mark.parametrize(
    ("slices", "pods"),
    [
        ([endpoints("cart", "169.254.169.254", web=80)], CART),  # a slice that a user wrote
        ([endpoints("cart", "10.1.0.5", web=80), endpoints("cart", "10.9.9.9", part="2", web=80)], CART),
        ([endpoints("cart", "10.1.0.5", web=80)], Pods(**{"10.1.0.5": None})),  # of no workload
        ([endpoints("cart", "10.1.0.5", "10.1.0.6", web=80)], Pods(**{"10.1.0.5": "a", "10.1.0.6": "b"})),
        ([endpoints("cart", "10.1.0.5", ready=False, web=80)], CART),
        ([endpoints("cart", "10.1.0.5", admin=80)], CART),  # not the port
        ([endpoints("other", "10.1.0.5", web=80)], CART),
        ([endpoints("cart", "10.1.0.5", space="elsewhere", web=80)], CART),
    ],
)
def test_nothing_is_asked_but_pods_of_one_workload_that_agents_report(
    slices: list[Object], pods: Pods
) -> None:
    assert isinstance(found("/openapi.json", slices, pods), Unusable)


def test_pods_of_another_namespace_are_not_asked() -> None:
    one = msgspec.convert(service("cart", space="evil", ports=(WEB,), annotations={SPEC: "/a"}), Service)
    behind = msgspec.convert(endpoints("cart", "10.1.0.5", space="evil", web=8080), EndpointSlice)
    (spec,) = annotated_specs([one], [behind], "east", CART)  # agents report it in `shop`
    assert isinstance(spec, Unusable)


def test_only_annotations_in_listed_namespaces_count() -> None:
    services = [
        msgspec.convert(service(name, space=space, annotations={SPEC: text}), Service)
        for name, space, text in (
            ("b", "shop", "/x"),
            ("a", "shop", "/x"),
            ("c", "shop", " "),
            ("d", "x", "/x"),
        )
    ]
    assert [one.metadata.name for one in annotated(services, frozenset({"shop"}))] == ["a", "b"]
    assert annotated(services, frozenset()) == []
