"""The secrets of the canary test, and the calls that carry them: one per place that a secret can be in."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from tests.e2e.calls import Call, fresh_id
from tests.e2e.compare import BODY_CAP
from tests.e2e.observations import AGGREGATION_HEADER, Pairs
from tests.secret_bodies import CLASSES

JSON_TYPE = (b"Content-Type", b"application/json")
FORM_TYPE = (b"Content-Type", b"application/x-www-form-urlencoded")
TEXT_TYPE = (b"Content-Type", b"text/plain")
BOUNDARY = b"spectap-boundary"
PARTS_TYPE = (b"Content-Type", b"multipart/form-data; boundary=" + BOUNDARY)
CONFORMING, DEVIATING = ("conforming",), ("deviating",)
IN_JWT = ("JWT payload", "JWT subject", "JWT signature")


def _url64(text: bytes) -> bytes:
    return base64.urlsafe_b64encode(text).rstrip(b"=")


JWT_SIGNATURE = b"Wq8xJvK2mTzR5bYnL0cFhG7dPaSeUi3oXtBkMjQvZ4E"
JWT_SUBJECT = b"orlando-furioso-canto-XXIII"
JWT_PAYLOAD = _url64(b'{"sub":"' + JWT_SUBJECT + b'","exp":4102444800}')
JWT = b".".join((_url64(b'{"alg":"HS256","typ":"JWT"}'), JWT_PAYLOAD, JWT_SIGNATURE))

SECRETS: dict[str, bytes] = {
    "basic password": b"Trombone-Parapet-8814",
    "bearer token": b"mF_9.B5f-4.1JqM-Xylophone7",
    "JWT payload": JWT_PAYLOAD,
    "JWT subject": JWT_SUBJECT,
    "JWT signature": JWT_SIGNATURE,
    "session cookie": b"q9Zebra2Mandolin5Yacht",
    "set cookie": b"v3Quokka8Bassoon1Igloo",
    "response token": b"t7Walrus4Clarinet6Fjord",
    "API key": b"k5Ocelot2Harpsichord9Dune",
    "query key": b"Falcon9Piccolo3Glacier",
    "encoded query key": b"Badger+Tuba/Canyon=77 &x",
    "twice encoded query key": b"Lemur%Viola%Mesa-4471",
    "JSON password": b"Heron6Accordion2Lagoon",
    "nested token": b"Otter1Bagpipe8Volcano",
    "escaped password": b"Puffin5Dulcimer7Steppe",
    "form password": b"Gecko4Ukulele9Tundra",
    "user-info password": b"Marmot3Ocarina6Plateau",
    "referrer password": b"Toucan8Theremin1Estuary",
    "target user-info": b"Ibex7Kazoo2Promontory",
    "gzipped password": b"Newt2Saxophone5Archipelago",
    "gzipped answer": b"Lynx9Melodica4Peninsula",
    "password in pieces": b"Stoat6Vuvuzela3Isthmus",
    "key in pieces": b"Coypu1Didgeridoo8Escarpment",
    "multipart password": b"Vole5Glockenspiel7Caldera",
    "chunked password": b"Wombat8Balalaika2Moraine",
    "password at the cap": b"Tapir4Hurdygurdy6Drumlin",
    "password beside a wrong type": b"Numbat3Sousaphone9Fumarole",
    "key in a header that is none": b"Dingo2Flugelhorn5Taiga",
    "card number": b"4012888888881881",
    "cloud key": b"AKIAIOSFODNN7CANARY2",
    "plain text password": b"Quoll7Euphonium1Oxbow",
}


def _made_up(name: str) -> bytes:
    """A secret unlike the others, without a recognisable form."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"{digest[:9]}.{digest[9:18]}".encode()


DOCUMENTS = {
    f"{kind}, {name}": made for kind, documents in CLASSES.items() for name, made in documents.items()
}
SECRETS |= {name: _made_up(name) for name in DOCUMENTS}

SET_COOKIE = b"session=" + SECRETS["set cookie"] + b"; Path=/; HttpOnly"
REPLY_HEADERS = (f"Set-Cookie: {SET_COOKIE.decode()}", f"X-Auth-Token: {SECRETS['response token'].decode()}")


@dataclass(frozen=True, slots=True)
class Planted:
    """A call, the names of the secrets in it, and the verdict under the specification.

    `verdicts` is None if the case concerns something without a verdict; `parsable` is off if the call is not
    HTTP to a strict parser, so that its path cannot be stored. `kind` is the class that its leaks are counted
    under.
    """

    call: Call
    secrets: tuple[str, ...]
    verdicts: tuple[str, ...] | None = None
    parsable: bool = True
    kind: str = ""

    @property
    def case(self) -> str:
        return self.call.id.rpartition("-")[0]


