"""Each secret is plainly in the exchange, and in no form in its packed record."""

from __future__ import annotations

import base64
import gzip
import json
import sys
from collections.abc import Callable
from urllib.parse import quote, unquote_to_bytes

import pytest
from msgspec.structs import replace

from agent.http.messages import BodyState, Exchange, Headers
from agent.wire import pack_record
from tests.agent.redact.redaction import (
    FORM,
    JSON,
    KEY,
    POLICY,
    PROVENANCE,
    body,
    exchange,
    request,
    response,
    to_record,
)
from tests.e2e.needles import found_in
from tests.leaks import by_class
from tests.secret_bodies import CLASSES


def _url64(text: bytes) -> bytes:
    return base64.urlsafe_b64encode(text).rstrip(b"=")


WORDY = b"Trombone-Parapet-8814"
BASIC = base64.b64encode(b"ada:" + WORDY)
SIGNATURE = b"Wq8xJvK2mTzR5bYnL0cFhG7dPaSeUi3oXtBkMjQvZ4E"
JWT = b".".join((_url64(b'{"alg":"HS256","typ":"JWT"}'), _url64(b'{"sub":"x","exp":4102444800}'), SIGNATURE))
PEM = b"-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7/bassoon\nquokka==\n-----END RSA PRIVATE KEY-----"
CARD = b"4012888888881881"
AWS = b"AKIAIOSFODNN7CANARY2"
GITHUB = b"ghp_16C7e42F292c6912E7710c838347Ae178B4a"
SLACK = b"xoxb-263594206564-FGqddMF8t08v8N7Oq4i57vs1"
STRIPE = b"sk_live_4eC39HqLyjWDarjtT1zdp7dc"
GOOGLE = b"AIzaSyDdI0hCZtE6vySjMm-WEfRq3CPzqKqqsHI"
RANDOM = b"wJalrXUtnFEMI/K7MDENG/bPxRfiCY3xaMpLeKeY"
DISCORD = b"MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs"
RESET = b"q7Zt2-mV9xLw4Kd8Rb"
ODD = b"Badger+Tuba/Canyon=77 &x"
TEXT: Headers = ((b"content-type", b"text/plain"),)
HTML: Headers = ((b"content-type", b"text/html; charset=utf-8"),)
EVENTS: Headers = ((b"content-type", b"text/event-stream"),)
PARTS: Headers = ((b"content-type", b"multipart/form-data; boundary=edge"),)


def _percent(secret: bytes) -> bytes:
    return "".join(f"%{byte:02X}" for byte in secret).encode()


def _escaped(secret: bytes) -> bytes:
    return "".join(f"\\u{byte:04x}" for byte in secret).encode()


def _header(name: bytes, value: bytes) -> Exchange:
    return exchange(request(headers=((name, value),)), response())


def _answer(*headers: tuple[bytes, bytes]) -> Exchange:
    return exchange(request(), response(headers))


def _target(target: bytes) -> Exchange:
    return exchange(request(target))


def _sent(data: bytes, headers: Headers = JSON, state: BodyState = BodyState.COMPLETE) -> Exchange:
    return exchange(request(headers=headers, payload=body(data, state)))


def _part(head: bytes, content: bytes) -> Exchange:
    return _sent(b"--edge\r\n" + head + b"\r\n\r\n" + content + b"\r\n--edge--\r\n", PARTS)


def _named(name: bytes) -> bytes:
    return b'Content-Disposition: form-data; name="' + name + b'"'


def _dumped(value: object, times: int) -> bytes:
    for _ in range(times):
        value = json.dumps(value)
    return str(value).encode()


