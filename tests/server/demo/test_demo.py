"""The sample services answer, and their calls deviate from the specification as intended."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from openapi_spec_validator import validate

from server.demo import payments
from server.demo.client import SampleClient, round_of_calls
from server.demo.orders import Orders
from server.demo.payments import Payments
from server.demo.service import MOST_BODY, Call, service
from tests.served import served

SPEC = Path(payments.__file__).with_name("orders.yaml")


@pytest.fixture
def orders() -> Iterator[http.client.HTTPConnection]:
    with served(service(Orders().call)) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        yield connection
        connection.close()


def ask(connection: http.client.HTTPConnection, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    connection.request(method, path, None if body is None else json.dumps(body))
    response = connection.getresponse()
    raw = response.read()
    return response.status, json.loads(raw) if raw else None


def test_an_order_lives_and_dies_over_one_connection(orders: http.client.HTTPConnection) -> None:
    status, order = ask(orders, "POST", "/v1/orders", {"customer": "ada", "items": [{"sku": "tea"}]})
    assert status == 201
    number = order["id"]
    assert ask(orders, "GET", f"/v1/orders/{number}") == (200, order)
    assert ask(orders, "GET", f"/v1/orders/{number}/status") == (200, {"status": "open"})
    assert ask(orders, "GET", "/v1/orders?status=open") == (200, {"orders": [order]})
    assert ask(orders, "GET", "/v1/orders?status=sent") == (200, {"orders": []})
    assert ask(orders, "POST", f"/v1/orders/{number}/refunds", {})[0] == 202
    assert ask(orders, "DELETE", f"/v1/orders/{number}") == (204, None)
    assert ask(orders, "GET", f"/v1/orders/{number}")[0] == 404


@pytest.mark.parametrize("body", [None, [], {}, {"items": 3}, {"items": [3]}, "x"])
def test_an_order_that_makes_no_sense_is_refused(orders: http.client.HTTPConnection, body: Any) -> None:
    assert ask(orders, "POST", "/v1/orders", body)[0] == 400


def test_bodies_are_bounded(orders: http.client.HTTPConnection) -> None:
    orders.putrequest("POST", "/v1/orders")
    orders.putheader("content-length", str(MOST_BODY + 1))
    orders.endheaders()
    assert orders.getresponse().status == 413


def test_payments_answer_over_tls_with_a_certificate_that_can_be_verified(tmp_path: Path) -> None:
    certificate = tmp_path / "demo.pem"
    with served(service(Payments().call, payments.context(certificate))) as port:
        context = ssl.create_default_context(cafile=str(certificate))
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=context)
        status, payment = ask(connection, "POST", "/payments", {"amount": 3})
        assert status == 201
        assert ask(connection, "GET", f"/payments/{payment['id']}") == (200, payment)
        assert ask(connection, "GET", "/payments/none")[0] == 404
        connection.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo.pem"]  # no key left


def test_without_openssl_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert payments.main([str(tmp_path / "demo.pem")]) == 1
    assert capsys.readouterr().err == f"{payments.NO_OPENSSL}\n"


def test_the_specification_is_valid_openapi() -> None:
    validate(yaml.safe_load(SPEC.read_text()))


def test_a_round_has_documented_deprecated_undocumented_and_deviating_calls() -> None:
    seen: list[tuple[str, str, Any, tuple[int, Any]]] = []

    def direct(call: Call) -> Any:
        def made(method: str, path: str, body: Any) -> Any:
            bare, _, _query = path.partition("?")
            answer = call(method, bare.strip("/").split("/"), {}, body)
            seen.append((method, path, body, answer))
            return answer[1]

        return made

    kinds = list(round_of_calls(direct(Orders().call), direct(Payments().call)))
    assert len(seen) == len(kinds)
    assert {"documented", "deprecated", "undocumented path", "undocumented query parameter"} <= set(kinds)
    statuses = {answer[0] for _, path, _, answer in seen if path != "/v1/orders/0"}
    assert statuses == {200, 201, 202, 204, 404}

    document = yaml.safe_load(SPEC.read_text())
    schema = {"$ref": "#/components/schemas/NewOrder", "components": document["components"]}
    sent = [body for method, path, body, _ in seen if (method, path) == ("POST", "/v1/orders")]
    assert [jsonschema_rs.is_valid(schema, body) for body in sent] == [True, False]


def test_a_caller_goes_on_after_its_connection_broke(orders: http.client.HTTPConnection) -> None:
    caller = SampleClient(orders, {})
    assert caller.call("GET", "/internal/debug/cache") == {"entries": 0}
    assert orders.sock is not None
    orders.sock.shutdown(2)
    caller.call("GET", "/internal/debug/cache")
    assert caller.call("GET", "/internal/debug/cache") == {"entries": 0}
