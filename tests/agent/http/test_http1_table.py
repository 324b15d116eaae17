"""HTTP/1.1 conversations and the exchanges parsed from them, whole, cut anywhere, byte by byte, continued."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from agent.http.messages import BodyState, Completeness, Exchange
from agent.ledger import Bytes
from tests.agent.http.talks import C, S, Steps, bytewise, chunks, recut, tell

GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LAST: Steps = [
    (C, b"GET /last HTTP/1.1\r\nHost: h\r\n\r\n"),
    (S, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast"),
]


@dataclass(frozen=True)
class X:
    """An exchange in short form, for the rows of the table."""

    method: bytes | None = b"GET"
    target: bytes | None = b"/a"
    status: int | None = 200
    asked: bytes | None = b""
    said: bytes | None = b"ok"
    completeness: Completeness = Completeness.COMPLETE
    upgraded: bytes | None = None
    error: str | None = None
    interim: tuple[int, ...] = ()
    trailers: tuple[tuple[bytes, bytes], ...] = ()


def short(exchange: Exchange) -> X:
    request, response = exchange.request, exchange.response
    return X(
        request.method if request else None,
        request.target if request else None,
        response.status if response else None,
        request.body.data if request else None,
        response.body.data if response else None,
        exchange.completeness,
        exchange.upgraded,
        exchange.error,
        response.interim if response else (),
        (request.trailers if request else ()) + (response.trailers if response else ()),
    )


@dataclass(frozen=True)
class Case:
    steps: Steps
    expected: list[X]
    goes_on: bool = True  # the connection can carry another exchange


NO_HOST = "request without Host"
CASES: dict[str, Case] = {
    "get": Case([(C, GET), (S, OK)], [X()]),
    "keep-alive": Case([(C, GET), (S, OK)] * 3, [X()] * 3),
    "post": Case(
        [(C, b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"), (S, OK)],
        [X(b"POST", asked=b"abc")],
    ),
    "bare line feeds": Case([(C, GET.replace(b"\r", b"")), (S, OK.replace(b"\r", b""))], [X()]),
    "empty lines before messages": Case(
        [(C, b"\r\n\r\n" + GET), (S, OK), (C, b"\r\n" + GET), (S, OK)], [X()] * 2
    ),
    "100-continue": Case(
        [
            (C, b"PUT /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"),
            (S, b"HTTP/1.1 100 Continue\r\n\r\n"),
            (C, b"abc"),
            (S, OK),
        ],
        [X(b"PUT", asked=b"abc", interim=(100,))],
    ),
    "early hints twice": Case(
        [(C, GET), (S, b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 2), (S, OK)],
        [X(interim=(103, 103))],
    ),
    "head": Case(
        [(C, GET.replace(b"GET", b"HEAD")), (S, b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n")],
        [X(b"HEAD", said=b"")],
    ),
    "head of a chunked resource": Case(
        [(C, GET.replace(b"GET", b"HEAD")), (S, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")],
        [X(b"HEAD", said=b"")],
    ),
    "204 and 304 have no body": Case(
        [
            (C, GET),
            (S, b"HTTP/1.1 204 No Content\r\n\r\n"),
            (C, GET),
            (S, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 999\r\n\r\n"),
        ],
        [X(status=204, said=b""), X(status=304, said=b"")],
    ),
    "pipelining": Case(
        [
            (C, GET + GET.replace(b"/a", b"/b") + GET.replace(b"/a", b"/c")),
            (S, OK + OK.replace(b"ok", b"no")),
            (S, OK),
        ],
        [X(), X(target=b"/b", said=b"no"), X(target=b"/c")],
    ),
    "pipelined head": Case(
        [
            (C, GET.replace(b"GET", b"HEAD") + GET),
            (S, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + OK),
        ],
        [X(b"HEAD", said=b""), X()],
    ),
    "early response": Case(
        [
            (C, b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc"),
            (S, b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"),
            (C, b"def"),
        ],
        [X(b"POST", status=413, asked=b"abcdef", said=b"no")],
    ),
    "early response, then closed": Case(
        [
            (C, b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc"),
            (S, b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"),
        ],
        [X(b"POST", status=413, asked=b"abc", said=b"no", completeness=Completeness.INCOMPLETE)],
        goes_on=False,
    ),
    "chunked both ways, with extensions and trailers": Case(
        [
            (
                C,
                b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
                b'3;a="b;c"\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nX-Sum: 1\r\n\r\n',
            ),
            (S, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Time: 2\r\n\r\n"),
        ],
        [X(b"POST", asked=b"abc0123456789abcdef", trailers=((b"x-sum", b"1"), (b"x-time", b"2")))],
    ),
    "transfer-encoding wins over content-length": Case(
        [
            (C, GET),
            (
                S,
                b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"2\r\nok\r\n0\r\n\r\n",
            ),
        ],
        [X()],
    ),
    "close-delimited": Case([(C, GET), (S, b"HTTP/1.1 200 OK\r\n\r\nok")], [X()], goes_on=False),
    "http/1.0 without host": Case(
        [(C, b"GET /a HTTP/1.0\r\n\r\n"), (S, b"HTTP/1.0 200 OK\r\n\r\nok")], [X()], goes_on=False
    ),
    "websocket": Case(
        [
            (C, GET.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")),
            (S, b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
            (S, b"\x81\x05hello"),
            (C, b"\x81\x85\x00\x00\x00\x00hello"),
        ],
        [X(status=101, said=b"", upgraded=b"websocket")],
        goes_on=False,
    ),
    "upgrade refused": Case(
        [(C, GET.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")), (S, OK)], [X()]
    ),
    "connect": Case(
        [
            (C, b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"),
            (S, b"HTTP/1.1 200 Connection established\r\nContent-Length: 7\r\n\r\n"),
            (C, b"\x16\x03\x01\x02\x00"),
            (S, b"\x16\x03\x03\x02\x00"),
        ],
        [X(b"CONNECT", b"h:443", said=b"", upgraded=b"CONNECT")],
        goes_on=False,
    ),
    "connect refused": Case(
        [
            (C, b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"),
            (S, b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"),
        ],
        [X(b"CONNECT", b"h:443", status=403, said=b"no")],
    ),
    "no host": Case(
        [(C, b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"), (S, OK.replace(b"200 OK", b"400 Bad"))],
        [X(b"POST", status=400, asked=b"abc", completeness=Completeness.MALFORMED, error=NO_HOST)],
    ),
    "obs-fold": Case(
        [(C, b"GET /a HTTP/1.1\r\nHost: h\r\nX-Long: one\r\n  two\r\n\tthree\r\n\r\n"), (S, OK)], [X()]
    ),
    "absolute form": Case(
        [(C, GET.replace(b"/a", b"http://h/a?q=1")), (S, OK)], [X(target=b"http://h/a?q=1")]
    ),
    "options *": Case([(C, GET.replace(b"GET /a", b"OPTIONS *")), (S, OK)], [X(b"OPTIONS", b"*")]),
    "target that is not utf-8": Case(
        [(C, GET.replace(b"/a", b"/caf\xe9?\xff=\x80")), (S, OK)], [X(target=b"/caf\xe9?\xff=\x80")]
    ),
    "own method": Case([(C, GET.replace(b"GET", b"x-Frob!")), (S, OK)], [X(b"x-Frob!")]),
    "status without reason": Case([(C, GET), (S, OK.replace(b"200 OK", b"200"))], [X()]),
    "space in target": Case(
        [(C, GET.replace(b"/a", b"/a b")), (S, OK.replace(b"200 OK", b"400 Bad"))],
        [X(None, None, 400, None, completeness=Completeness.MALFORMED, error="illegal request line")],
    ),
    "conflicting lengths": Case(
        [
            (C, b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n"),
            (S, OK.replace(b"200 OK", b"400 Bad")),
        ],
        [
            X(
                None,
                None,
                400,
                None,
                completeness=Completeness.MALFORMED,
                error="conflicting Content-Length headers",
            )
        ],
    ),
    "response that is none": Case(
        [(C, GET), (S, b"HTTP/1.1 200 OK\r\nBroken Header: secret\r\n\r\n")],
        [X(status=None, said=None, completeness=Completeness.MALFORMED, error="illegal header line")],
        goes_on=False,
    ),
    "malformed chunk": Case(
        [(C, GET), (S, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nsecret\r\n")],
        [X(completeness=Completeness.MALFORMED, error="illegal chunk header")],
        goes_on=False,
    ),
    "cut in the body": Case(
        [(C, GET), (S, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")],
        [X(completeness=Completeness.INCOMPLETE)],
        goes_on=False,
    ),
    "cut in a chunk": Case(
        [(C, GET), (S, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok")],
        [X(completeness=Completeness.INCOMPLETE)],
        goes_on=False,
    ),
    "cut in the response head": Case(
        [(C, GET), (S, b"HTTP/1.1 200 OK\r\nContent-")],
        [X(status=None, said=None, completeness=Completeness.INCOMPLETE)],
        goes_on=False,
    ),
    "no response": Case(
        [(C, GET)], [X(status=None, said=None, completeness=Completeness.NO_RESPONSE)], goes_on=False
    ),
    "interim only": Case(
        [(C, GET), (S, b"HTTP/1.1 102 Processing\r\n\r\n")],
        [X(status=None, said=None, completeness=Completeness.NO_RESPONSE)],
        goes_on=False,
    ),
}
by_name = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@by_name
def test_whole(case: Case) -> None:
    told = tell(chunks(case.steps))
    assert [short(x) for x in told.exchanges] == case.expected
    assert [x.ordinal for x in told.exchanges] == list(range(len(case.expected)))


@by_name
def test_cut_at_every_byte(case: Case) -> None:
    made = chunks(case.steps)
    for at in range(1, sum(c.length for c in made)):
        assert [short(x) for x in tell(recut(made, at)).exchanges] == case.expected, at


@by_name
def test_byte_by_byte(case: Case) -> None:
    told = tell(bytewise(chunks(case.steps)))
    assert [short(x) for x in told.exchanges] == case.expected


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.goes_on])
def test_with_trailing_exchange(name: str) -> None:
    case = CASES[name]
    expected = [*case.expected, X(target=b"/last", said=b"last")]
    made = chunks(case.steps + LAST)
    assert [short(x) for x in tell(made).exchanges] == expected
    assert [short(x) for x in tell(bytewise(made)).exchanges] == expected


@by_name
def test_every_byte_is_in_one_bucket(case: Case) -> None:
    total = sum(len(data) for _, data in case.steps)
    for made in (chunks(case.steps), bytewise(chunks(case.steps))):
        told = tell(made)
        assert sum(told.ledger.bytes.values()) == total
        assert told.held == 0


@by_name
def test_no_error_quotes_the_bytes(case: Case) -> None:
    for exchange in tell(chunks(case.steps)).exchanges:
        assert "secret" not in (exchange.error or "")


def test_a_complete_exchange_is_told_with_its_last_byte() -> None:
    told = tell(chunks(CASES["get"].steps), closed=False)
    assert [short(x) for x in told.exchanges] == [X()]


def test_headers_are_exact_and_in_order() -> None:
    raw = b"GET / HTTP/1.1\r\nHost: h\r\nX-B: \xff\xfe \xe9\r\nx-a:  padded \r\nX-B:\r\n\r\n"
    request = tell(chunks([(C, raw), (S, OK)])).exchanges[0].request
    assert request is not None
    assert request.headers == (
        (b"host", b"h"),
        (b"x-b", b"\xff\xfe \xe9"),
        (b"x-a", b"padded"),
        (b"x-b", b""),
    )


def test_folded_headers_are_joined_by_a_space() -> None:
    request = tell(chunks(CASES["obs-fold"].steps)).exchanges[0].request
    assert request is not None
    assert (b"x-long", b"one two three") in request.headers


def test_headers_of_a_request_without_host_are_as_sent() -> None:
    request = tell(chunks(CASES["no host"].steps)).exchanges[0].request
    assert request is not None
    assert request.headers == ((b"content-length", b"3"),)


def test_times_are_of_the_chunks_with_first_and_last_bytes() -> None:
    steps = [(C, GET[:5]), (C, GET[5:]), (S, OK[:-1]), (S, OK[-1:])]
    exchange = tell(chunks(steps)).exchanges[0]
    assert exchange.request is not None
    assert exchange.response is not None
    times = (
        exchange.request.start_ns,
        exchange.request.end_ns,
        exchange.response.start_ns,
        exchange.response.end_ns,
    )
    assert times == (1_000_000, 2_000_000, 3_000_000, 4_000_000)


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_beyond_the_cap_a_body_is_counted_and_not_kept(framing: str) -> None:
    size, cap = 214_890, 1000
    body = bytes(n % 251 for n in range(size))
    head = {
        "length": b"Content-Length: %d" % size,
        "chunked": b"Transfer-Encoding: chunked",
        "close": b"X: y",
    }
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (size, body) if framing == "chunked" else body
    raw = b"HTTP/1.1 200 OK\r\n" + head[framing] + b"\r\n\r\n" + sent
    told = tell(chunks([(C, GET), (S, raw[:5000]), (S, raw[5000:])]), cap=cap)
    exchange = told.exchanges[0]
    assert exchange.completeness is Completeness.TRUNCATED
    assert exchange.response is not None
    assert exchange.response.body.size == size
    assert exchange.response.body.data == body[:cap]
    assert exchange.response.body.state is BodyState.TRUNCATED


def test_a_head_without_end_is_bounded_and_malformed() -> None:
    line = b"X-%d: " + b"a" * 1000 + b"\r\n"
    steps = [(C, b"GET /a HTTP/1.1\r\nHost: h\r\n")] + [(C, line % n) for n in range(200)]
    told = tell(chunks(steps))
    assert [x.error for x in told.exchanges] == ["head is larger than 64 KiB"]
    assert told.ledger.bytes[Bytes.UNSYNCED] == sum(len(data) for _, data in steps)


@pytest.mark.parametrize(
    ("first", "bucket"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", Bytes.TLS_CIPHERTEXT),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", Bytes.NOT_HTTP),
        (b"220 mail.test ESMTP\r\n", Bytes.NOT_HTTP),
        (b"*1\r\n$4\r\nPING\r\n", Bytes.NOT_HTTP),
        (b"GET key\r\n", Bytes.NOT_HTTP),
        (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", Bytes.NOT_HTTP),
    ],
)
def test_what_is_not_http1_is_dismissed_once_and_all_its_bytes_named(first: bytes, bucket: Bytes) -> None:
    steps = [(C, first), (S, b"\x01" * 50), (C, b"\x02" * 50)]
    for made in (chunks(steps), bytewise(chunks(steps))):
        told = tell(made)
        assert told.dismissed == [bucket]
        assert told.ledger.bytes == {bucket: sum(len(data) for _, data in steps)}
        assert not told.seen