def _post(case: str, body: bytes, *headers: tuple[bytes, bytes], path: str = "/echo/json") -> Call:
    name = fresh_id(case)
    named = (AGGREGATION_HEADER.encode(), name.encode())
    return Call(name, "POST", f"{path}/{name}".encode(), (*headers, named), body)


def _get(case: str, *headers: tuple[bytes, bytes], path: bytes = b"/echo/things", query: bytes = b"") -> Call:
    name = fresh_id(case)
    named = (AGGREGATION_HEADER.encode(), name.encode())
    return Call(name, "GET", path + b"/" + name.encode() + query, (*headers, named))


def _pieces(call: Call) -> Call:
    return Call(call.id, call.method, call.target, call.headers, call.body, piece=1)


def _text(name: str) -> str:
    return SECRETS[name].decode()


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _escaped(name: str) -> bytes:
    """JSON whose password is written in escapes, as any JSON encoder may."""
    return b'{"password": "%s"}' % "".join(f"\\u{byte:04x}" for byte in SECRETS[name]).encode()


def _percent(secret: bytes) -> bytes:
    return "".join(f"%{byte:02X}" for byte in secret).encode()


def _multipart(name: str) -> bytes:
    parts = [(b"comment", b"fine weather"), (b"password", SECRETS[name])]
    head = b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    return b"".join(head % (BOUNDARY, key, value) for key, value in parts) + b"--%s--\r\n" % BOUNDARY