CASES: dict[str, tuple[bytes, Exchange]] = {
    "basic": (WORDY, _header(b"authorization", b"Basic " + BASIC)),
    "bearer": (WORDY, _header(b"authorization", b"Bearer " + WORDY)),
    "no scheme": (WORDY, _header(b"authorization", WORDY)),
    "a scheme that is the secret": (WORDY, _header(b"authorization", WORDY + b" abc")),
    "proxy": (WORDY, _header(b"proxy-authorization", b"Basic " + BASIC)),
    "digest": (WORDY, _header(b"authorization", b'Digest username="ada", response="' + WORDY + b'"')),
    "jwt signature": (SIGNATURE, _header(b"authorization", b"Bearer " + JWT)),
    "cookie": (WORDY, _header(b"cookie", b"a=1; theme=" + WORDY)),
    "cookie without name": (WORDY, _header(b"cookie", WORDY)),
    "cookie name": (JWT, _header(b"cookie", JWT + b"=1")),
    "set-cookie": (WORDY, _answer((b"set-cookie", b"id=" + WORDY + b"; Path=/; HttpOnly"))),
    "set-cookie attribute": (WORDY, _answer((b"set-cookie", b"id=1; Odd=" + WORDY))),
    "set-cookie path": (JWT, _answer((b"set-cookie", b"id=1; Path=/" + JWT))),
    "api key": (WORDY, _header(b"x-api-key", WORDY)),
    "boundary of a text": (AWS, _header(b"content-type", b"text/plain; boundary=" + AWS)),
    "content type": (AWS, _header(b"content-type", b"multipart/form-data; a=" + AWS + b"; boundary=x")),
    "unknown header": (WORDY, _header(b"x-odd", WORDY)),
    "header name": (JWT, _header((b"x-" + JWT).lower(), b"1")),
    "client certificate": (
        WORDY,
        _header(b"x-forwarded-client-cert", b"Hash=" + WORDY + b";URI=spiffe://a/b"),
    ),
    "client certificate's subject": (
        AWS,
        exchange(
            request(headers=((b"ssl-client-verify", b"SUCCESS"), (b"ssl-client-subject-dn", b"CN=" + AWS)))
        ),
    ),
    "jwt in a link": (SIGNATURE, _answer((b"link", b"<https://x.example/?t=" + JWT + b'>; rel="next"'))),
    "token in a link": (WORDY, _answer((b"link", b"<https://x.example/?token=" + WORDY + b">"))),
    "location user-info": (WORDY, _answer((b"location", b"https://ada:" + WORDY + b"@x.example/"))),
    "location query": (WORDY, _answer((b"location", b"/next?page=1&access_token=" + WORDY))),
    "location fragment": (WORDY, _answer((b"location", b"/cb#access_token=" + WORDY + b"&x=1"))),
    "referer": (WORDY, _header(b"referer", b"https://x.example/?password=" + WORDY)),
    "referer, path only": (RESET, _header(b"referer", b"/reset/" + RESET)),
    "location, path only": (RESET, _answer((b"location", b"/reset/" + RESET))),
    "content-location, path only": (RESET, _answer((b"content-location", b"/reset/" + RESET))),
    "link, path only": (RESET, _answer((b"link", b"</reset/" + RESET + b">; rel=next"))),
    "forwarded host": (WORDY, _header(b"x-forwarded-host", b"u:" + WORDY + b"@h")),
    "host, by shape": (GITHUB, _header(b"host", GITHUB)),
    "host, a label by shape": (GITHUB, _target(b"http://x." + GITHUB + b".example/a")),
    "host user-info": (WORDY, _header(b"host", b"ada:" + WORDY + b"@api.example")),
    "user agent, more lines": (WORDY, _header(b"user-agent", b"curl/8\r\nX-Odd: " + WORDY)),
    "user agent": (AWS, _header(b"user-agent", b"tool/1 " + AWS)),
    "aggregation": (AWS, _header(b"x-test", AWS)),
    "trailer": (WORDY, exchange(request(trailers=((b"x-odd", WORDY),)))),
    "query": (WORDY, _target(b"/a?page=1&api_key=" + WORDY)),
    "query, encoded": (ODD, _target(b"/a?pass%77ord=" + _percent(ODD))),
    "query, encoded twice": (ODD, _target(b"/a?token=" + quote(quote(ODD, safe=""), safe="").encode())),
    "query, name encoded twice": (WORDY, _target(b"/a?pass%2577ord=" + WORDY)),
    "query, bracketed": (WORDY, _target(b"/a?user[password]=" + WORDY)),
    "query, by shape": (AWS, _target(b"/a?x=" + AWS)),
    "query, by shape, encoded": (AWS, _target(b"/a?x=" + _percent(AWS))),
    "query, by shape, encoded twice": (AWS, _target(b"/a?x=" + quote(_percent(AWS)).encode())),
    "query, without name": (SIGNATURE, _target(b"/a?" + JWT)),
    "query, a url within": (
        WORDY,
        _target(b"/a?to=" + quote(b"https://u:" + WORDY + b"@h/", safe="").encode()),
    ),
    "query, a query within": (WORDY, _target(b"/a?to=" + quote(b"/b?token=" + WORDY, safe="").encode())),
    "query, json within": (WORDY, _target(b"/a?q=" + quote(b'{"password": "' + WORDY + b'"}').encode())),
    "query, oauth code": (WORDY, _target(b"/cb?state=1&code=" + WORDY)),
    "query, assertion": (WORDY, _target(b"/a?assertion=" + WORDY)),
    "query, device code": (WORDY, _target(b"/a?device_code=" + WORDY)),
    "query, user code": (WORDY, _target(b"/a?user_code=" + WORDY)),
    "query, name and value": (WORDY, _target(b"/a?value=" + WORDY + b"&name=password")),
    "path, jwt": (SIGNATURE, _target(b"/reset/" + JWT)),
    "path, encoded": (AWS, _target(b"/a/" + _percent(AWS) + b"/b")),
    "path, encoded twice": (AWS, _target(b"/a/" + quote(_percent(AWS)).encode())),
    "path, reset": (RESET, _target(b"/users/reset/" + RESET)),
    "path, named": (WORDY, _target(b"/password/" + WORDY)),
    "path, parameter": (WORDY, _target(b"/a;jsessionid=" + WORDY + b"/b")),
    "path, user-info": (WORDY, _target(b"/u/https://u:" + WORDY + b"@h/")),
    "path, user-info, one slash": (WORDY, _target(b"/u/https:/u:" + WORDY + b"@h/x")),
    "path, user-info, encoded": (WORDY, _target(b"/u/https://u%3A" + WORDY + b"%40h/")),
    "target user-info": (WORDY, _target(b"http://ada:" + WORDY + b"@api.example/a")),
    "connect user-info": (WORDY, exchange(request(b"ada:" + WORDY + b"@h:443", method=b"CONNECT"))),
    "method": (b"QUOKKA$BASSOON", exchange(request(method=b"QUOKKA$BASSOON"))),
    "error": (WORDY, exchange(None, None, error="illegal header line: " + WORDY.decode())),
    "upgraded": (WORDY, exchange(request(), None, upgraded=WORDY)),
    "json": (WORDY, _sent(b'{"user": {"password": "' + WORDY + b'"}}')),
    "json number": (b"918273645", _sent(b'{"pin": 918273645}')),
    "json beneath": (WORDY, _sent(b'{"credentials": {"list": [["' + WORDY + b'"]]}}')),
    "json, name escaped": (WORDY, _sent(b'{"\\u0070assword": "' + WORDY + b'"}')),
    "json, value escaped": (WORDY, _sent(b'{"password": "' + _escaped(WORDY) + b'"}')),
    "json, shape escaped": (AWS, _sent(b'{"x": "' + _escaped(AWS) + b'"}')),
    "json, in a string": (WORDY, _sent(_dumped({"token": WORDY.decode()}, 2))),
    "json, in a string in a string": (WORDY, _sent(_dumped({"token": WORDY.decode()}, 3))),
    "json, deeper in strings": (WORDY, _sent(_dumped({"token": WORDY.decode()}, 6))),
    "json, form in a string": (WORDY, _sent(b'{"raw": "a=1&password=' + WORDY + b'"}')),
    "json, encoded form in a string": (WORDY, _sent(b'{"raw": "a%3D1%26password%3D' + WORDY + b'"}')),
    "json, key": (SIGNATURE, _sent(b'{"' + JWT + b'": 1}')),
    "json, user-info": (WORDY, _sent(b'{"hook": "https://ada:' + WORDY + b'@h/in"}')),
    "json, user-info, slashes escaped": (WORDY, _sent(b'{"hook": "https:\\/\\/ada:' + WORDY + b'@h/"}')),
    "json, labelled": (WORDY, _sent(b'{"env": [{"name": "DB_PASSWORD", "value": "' + WORDY + b'"}]}')),
    "json, labelled behind": (WORDY, _sent(b'{"value": "' + WORDY + b'", "name": "DB_PASSWORD"}')),
    "json, link": (WORDY, _sent(b'{"link": "http://h/reset-password/' + WORDY + b'"}')),
    "json, path": (WORDY, _sent(b'{"p": "/token/' + WORDY + b'"}')),
    "json, path as a key": (WORDY, _sent(b'{"hits": {"/token/' + WORDY + b'": 1}}')),
    "json, path, slashes escaped": (WORDY, _sent(b'{"p": "\\/token\\/' + WORDY + b'"}')),
    "json, path, encoded": (WORDY, _sent(b'{"p": "%2Ftoken%2F' + WORDY + b'"}')),
    "json, link in a sentence": (RESET, _sent(b'{"m": "Open https://h/reset/' + RESET + b' soon"}')),
    "json patch": (WORDY, _sent(b'{"op":"replace","path":"/password","value":"' + WORDY + b'"}')),
    "json patch, value first": (
        WORDY,
        _sent(b'[{"value": "' + WORDY + b'", "path": "/a/credentials/0", "op": "add"}]'),
    ),
    "json patch, beneath": (WORDY, _sent(b'{"op":"add","path":"/secret","value":{"a":"' + WORDY + b'"}}')),
    "json patch, scim": (WORDY, _sent(b'{"op":"Replace","path":"password","value":"' + WORDY + b'"}')),
    "json, changed": (WORDY, _sent(b'{"field": "password", "newValue": "' + WORDY + b'"}')),
    "json, changed, behind": (WORDY, _sent(b'{"old": "' + WORDY + b'", "new": 1, "field": "password"}')),
    "json, changed, to": (WORDY, _sent(b'{"field": "token", "from": null, "to": "' + WORDY + b'"}')),
    "json, second cookie": (WORDY, _sent(b'{"m": "Cookie: sid=A; b=' + WORDY + b'"}')),
    "json, pairs": (WORDY, _sent(b'{"h": [["password", "' + WORDY + b'"]]}')),
    "json, pairs, cut": (WORDY, _sent(b'[["password", "' + WORDY + b'"', state=BodyState.TRUNCATED)),
    "json, dsn": (WORDY, _sent(b'{"dsn": "ada:' + WORDY + b'@tcp(h)/d"}')),
    "json, kubernetes secret": (WORDY, _sent(b'{"kind":"Secret","data":{"a.txt":"' + WORDY + b'"}}')),
    "json, graphql": (
        WORDY,
        _sent(_dumped({"query": 'mutation { f(password: "' + WORDY.decode() + '") }'}, 1)),
    ),
    "json, bearer in text": (WORDY, _sent(b'{"m": "curl -H Authorization: Bearer ' + WORDY + b'"}')),
    "json, duplicated key": (WORDY, _sent(b'{"password": 1, "password": "' + WORDY + b'"}')),
    "json, byte order mark": (WORDY, _sent(b'\xef\xbb\xbf{"password": "' + WORDY + b'"}')),
    "json, second document": (WORDY, _sent(b'{"a": 1}\n{"password": "' + WORDY + b'"}\n')),
    "json, behind a stray byte": (WORDY, _sent(b'{"a": 1} \xff {"x": "' + WORDY + b'"}')),
    "json, utf-16": (WORDY, _sent('{"password": "'.encode("utf-16-le") + WORDY + b'"}')),
    "json, missing comma": (WORDY, _sent(b'{"password": "a" "' + WORDY + b'"}')),
    "json, cut in the string": (WORDY[:15], _sent(b'{"x": "' + WORDY[:15], state=BodyState.TRUNCATED)),
    "json, cut in the card": (CARD[:12], _sent(b'{"x": ' + CARD[:12], state=BodyState.TRUNCATED)),
    "json, cut at a gap": (WORDY[:15], _sent(b'{"token": "' + WORDY[:15], state=BodyState.GAP)),
    "json, key in three parts": (DISCORD, _sent(b'{"x": "' + DISCORD + b'"}')),
    "json, device code": (WORDY, _sent(b'{"device_code": "' + WORDY + b'"}')),
    "json, jwt": (SIGNATURE, _sent(b'{"x": "' + JWT + b'"}')),
    "json, pem": (b"bassoon", _sent(_dumped({"x": PEM.decode()}, 1))),
    "json, card": (CARD, _sent(b'{"x": "' + CARD + b'"}')),
    "json, card as number": (CARD, _sent(b'{"x": [' + CARD + b"]}")),
    "json, card in groups": (b"4012 8888 8888 1881", _sent(b'{"x": "4012 8888 8888 1881"}')),
    "json, aws": (AWS, _sent(b'{"x": "' + AWS + b'"}')),
    "json, github": (GITHUB, _sent(b'{"x": "' + GITHUB + b'"}')),
    "json, slack": (SLACK, _sent(b'{"x": "' + SLACK + b'"}')),
    "json, stripe": (STRIPE, _sent(b'{"x": "' + STRIPE + b'"}')),
    "json, google": (GOOGLE, _sent(b'{"x": "' + GOOGLE + b'"}')),
    "json, random": (RANDOM, _sent(b'{"x": "' + RANDOM + b'"}')),
    "json without a type": (WORDY, _sent(b'{"password": "' + WORDY + b'"}', ())),
    "json as a form": (WORDY, _sent(b'{"password": "' + WORDY[:8] + b"=" + WORDY + b'"}', FORM)),
    "json as an answer": (WORDY, exchange(request(), response(JSON, body(b'{"token": "' + WORDY + b'"}')))),
    "gzip": (
        WORDY,
        _sent(gzip.compress(b'{"password": "' + WORDY + b'"}'), (*JSON, (b"content-encoding", b"gzip"))),
    ),
    "form": (WORDY, _sent(b"user=ada&password=" + WORDY, FORM)),
    "form, encoded": (ODD, _sent(b"user=ada&pass%77ord=" + _percent(ODD), FORM)),
    "form, a code alone": (WORDY, _sent(b"code=" + WORDY, FORM)),
    "form, name and value": (WORDY, _sent(b"Key=password&Value=" + WORDY, FORM)),
    "form, name and value in a set": (
        WORDY,
        _sent(b"f[0][name]=a&f[0][value]=b&f[1][value]=" + WORDY + b"&f[1][name]=password", FORM),
    ),
    "form, by shape": (AWS, _sent(b"user=" + AWS, FORM)),
    "form, cut in a card": (CARD[:12], _sent(b"a=1&x=" + CARD[:12], FORM, BodyState.TRUNCATED)),
    "multipart": (WORDY, _part(_named(b"password"), WORDY)),
    "multipart, two dispositions": (WORDY, _part(_named(b"x") + b"\r\n" + _named(b"password"), WORDY)),
    "multipart, two names": (WORDY, _part(_named(b"x") + b'; name="password"', WORDY)),
    "multipart, a name with a semicolon": (WORDY, _part(_named(b"a;password"), WORDY)),
    "multipart, a name with a quote": (WORDY, _part(_named(b'a\\"password'), WORDY)),
    "multipart, name and value": (
        WORDY,
        _part(_named(b"value"), WORDY + b"\r\n--edge\r\n" + _named(b"name") + b"\r\n\r\npassword"),
    ),
    "multipart, by shape": (AWS, _part(_named(b"x"), AWS)),
    "multipart, json": (WORDY, _part(_named(b"x"), b'{"password": "' + WORDY + b'"}')),
    "multipart, file": (WORDY, _part(_named(b"f") + b'; filename="a.txt"', WORDY)),
    "multipart, file name": (WORDY, _part(_named(b"f") + b'; filename="' + WORDY + b'"', b"x")),
    "multipart, no disposition": (WORDY, _part(b"X-Odd: 1", WORDY)),
    "multipart, field name": (AWS, _part(_named(AWS), b"x")),
    "multipart, odd header": (WORDY, _part(_named(b"x") + b"\r\nX-Odd: " + WORDY, b"x")),
    "multipart, type of a part": (AWS, _part(_named(b"x") + b"\r\nContent-Type: a/b; c=" + AWS, b"x")),
    "multipart, epilogue": (
        WORDY,
        _sent(b"--edge\r\n" + _named(b"x") + b"\r\n\r\n1\r\n--edge--" + WORDY, PARTS),
    ),
    "multipart, cut": (WORDY, _sent(b"--edge\r\n" + _named(b"x") + b"\r\n\r\n" + WORDY, PARTS)),
    "multipart, preamble": (WORDY, _sent(WORDY + b"\r\n--edge--\r\n", PARTS)),
    "events": (WORDY, _sent(b'event: a\ndata: {"token": "' + WORDY + b'"}\n\n', EVENTS)),
    "events, over lines": (WORDY, _sent(b'data: {"token":\ndata: "' + WORDY + b'"}\n\n', EVENTS)),
    "events, split": (WORDY, _sent(b'data: {"token":\n\ndata: "' + WORDY + b'"}\n\n', EVENTS)),
    "events, split, others between": (
        WORDY,
        _sent(
            b'data: {"token":\n\nid: 5\ndata: {"a": 1}, "b":\n\ndata: "' + WORDY + b'"\n\ndata: }\n\n', EVENTS
        ),
    ),
    "events, text over lines": (WORDY, _sent(b"data: my password\ndata: is " + WORDY + b"\n\n", EVENTS)),
    "events, odd field": (AWS, _sent(b"odd: " + AWS + b"\n\n", EVENTS)),
    "events, text": (WORDY, _sent(b"data: the password is " + WORDY + b"\n\n", EVENTS)),
    "text": (WORDY, _sent(b"the password: " + WORDY + b" is for today\n", TEXT)),
    "text in words": (WORDY, _sent(b"the api key is " + WORDY, TEXT)),
    "text, by shape": (AWS, _sent(b"use " + AWS, TEXT)),
    "text, long": (WORDY, _sent(b"words " * 2000 + WORDY, TEXT)),
    "html": (WORDY, _sent(b'<input name="password" value="' + WORDY + b'">', HTML)),
    "xml": (WORDY, _sent(b"<password>" + WORDY + b"</password>", ((b"content-type", b"application/xml"),))),
    "binary": (WORDY, _sent(b"\0\1" + WORDY, ((b"content-type", b"application/protobuf"),))),
    "untyped": (WORDY, _sent(b"\xff\0\1" + WORDY, ())),
}

