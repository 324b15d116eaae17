"""Consumers: the same caller is recognised again, and nothing of its credential is stored."""

from __future__ import annotations

import base64
import json

import pytest

from agent.http.messages import Headers
from agent.redact.policy import Policy
from agent.redact.redactor import Redactor
from agent.wire import Consumer, Record
from tests.agent.redact.redaction import (
    KEY,
    POLICY,
    PROVENANCE,
    exchange,
    record,
    request,
    response,
)
from tests.agent.redact.test_redactor_canary_table import JWT


def _consumer(*headers: tuple[bytes, bytes], target: bytes = b"/", key: bytes = KEY) -> Consumer:
    return record(request(target, headers), key=key).consumer


def _bearer(token: bytes) -> tuple[bytes, bytes]:
    return b"authorization", b"Bearer " + token


def _jwt(header: object, claims: object) -> bytes:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    return b".".join((*parts, b"c2lnbmF0dXJl"))


def test_the_same_credential_has_the_same_fingerprint_and_another_a_different_one() -> None:
    one = _consumer(_bearer(b"one"))
    assert one.credential is not None
    assert len(bytes.fromhex(one.credential)) == 16
    assert one.credential_scheme == "bearer"
    assert _consumer(_bearer(b"one"), (b"accept", b"x"), target=b"/other").credential == one.credential
    others = [
        _consumer(_bearer(b"two")),
        _consumer(_bearer(b"one"), key=bytes(32)),
        _consumer((b"authorization", b"Token one")),
        _consumer((b"x-api-key", b"one")),
    ]
    assert len({one.credential, *(other.credential for other in others)}) == 5


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            b'Digest username="ada", nonce="1", response="x"',
            b'Digest username="ada", nonce="2", response="y"',
        ),
        (
            b"AWS4-HMAC-SHA256 Credential=AKID/20260101/x/s3/aws4_request, SignedHeaders=host, Signature=aa",
            b"AWS4-HMAC-SHA256 Credential=AKID/20260102/x/s3/aws4_request, SignedHeaders=host, Signature=bb",
        ),
        (b'Hawk id="ada", ts="1", mac="x"', b'Hawk id="ada", ts="2", mac="y"'),
        (b"SharedKey account:one", b"SharedKey account:two"),
    ],
)
def test_credentials_that_change_with_each_request_name_one_caller(first: bytes, second: bytes) -> None:
    one, two = _consumer((b"authorization", first)), _consumer((b"authorization", second))
    assert one.credential == two.credential


def test_a_renewed_jwt_keeps_its_subject() -> None:
    renewed = [
        _consumer(_bearer(_jwt({"alg": "RS256"}, {"iss": "https://id.example", "sub": "ada", "exp": expiry})))
        for expiry in (1, 2)
    ]
    assert renewed[0].credential != renewed[1].credential
    assert renewed[0].facts["jwt.subject"] == renewed[1].facts["jwt.subject"]


def test_facts_that_need_the_secret_are_told_and_no_value_is() -> None:
    assert _consumer((b"authorization", b"Basic eDp5")).facts == {"basic": "true"}
    facts = _consumer(_bearer(JWT)).facts
    assert facts.pop("jwt.subject")
    assert facts == {"jwt.alg": "HS256", "jwt.exp": "4102444800", "jwt.claims": "exp sub"}


@pytest.mark.parametrize(
    ("header", "claims", "facts"),
    [
        ({"alg": "none"}, {}, {"jwt.alg": "none"}),
        ({"alg": "a secret phrase"}, {}, {"jwt.alg": "other"}),
        ({"alg": 7}, {"exp": "soon"}, {"jwt.alg": "other", "jwt.claims": "exp"}),
        ({"alg": "RS256"}, {"exp": -1, "a b": 1, "x" * 65: 1}, {"jwt.alg": "RS256", "jwt.claims": "exp"}),
        ({"alg": "RS256"}, [1], {"jwt.alg": "RS256"}),
        ([], {}, {}),
    ],
)
def test_an_odd_jwt_tells_only_what_is_well_formed(
    header: object, claims: object, facts: dict[str, str]
) -> None:
    assert _consumer(_bearer(_jwt(header, claims))).facts == facts


def test_a_jwt_with_too_many_or_too_deep_claims_is_bounded() -> None:
    many = _consumer(_bearer(_jwt({"alg": "x"}, {f"claim{i}": 1 for i in range(500)}))).facts
    assert len(many["jwt.claims"].split()) == 32
    deep = base64.urlsafe_b64encode(b"[" * 10_000)
    assert _consumer(_bearer(deep + b".x.y")).facts == {}