def _at_the_cap(name: str) -> bytes:
    """JSON whose password is cut in two by the cap."""
    start = b'{"note": "'
    middle = b'", "password": "'
    filler = b"many words " * (BODY_CAP // 11)
    room = BODY_CAP - len(start) - len(middle) - len(SECRETS[name]) // 2
    return start + filler[:room] + middle + SECRETS[name] + b'"}'


def planted() -> Iterator[Planted]:
    """All cases, with new ids: call it once per server."""
    parts = {
        "headers": _in_headers(),
        "queries and paths": _in_queries_and_paths(),
        "bodies": _in_bodies(),
        "hostile places": _in_hostile_places(),
    }
    for kind, cases in parts.items():
        yield from (replace(one, kind=kind) for one in cases)
    yield from _in_documents()


def _in_headers() -> Iterator[Planted]:
    basic = base64.b64encode(b"ada:" + SECRETS["basic password"])
    cookie = b"theme=dark; session=" + SECRETS["session cookie"]
    referrer = b"https://ada:" + SECRETS["referrer password"] + b"@example.org/start"
    cases: list[tuple[str, Pairs, tuple[str, ...]]] = [
        ("basic", ((b"Authorization", b"Basic " + basic),), ("basic password",)),
        ("bearer", ((b"Authorization", b"Bearer " + SECRETS["bearer token"]),), ("bearer token",)),
        ("jwt", ((b"Authorization", b"Bearer " + JWT),), IN_JWT),
        ("cookie", ((b"Cookie", cookie),), ("session cookie",)),
        ("api-key-header", ((b"X-Api-Key", SECRETS["API key"]),), ("API key",)),
        ("reply-headers", (), ("set cookie", "response token")),
        ("referrer", ((b"Referer", referrer),), ("referrer password",)),
    ]
    for case, headers, names in cases:
        yield Planted(_get(case, *headers), names, CONFORMING)


def _in_queries_and_paths() -> Iterator[Planted]:
    plain = b"?api_key=" + SECRETS["query key"] + b"&page=2"
    yield Planted(_get("query", query=plain), ("query key",), DEVIATING)
    encoded = b"?api%5Fkey=" + _percent(SECRETS["encoded query key"]) + b"&page=2"
    yield Planted(_get("query-encoded", query=encoded), ("encoded query key",), DEVIATING)
    twice = b"?access_token=" + quote(quote(SECRETS["twice encoded query key"], safe=""), safe="").encode()
    yield Planted(_get("query-twice", query=twice), ("twice encoded query key",), DEVIATING)
    yield Planted(_get("path", path=b"/echo/" + JWT), IN_JWT, ("conforming", "unjudged"))
    yield Planted(_get("path-shadow", path=b"/nowhere/" + JWT + b"/at/all"), IN_JWT, ("shadow",))


def _in_bodies() -> Iterator[Planted]:
    user = {"name": "ada", "password": _text("JSON password")}
    body = _json({"user": user, "list": [{"access_token": _text("nested token")}], "count": 3})
    yield Planted(_post("json", body, JSON_TYPE), ("JSON password", "nested token"), CONFORMING)
    escaped = _escaped("escaped password")
    yield Planted(_post("json-escaped", escaped, JSON_TYPE), ("escaped password",), CONFORMING)
    hook = _json({"hook": f"https://ada:{_text('user-info password')}@example.org/in"})
    yield Planted(_post("user-info", hook, JSON_TYPE), ("user-info password",), CONFORMING)
    shapes = _json({"note": _text("card number"), "other": _text("cloud key")})
    yield Planted(_post("shapes", shapes, JSON_TYPE), ("card number", "cloud key"), CONFORMING)
    wrong = _json({"password": _text("password beside a wrong type"), "count": "many"})
    yield Planted(_post("deviating", wrong, JSON_TYPE), ("password beside a wrong type",), DEVIATING)
    form = b"user=ada&password=" + quote(SECRETS["form password"]).encode() + b"&remember=yes"
    yield Planted(_post("form", form, FORM_TYPE, path="/echo/form"), ("form password",))
    multipart = _multipart("multipart password")
    yield Planted(_post("multipart", multipart, PARTS_TYPE, path="/echo/form"), ("multipart password",))
    text = b"the password: " + SECRETS["plain text password"] + b" is for today\n"
    yield Planted(_post("text", text, TEXT_TYPE, path="/echo/text"), ("plain text password",))


def _in_hostile_places() -> Iterator[Planted]:
    zipped = gzip.compress(_json({"password": _text("gzipped password")}), mtime=0)
    coded = _post("gzip-request", zipped, JSON_TYPE, (b"Content-Encoding", b"gzip"))
    yield Planted(coded, ("gzipped password",))
    answer = _json({"password": _text("gzipped answer")})
    yield Planted(_post("gzip-answer", answer, JSON_TYPE, path="/gzip/json"), ("gzipped answer",))
    body = _json({"password": _text("password in pieces")})
    split = _pieces(_post("pieces", body, JSON_TYPE, (b"X-Api-Key", SECRETS["key in pieces"])))
    yield Planted(split, ("password in pieces", "key in pieces"), CONFORMING)
    long = _json({"note": "many words " * 88, "password": _text("chunked password"), "more": "words " * 90})
    yield Planted(_post("chunked", long, JSON_TYPE, path="/chunked/json"), ("chunked password",))
    yield Planted(_post("cap", _at_the_cap("password at the cap"), JSON_TYPE), ("password at the cap",))
    none = (b"Not A Header", SECRETS["key in a header that is none"])
    yield Planted(_get("bad-header", none), ("key in a header that is none",), parsable=False)


def _in_documents() -> Iterator[Planted]:
    for number, (name, made) in enumerate(DOCUMENTS.items()):
        call = _post(f"document-{number}", _json(made(_text(name))), JSON_TYPE, path="/echo/documents")
        yield Planted(call, (name,), kind=name.partition(",")[0])


def with_user_info(port: int) -> Planted:
    """A proxy request has an absolute URL; a careless client leaves the password in it."""
    inner = _get("target")
    authority = f"http://ada:{_text('target user-info')}@127.0.0.1:{port}".encode()
    call = Call(inner.id, inner.method, authority + inner.target, inner.headers)
    return Planted(call, ("target user-info",), kind="queries and paths")


SPECIFICATION: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Canary", "version": "1"},
    "paths": {
        "/echo/{thing}/{id}": {
            "parameters": [
                {"name": "thing", "in": "path", "required": True, "schema": {"type": "string"}},
                {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
            ],
            "get": {
                "parameters": [{"name": "page", "in": "query", "schema": {"type": "integer"}}],
                "responses": {"200": {"description": "An echo."}},
            },
            "post": {
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "properties": {
                                    "password": {"type": "string", "minLength": 3},
                                    "count": {"type": "integer"},
                                    "user": {
                                        "type": "object",
                                        "required": ["password"],
                                        "properties": {
                                            "name": {"type": "string"},
                                            "password": {"type": "string"},
                                        },
                                    },
                                    "list": {
                                        "type": "array",
                                        "items": {
                                            "type": "object",
                                            "properties": {"access_token": {"type": "string"}},
                                        },
                                    },
                                    "hook": {"type": "string", "format": "uri"},
                                    "note": {"type": "string"},
                                    "other": {"type": "string"},
                                },
                            }
                        },
                        "application/x-www-form-urlencoded": {"schema": {"type": "object"}},
                        "multipart/form-data": {"schema": {"type": "object"}},
                        "text/plain": {"schema": {"type": "string"}},
                    }
                },
                "responses": {"200": {"description": "An echo."}},
            },
        }
    },
}