_AS_NAMES: dict[str, Callable[[bytes], Exchange]] = {
    "header": lambda name: _header(name, b"1"),
    "header in words": lambda name: _header(b"x-" + name, b"1"),
    "trailer": lambda name: exchange(request(trailers=((name, b"1"),))),
    "cookie": lambda name: _header(b"cookie", name + b"=1"),
    "set-cookie": lambda name: _answer((b"set-cookie", name + b"=1")),
    "names of headers": lambda name: _answer((b"vary", b"accept, " + name)),
    "query": lambda name: _target(b"/a?" + name + b"=1"),
    "query without value": lambda name: _target(b"/a?" + name),
    "form": lambda name: _sent(name + b"=1", FORM),
    "json": lambda name: _sent(b'{"a": {"' + name + b'": 1}}'),
    "json in a string": lambda name: _sent(_dumped({"a": {name.decode(): 1}}, 2)),
    "multipart": lambda name: _part(_named(name), b"x"),
}
_NAMES = {
    "aws": AWS.lower(),
    "github": GITHUB.upper(),
    "google": GOOGLE.lower(),
    "stripe": STRIPE.lower(),
    "jwt": JWT.lower(),
}
CASES |= {
    f"{key} in another case as a name: {place}": (name, made(name))
    for place, made in _AS_NAMES.items()
    for key, name in _NAMES.items()
}
_BEHIND_NAMES: dict[str, Callable[[bytes], Exchange]] = {
    "query": lambda name: _target(b"/a?" + name + b"=" + WORDY),
    "form": lambda name: _sent(name + b"=" + WORDY, FORM),
    "json": lambda name: _sent(b'{"' + name + b'": "' + WORDY + b'"}'),
    "multipart": lambda name: _part(_named(name), WORDY),
}
CASES |= {
    f"{name.decode()}, {place}": (WORDY, made(name))
    for name in (
        b"filter_card",
        b"cards[0]",
        b"card_1",
        b"cards[0][number]",
        b"user-pan",
        b"pay.cards.0.number",
    )
    for place, made in _BEHIND_NAMES.items()
}
CASES |= {
    "json, cards": (WORDY, _sent(b'{"cards": [{"number": "' + WORDY + b'"}]}')),
    "path, named, with a type": (WORDY, _target(b"/password/" + WORDY + b".json")),
    "path, by shape, with a type": (GITHUB, _target(b"/a/" + GITHUB + b".json")),
    "path, a token without signature": (
        JWT.rpartition(b".")[0],
        _target(b"/a/" + JWT.rpartition(b".")[0] + b".json"),
    ),
    "json, path with a type": (WORDY, _sent(b'{"p": "/password/' + WORDY + b'.json"}')),
}
CASES |= {
    f"{kind}, {name}": (WORDY, _sent(json.dumps(made(WORDY.decode())).encode()))
    for kind, documents in CLASSES.items()
    for name, made in documents.items()
}