@pytest.mark.parametrize(
    ("headers", "target", "scheme", "facts"),
    [
        (((b"x-api-key", b"abc"),), b"/", "api-key", {"in": "header", "name": "x-api-key"}),
        ((), b"/?page=1&api%5Fkey=abc", "api-key", {"in": "query", "name": "api_key"}),
        (((b"cookie", b"theme=x; JSESSIONID=abc"),), b"/", "cookie", {"in": "cookie", "name": "JSESSIONID"}),
        (((b"x-api-key", b"abc"), (b"authorization", b"Basic eDp5")), b"/", "basic", {"basic": "true"}),
        (((b"authorization", b"weird"),), b"/", "other", {}),
        (((b"x-csrf-token", b"abc"), (b"cookie", b"theme=x")), b"/?page=1", None, {}),
        ((), b"/", None, {}),
    ],
)
def test_the_strongest_credential_counts(
    headers: Headers, target: bytes, scheme: str | None, facts: dict[str, str]
) -> None:
    consumer = _consumer(*headers, target=target)
    assert (consumer.credential_scheme, consumer.facts) == (scheme, facts)
    assert (consumer.credential is None) == (scheme is None)


def test_a_key_is_the_same_in_plain_and_percent_encoded() -> None:
    plain, encoded = _consumer(target=b"/?api_key=abc"), _consumer(target=b"/?api_key=%61bc")
    assert plain.credential == encoded.credential


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (b"By=x;Hash=1;URI=spiffe://cluster/ns/a/sa/b", "spiffe://cluster/ns/a/sa/b"),
        (b'Hash=1;Subject="CN=ada, O=Example; x";DNS=h', "CN=ada, O=Example; x"),
        (b"Hash=1;DNS=h.example", "h.example"),
        (b'URI=spiffe://forged,Subject="CN=a,b",URI=spiffe://near', "spiffe://near"),
        (b"Hash=1", None),
        (b'"""===;;;', None),
    ],
)
def test_the_client_certificates_name_is_that_of_the_nearest_proxy(header: bytes, name: str | None) -> None:
    assert _consumer((b"x-forwarded-client-cert", header)).client_name == name


@pytest.mark.parametrize(
    ("verified", "name"),
    [(b"SUCCESS", "CN=ada,O=Example"), (b"FAILED:self-signed certificate", None), (b"NONE", None)],
)
def test_the_subject_from_ingress_nginx_counts_if_it_was_verified(verified: bytes, name: str | None) -> None:
    headers = ((b"SSL-Client-Verify", verified), (b"ssl-client-subject-dn", b"CN=ada,O=Example"))
    assert _consumer(*headers).client_name == name
    assert _consumer(*headers[1:]).client_name is None


def test_user_agent_test_name_and_aggregation_are_told() -> None:
    agent = b"e2e.test/v1.30 (linux/amd64) kubernetes/abc -- [sig-apps] Deployment should roll [Conformance]"
    consumer = _consumer((b"user-agent", agent), (b"x-test", b"blue"))
    assert consumer.user_agent == agent.decode()
    assert consumer.test_name == "[sig-apps] Deployment should roll [Conformance]"
    assert consumer.aggregation == "blue"
    assert _consumer((b"user-agent", b"curl/1")).test_name is None


def _grouped(*names: str, policy: Policy = POLICY, value: bytes = b"blue") -> Record:
    """Of a request with these headers, that are also those of the annotations, and the operator's."""
    headers = [(name.title().encode(), value) for name in names]
    one = exchange(request(headers=(*headers, (b"x-test", b"operator's"))), response(tuple(headers)))
    return Redactor(policy, KEY).record(one, PROVENANCE, names)


def test_the_first_annotated_header_that_a_request_has_groups_it_then_the_operators() -> None:
    assert _grouped("x-team", "x-tenant").consumer.aggregation == "blue"
    redactor, asked = Redactor(POLICY, KEY), exchange(request(headers=((b"x-tenant", b"red"),)))
    assert redactor.record(asked, PROVENANCE, ("x-team", "x-tenant")).consumer.aggregation == "red"
    assert _grouped().consumer.aggregation == "operator's"


def test_an_annotated_header_is_kept_in_requests_of_that_pod_and_nowhere_else() -> None:
    redactor, asked = Redactor(Policy(), KEY), exchange(request(headers=((b"x-team", b"blue"),)))
    for headers, kept in ((("x-team",), True), ((), False), (("x-team",), True), (("x-other",), False)):
        made = redactor.record(asked, PROVENANCE, headers)
        assert made.request is not None
        assert ((b"x-team", b"blue") in made.request.headers) is kept
        assert (made.consumer.aggregation == "blue") is kept
    answered = _grouped("x-team").response
    assert answered is not None
    assert (b"X-Team", b"blue") not in answered.headers


@pytest.mark.parametrize(
    "name",
    ["authorization", "cookie", "x-api-key", "x-auth-token", "x-forwarded-client-cert", "x-masked"],
)
def test_no_annotation_reveals_a_credential_or_what_the_operator_masks(name: str) -> None:
    made = _grouped(name, policy=Policy(mask_names=frozenset({"x-masked"})), value=b"hunter2 hunter2")
    assert made.consumer.aggregation is None
    assert b"hunter2" not in repr(made).encode()


def test_the_value_of_an_annotated_header_is_redacted_as_a_text() -> None:
    made = _grouped("x-team", value=JWT)
    assert made.consumer.aggregation is not None
    assert JWT.decode() not in repr(made)
    assert len(_grouped("x-team", value=b"blue " * 200).consumer.aggregation or "") <= 256
