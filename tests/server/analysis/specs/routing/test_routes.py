"""The operation of a path and method."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.wire import Mask
from server.analysis.specs.routing.routes import segments_of, template_segments
from server.analysis.specs.routing.trie import Partial, Trie, parse_segment
from tests.agent.redact import redaction
from tests.server.analysis.specs.spec_calls import PATIENT, call, found, operation, parameter, spec

TEMPLATES = [
    "/",
    "/pets",
    "/pets/{id}",
    "/pets/mine",
    "/pets/{id}.json",
    "/pets/{id}/toys",
    "/pets/mine/{part}/last",
    "/{any}/{id}/toys/{toy}",
    "/slash/",
    "/both",
    "/both/",
    "/a b/ü",
    "/{a}-{b}/x",
    "/v{version}:run",
]
PATHS = [
    (b"/", "/"),
    (b"", "/"),
    (b"/pets", "/pets"),
    (b"/pets/", "/pets"),
    (b"/pets/7", "/pets/{id}"),
    (b"/pets/7/", "/pets/{id}"),
    (b"/pets/mine", "/pets/mine"),
    (b"/pets/%6Dine", "/pets/mine"),
    (b"/pets/7.json", "/pets/{id}.json"),
    (b"/pets/.json", "/pets/{id}"),
    (b"/pets/mine/toys", "/pets/{id}/toys"),
    (b"/pets/mine/toys/last", "/pets/mine/{part}/last"),
    (b"/pets/mine/toys/3", "/{any}/{id}/toys/{toy}"),
    (b"/pets//toys", None),
    (b"/pets/7/8", None),
    (b"/pets%2F7", None),
    (b"/pets/%2F", "/pets/{id}"),
    (b"/slash", "/slash/"),
    (b"/both", "/both"),
    (b"/both/", "/both/"),
    (b"/a%20b/%C3%BC", "/a b/ü"),
    ("/a b/ü".encode(), "/a b/ü"),
    (b"/1-2-3/x", "/{a}-{b}/x"),
    (b"/-2/x", None),
    (b"/v12:run", "/v{version}:run"),
    (b"/v:run", None),
    (b"/nothing", None),
    (b"/pets/\xff", "/pets/{id}"),
    (b"/PETS", None),
]


@pytest.mark.parametrize(("path", "template"), PATHS)
def test_the_most_specific_template_wins(path: bytes, template: str | None) -> None:
    judge = spec({one: {"get": operation()} for one in TEMPLATES}).match
    assert judge(call(path=path)).operation == (f"GET {template}" if template else None)


@pytest.mark.parametrize(
    ("servers", "base_paths", "path", "key"),
    [
        ([], ("",), b"/x", "GET /x"),
        ([{"url": "/"}], ("",), b"/x", "GET /x"),
        ([{"url": "https://h.example/v1/"}], ("/v1",), b"/v1/x", "GET /v1/x"),
        ([{"url": "https://h/v1"}, {"url": "http://other:80/v1"}], ("/v1",), b"/v1/x", "GET /v1/x"),
        ([{"url": "https://h/v1"}], ("/v1",), b"/x", None),
        ([{"url": "https://h/v1"}], ("/v1",), b"/v1x/x", None),
        ([{"url": "/v1"}, {"url": "/v2"}], ("/v1", "/v2"), b"/v2/x", "GET /x"),
        ([{"url": "v1"}], ("/v1",), b"/v1/x", "GET /v1/x"),
        ([{"url": "./v1"}], ("/v1",), b"/v1/x", "GET /v1/x"),
        (
            [{"url": "https://{r}.h/{b}", "variables": {"r": {"default": "eu"}, "b": {"default": "v3"}}}],
            ("/v3",),
            b"/v3/x",
            "GET /v3/x",
        ),
    ],
)
def test_paths_stand_under_the_servers_base_paths(
    servers: list[Any], base_paths: tuple[str, ...], path: bytes, key: str | None
) -> None:
    loaded = spec({"/x": {"get": operation()}}, servers=servers)
    assert loaded.base_paths == base_paths
    assert loaded.match(call(path=path)).operation == key
    assert key is None or key == loaded.operations[0].key


def test_a_path_and_an_operation_may_have_servers_of_their_own() -> None:
    item = {
        "servers": [{"url": "/path"}],
        "get": operation(),
        "put": operation(servers=[{"url": "/put"}]),
    }
    judge = spec({"/x": item}, servers=[{"url": "/root"}]).match
    assert judge(call(path=b"/path/x")).operation == "GET /path/x"
    assert judge(call("PUT", path=b"/put/x")).operation == "PUT /put/x"
    assert judge(call(path=b"/root/x")).verdict == "shadow"


def test_head_is_answered_by_get_unless_it_is_described() -> None:
    judge = spec({"/x": {"get": operation()}, "/y": {"get": operation(), "head": operation()}}).match
    assert judge(call("HEAD")).operation == "GET /x"
    assert judge(call("HEAD", path=b"/y")).operation == "HEAD /y"


def test_connect_asks_a_proxy_for_a_tunnel_and_is_no_shadow() -> None:
    judge = spec({"/a": {"get": {}}}).match
    assert judge(call("CONNECT", path=b"shop:443")).verdict == "unjudged"


def test_a_preflight_is_the_browsers_question_and_no_shadow() -> None:
    judge = spec({"/x": {"get": operation()}}).match
    headers = [(b"Origin", b"*"), (b"access-control-request-method", b"PUT")]
    assert judge(call("OPTIONS", headers=headers)).verdict == "unjudged"
    assert judge(call("OPTIONS", path=b"*")).verdict == "unjudged"
    assert judge(call("OPTIONS")).verdict == "shadow"


def test_equal_templates_share_their_methods() -> None:
    paths = {"/x/{a}": {"get": operation()}, "/x/{b}": {"get": operation(), "put": operation()}}
    loaded = spec(paths)
    assert loaded.match(call(path=b"/x/1")).operation == "GET /x/{a}"
    assert loaded.match(call("PUT", path=b"/x/1")).operation == "PUT /x/{b}"
    assert loaded.warnings == (
        "/paths/~1x~1{b}: GET of an equal path is described before; this one is not used",
        "/paths/~1x~1{b}: another path differs from this one in names of parameters only",
    )


def test_a_masked_segment_makes_no_shadow_of_what_it_may_have_been() -> None:
    judge = spec({"/token/2fa": {"get": operation()}, "/token/2fa/all/{n}": {"get": operation()}}).match
    masks = [Mask("path", "1", "name")]
    assert judge(call(path=b"/token/rrrr", masks=masks)).verdict == "unjudged"
    assert judge(call(path=b"/token/rrrr/all/1", masks=masks)).verdict == "unjudged"
    assert found(judge(call(path=b"/tokens/rrrr", masks=masks))) == [("unknown-path", "path", "")]


def test_a_deprecated_operation_is_a_zombie_only_where_nothing_deviates() -> None:
    judge = spec({"/x": {"get": operation(deprecated=True)}}).match
    conforming, deviating = judge(call()), judge(call(query=b"z=1"))
    assert (conforming.verdict, conforming.deprecated) == ("zombie", True)
    assert (deviating.verdict, deviating.deprecated) == ("deviating", True)


@pytest.mark.parametrize(
    ("segment", "text", "values"),
    [
        ("{a}.json", "x.json", ["x"]),
        ("{a}.json", "x.json.json", ["x.json"]),
        ("{a}-{b}", "1-2-3", ["1", "2-3"]),
        ("{a}{b}", "xyz", ["x", "yz"]),
        ("{a}{b}", "x", None),
        ("({a})", "(x)", ["x"]),
        ("{a}-{b}-", "1-2-", ["1", "2"]),
        ("{a}-{b}-", "1--", None),
    ],
)
def test_a_segment_of_parts_is_split_at_its_literals(
    segment: str, text: str, values: list[str] | None
) -> None:
    parsed = parse_segment(segment)
    assert isinstance(parsed, Partial)
    assert parsed.values(text) == values


SEGMENTS = st.sampled_from(["a", "b", "{x}", "{x}.j", "a{x}", "{x}-{y}"])
TEXTS = st.sampled_from(["a", "b", "ab", "a.j", "x", "1-2", "", "a-b.j"])


@settings(PATIENT)
@given(st.lists(st.lists(SEGMENTS, max_size=4), max_size=8), st.lists(TEXTS, max_size=4))
def test_the_trie_finds_a_template_exactly_if_one_fits(templates: list[list[str]], path: list[str]) -> None:
    trie: Trie[list[str]] = Trie()
    parsed = [[parse_segment(segment) for segment in template] for template in templates]
    for template in parsed:
        trie.leaf(template, list)

    def fits(template: list[str | Partial]) -> bool:
        return len(template) == len(path) and all(
            segment == text if isinstance(segment, str) else segment.values(text) is not None
            for segment, text in zip(template, path, strict=True)
        )

    assert (trie.find(path) is not None) == any(map(fits, parsed))


@settings(PATIENT)
@given(st.binary(max_size=40))
def test_any_bytes_are_a_path(raw: bytes) -> None:
    assert all(isinstance(segment, str) for segment in segments_of(raw))


PROXY = "/pods/{name}/proxy/{path}"


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        (b"/pods/a/proxy/x", PROXY),
        (b"/pods/a/proxy/x/metrics", PROXY),
        (b"/pods/a/proxy/healthz/", PROXY),
        (b"/pods/a/proxy//x", PROXY),
        (b"/pods/a/proxy", "/pods/{name}/proxy"),
        (b"/pods/a/proxy/", "/pods/{name}/proxy"),
        (b"/pods/a/proxy/known/{id}", "/pods/{name}/proxy/known/{id}"),
        (b"/all/x/y", "/all/{proxy+}"),
        (b"/all", None),
        (b"/pods/a/b", None),
    ],
)
def test_a_path_parameter_at_the_end_takes_what_is_left(path: bytes, operation: str | None) -> None:
    templates = [
        "/pods/{name}",
        "/pods/{name}/proxy",
        PROXY,
        "/pods/{name}/proxy/known/{id}",
        "/all/{proxy+}",
    ]
    loaded = spec({template: {"get": {"responses": {"200": {"description": ""}}}} for template in templates})
    found = loaded.match(call(path=path)).operation
    assert found == (operation and f"GET {operation}")


REFS = ["/git/ref/{ref}", "/branches/{b}", "/branches/{b}/rules", "/branches/{b}/rules/{n}", "/ops/{x}:run"]


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        (b"/git/ref/main", REFS[0]),
        (b"/git/ref/heads/main", REFS[0]),
        (b"/git/ref/heads/main/", REFS[0]),
        (b"/git/ref", None),
        (b"/git/ref/", None),
        (b"/branches/a", REFS[1]),
        (b"/branches/a/b", REFS[1]),
        (b"/branches/a/rules", REFS[2]),
        (b"/branches/a/b/rules", REFS[2]),
        (b"/branches/a/b/rules/", REFS[2]),
        (b"/branches/a/rules/rules", REFS[3]),
        (b"/branches/a/b/rules/7", REFS[3]),
        (b"/branches/a/rules/7/8", REFS[1]),
        (b"/ops/a:run", REFS[4]),
        (b"/ops/a/b:run", REFS[4]),
        (b"/ops/a/b", None),
    ],
)
def test_a_marked_parameter_takes_slashes_where_nothing_fits_without(path: bytes, operation: str) -> None:
    assert spec(marked()).match(call(path=path)).operation == (operation and f"GET {operation}")


def marked() -> dict[str, Any]:
    """The paths of REFS; the first parameter of each may contain slashes, by an extension in one of two
    methods.
    """
    names = [re.findall("{(.)", template) for template in REFS]
    return {
        template: {
            "get": {"responses": {"200": {"description": ""}}},
            "put": {
                "parameters": [{**parameter(name, "path", {}), "x-multi-segment": True}],
                "responses": {"200": {"description": ""}},
            },
        }
        for template, (name, *_) in zip(REFS, [["ref"], *names[1:]], strict=True)
    }


@pytest.mark.parametrize("mark", ["{+name}", "{name+}", "{name*}"])
def test_a_mark_in_the_template_names_the_same_parameter(mark: str) -> None:
    described = parameter("name", "path", {"enum": ["a/b"]})
    loaded = spec({f"/x/{mark}/y": {"get": operation(parameters=[described])}})
    assert loaded.match(call(path=b"/x/a/b/y")).verdict == "conforming"
    assert found(loaded.match(call(path=b"/x/a/c/y"))) == [("enum", "path", "name")]
    assert loaded.match(call(path=b"/x/y")).verdict == "shadow"


def test_reserved_characters_are_no_slashes() -> None:
    described = {**parameter("name", "path", {}), "allowReserved": True}
    loaded = spec({"/x/{name}": {"get": operation(parameters=[described])}}, openapi="3.2.0")
    assert loaded.match(call(path=b"/x/a/b")).verdict == "shadow"


def test_each_of_several_marked_parameters_holds_what_is_its_own() -> None:
    described = [parameter("a", "path", {"const": "1/2"}), parameter("b", "path", {"const": "3"})]
    described.append(parameter("c", "path", {"const": "4/5"}))
    loaded = spec({"/{a+}/x/{b}/{c+}": {"get": operation(parameters=described)}})
    assert loaded.match(call(path=b"/1/2/x/3/4/5")).verdict == "conforming"
    assert found(loaded.match(call(path=b"/1/x/3/4"))) == [("enum", "path", "a"), ("enum", "path", "c")]


def test_a_mask_within_what_a_marked_parameter_took_is_not_blamed() -> None:
    loaded = spec({"/x/{a+}": {"get": operation(parameters=[parameter("a", "path", {"enum": ["1/2"]})])}})
    masks = [Mask("path", "2", "name")]
    assert loaded.match(call(path=b"/x/1/rrr", masks=masks)).verdict == "unjudged"


FILLED = st.sampled_from(["a", "b", "ab", "a.j", "x", "a-b.j"])
SPANNING = st.sampled_from(["a", "b", "{x}", "{x+}", "{x+}.j", "a{x+}"])


@settings(PATIENT)
@given(st.lists(st.lists(SPANNING, max_size=4), max_size=6), st.lists(FILLED, max_size=6))
def test_the_trie_finds_a_spanning_template_exactly_if_one_fits(
    templates: list[list[str]], path: list[str]
) -> None:
    trie: Trie[str] = Trie()
    for template in templates:
        text = "".join(f"/{segment}" for segment in template)
        trie.leaf(template_segments(text), lambda text=text: text)  # type: ignore[misc]
    shown = "".join(f"/{segment}" for segment in path)
    assert (trie.find(path) is not None) == any(_fits(one, shown, "[^/]+") for one in templates)
    assert (trie.find_any(path) is not None) == any(
        _fits(one, shown, "[^/]+(?:/[^/]+)*") for one in templates
    )
    assert trie.could_fit(path, frozenset()) == (trie.find_any(path) is not None)


def _fits(template: list[str], path: str, several: str) -> bool:
    """By a regular expression; values of several segments are declared by one too."""
    pattern = "".join(
        "/" + segment.replace(".", "[.]").replace("{x+}", f"(?:{several})").replace("{x}", "[^/]+")
        for segment in template
    )
    return re.fullmatch(pattern, path) is not None


def test_what_is_left_of_the_path_is_judged_as_one_value() -> None:
    described = {"name": "path", "in": "path", "required": True, "schema": {"enum": ["a/b"]}}
    item = {"get": {"parameters": [described], "responses": {"200": {"description": ""}}}}
    loaded = spec({"/x/{path}": item})
    assert loaded.match(call(path=b"/x/a/b")).verdict == "conforming"
    assert loaded.match(call(path=b"/x/a/c")).verdict == "deviating"


def test_a_masked_segment_that_only_one_template_can_take_as_a_parameter_is_judged() -> None:
    keys = [parameter("sid", "path", {"type": "integer"})]
    judge = spec(
        {
            "/keys/{sid}.json": {"get": operation(parameters=keys)},
            "/calls/{sid}.json": {"get": operation(parameters=keys)},
            "/calls/2nd.json": {"get": operation()},
        }
    ).match
    masks = [Mask("path", "1", "name")]
    masked = judge(call(path=b"/keys/xxxx", masks=masks))  # as agents masked before they kept the type
    assert (masked.operation, masked.verdict) == ("GET /keys/{sid}.json", "conforming")
    assert judge(call(path=b"/calls/xxxx", masks=masks)).verdict == "unjudged"
    assert judge(call("PUT", b"/keys/xxxx", masks=masks)).verdict == "unjudged"
    assert judge(call(path=b"/keys/xxxx")).verdict == "shadow"


def test_a_masked_segment_was_no_plain_word_that_the_document_knows() -> None:
    templates = ("/tokens/{id}", "/tokens/revoke", "/tokens/2fa/{id}", "/tokens/mine/{id}")
    judge = spec({template: {"get": operation()} for template in templates}).match
    masks = [Mask("path", "1", "name")]
    assert judge(call(path=b"/tokens/xxxx", masks=masks)).operation == "GET /tokens/{id}"
    assert judge(call(path=b"/tokens/xxxx/7", masks=masks)).verdict == "unjudged"


TWILIO = (
    "/2010-04-01/Accounts/{AccountSid}.json",
    "/2010-04-01/Accounts/{AccountSid}/SigningKeys.json",
    "/2010-04-01/Accounts/{AccountSid}/SigningKeys/{Sid}.json",
    "/2010-04-01/Accounts/{AccountSid}/SIP/CredentialLists/{ListSid}/Credentials/{Sid}.json",
    "/2010-04-01/Accounts/{AccountSid}/SIP/Domains/{DomainSid}/Auth/Calls/CredentialListMappings.json",
    "/2010-04-01/Accounts/{AccountSid}/SIP/Domains/{DomainSid}/Auth/Calls/CredentialListMappings/{Sid}.json",
    "/2010-04-01/Accounts/{AccountSid}/SIP/Domains/{DomainSid}/Auth/Registrations/CredentialListMappings.json",
)


@pytest.mark.parametrize("template", TWILIO)
def test_operations_below_names_of_secrets_are_judged_after_redaction(template: str) -> None:
    judge = spec({one: {"get": operation()} for one in TWILIO}).match
    sids = random.Random(template)
    sent = re.sub(r"\{[^}]+\}", lambda _: f"SK{sids.getrandbits(128):032x}", template)
    redacted = redaction.record(redaction.request(sent.encode(), method=b"GET"), redaction.response())
    judged = judge(redacted)
    assert (judged.operation, judged.verdict) == (f"GET {template}", "conforming")


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (b"/files/a.txt", "GET /files/{path}"),
        (b"/files/docs/a.txt", "GET /files/{path}"),
        (b"/files/a.txt/versions", "GET /files/{path}/versions"),
        (b"/files/docs/a.txt/versions", "GET /files/{path}/versions"),
        (b"/files/docs/a.txt/versions/7", "GET /files/{path}/versions/{id}"),
        (b"/other/docs/a.txt/versions", None),
    ],
)
def test_a_parameter_that_spans_at_the_end_of_a_template_spans_in_longer_ones(
    path: bytes, key: str | None
) -> None:
    paths = (
        "/files/{path}",
        "/files/{path}/versions",
        "/files/{path}/versions/{id}",
        "/other/{path}/versions",
    )
    loaded = spec({one: {"get": operation()} for one in paths})
    assert loaded.match(call(path=path)).operation == key