def _raw(one: Exchange) -> bytes:
    """The whole content of the exchange, unpacked."""
    parts: list[bytes] = [(one.error or "").encode(), one.upgraded or b""]
    for message in (one.request, one.response):
        if message is not None:
            parts += [part for pair in (*message.headers, *message.trailers) for part in pair]
            coded = any(name == b"content-encoding" for name, _ in message.headers)
            parts.append(gzip.decompress(message.body.data) if coded else message.body.data)
    if one.request is not None:
        parts += [one.request.method, one.request.target]
        parts.append(unquote_to_bytes(unquote_to_bytes(one.request.target)))
    return b"\n".join(parts)


@pytest.mark.parametrize("case", CASES)
def test_no_form_of_a_secret_is_in_the_record(case: str) -> None:
    secret, one = CASES[case]
    raw = _raw(one)
    assert found_in({"secret": secret}, {"exchange": raw}), "the control: it is there before"
    assert (
        found_in({"secret": secret}, {"record": pack_record(to_record(one, PROVENANCE, POLICY, KEY))}) == []
    )


@pytest.mark.parametrize("case", CASES)
def test_the_search_finds_what_was_not_redacted(case: str) -> None:
    """The same search, over a record with the raw body and target put back."""
    secret, one = CASES[case]
    leaky = replace(to_record(one, PROVENANCE, POLICY, KEY), error=_raw(one).decode("latin-1"))
    assert found_in({"secret": secret}, {"record": pack_record(leaky)}) != []


def test_the_leaks_of_each_class_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    leaked = [
        _class(case)
        for case, (secret, one) in CASES.items()
        if found_in({"secret": secret}, {"record": pack_record(to_record(one, PROVENANCE, POLICY, KEY))})
    ]
    with capsys.disabled():
        sys.stdout.write("\n" + by_class(map(_class, CASES), leaked) + "\n")
    assert leaked == []


def _class(case: str) -> str:
    kind = case.partition(",")[0]
    return kind if kind in CLASSES else kind.partition(" ")[0]
