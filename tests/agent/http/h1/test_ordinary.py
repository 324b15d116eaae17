"""Heads split without h11 give the same result as h11, and common heads are split without it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.http.h1 import heads, memory, ordinary
from agent.http.h1.heads import Refused
from tests.bench.traffic import fresh, plain

NAMES = st.sampled_from(
    [
        b"Host",
        b"HOST",
        b"Content-Length",
        b"content-length",
        b"Transfer-Encoding",
        b"Connection",
        b"Upgrade",
        b"Expect",
        b"X-Id",
        b"x_y.z",
        b"Cookie",
        b"Set-Cookie",
        b"",
        b" X",
        b"X ",
        b"X\x00",
        b"\xc3\xa9",
    ]
)
VALUES = st.sampled_from(
    [
        b"x",
        b"0",
        b"12",
        b"+1",
        b"1, 1",
        b"1,2",
        b"-1",
        b"9" * 18,
        b"9" * 20,
        b"9" * 21,
        b"\xb2",
        b"chunked",
        b"gzip",
        b"close",
        b"100-continue",
        b"",
        b" ",
        b"a b",
        b"a ",
        b" a",
        b"a\tb",
        b"\xe9",
        b"a\x00",
        b"a\rb",
    ]
) | st.binary(max_size=8)
COLONS = st.sampled_from([b": "] * 8 + [b":", b":\t", b":  ", b" : ", b""])
ENDS = st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r", b"\r\n ", b"\r\n\t", b"\r\r\n", b"\x0b", b"\x85"])
FIELDS = st.lists(st.tuples(NAMES, COLONS, VALUES, ENDS).map(b"".join), max_size=5).map(b"".join)
HOSTED = st.sampled_from([b"", b"Host: a\r\n", b"Host: a\r\n", b"Host: a\r\n"])
REQUEST_LINES = st.builds(
    lambda method, target, version: method + b" " + target + b" " + version,
    st.sampled_from(
        [b"GET", b"POST", b"get", b"M-SEARCH", b"CONNECT", b"", b"G T", b"G\xe9T", b"(", b"A" * 40]
    ),
    st.sampled_from(
        [b"/", b"*", b"/a?b=c#d", b"http://h/", b"h:443", b"", b"/ a", b"/\xe9", b"/\x7f", b"/\x00"]
    ),
    st.sampled_from(
        [b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.12", b"http/1.1", b"HTTP/1.1 ", b""]
    ),
)
STATUS_LINES = st.builds(
    lambda version, status, reason: version + status + reason,
    st.sampled_from([b"HTTP/1.1 "] * 6 + [b"HTTP/1.0 ", b"HTTP/1.1  ", b"HTTP/1.1", b"http/1.1 "]),
    st.sampled_from(
        [b"200", b"204", b"304", b"999", b"600", b"101", b"100", b"099", b"000", b"20", b"2000", b"2 0"]
    ),
    st.sampled_from([b" OK", b"", b" ", b" Not  Found ", b" \xe9", b" a\tb", b" a\x00", b"OK", b" \x7f"]),
)
REQUESTS = st.builds(
    lambda *parts: b"".join(parts), REQUEST_LINES, ENDS, FIELDS, HOSTED, FIELDS, st.just(b"\r\n")
)
RESPONSES = st.builds(lambda *parts: b"".join(parts), STATUS_LINES, ENDS, FIELDS, st.just(b"\r\n"))


def damaged(base: bytes) -> st.SearchStrategy[bytes]:
    """`base` with one byte replaced or inserted anywhere: hostile heads that resemble ordinary ones."""
    return st.builds(
        lambda at, byte, width: base[:at] + byte + base[at + width :],
        st.integers(0, len(base)),
        st.binary(min_size=1, max_size=1),
        st.integers(0, 1),
    )


def head_of(message: bytes) -> bytes:
    return message[: message.index(b"\r\n\r\n") + 4]


@given(REQUESTS | damaged(head_of(fresh(1).request)))
@example(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n")
@example(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0001\r\n\r\n")
def test_a_request_head_is_read_as_h11_reads_it(raw: bytes) -> None:
    found, wanted = ordinary.request(raw), heads.fresh_request(raw)
    if found is not None:
        assert not isinstance(wanted, Refused)
        assert heads.RequestHead(found[0], found[1], b"1.1", found[2], None) == wanted[0]
    read = memory.Heads().request(raw)
    assert (read if isinstance(read, Refused) else read[0]) == (
        wanted if isinstance(wanted, Refused) else wanted[0]
    )


@given(RESPONSES | damaged(head_of(fresh(1).response)))
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
@example(b"HTTP/1.1 200 \r\nServer: a\r\n\r\n")
def test_a_response_head_is_read_as_h11_reads_it(raw: bytes) -> None:
    found, wanted = ordinary.response(raw), heads.fresh_response(raw)
    if found is not None:
        assert not isinstance(wanted, Refused)
        assert heads.ResponseHead(found[0], b"1.1", found[1]) == wanted[0]
    read = memory.Heads().response(raw)
    assert (read if isinstance(read, Refused) else read[0]) == (
        wanted if isinstance(wanted, Refused) else wanted[0]
    )


@pytest.mark.parametrize("call", [plain(7), fresh(7)])
def test_heads_of_everyday_calls_are_ordinary(call: object) -> None:
    for read, message in ((ordinary.request, "request"), (ordinary.response, "response")):
        assert read(head_of(getattr(call, message))) is not None


@pytest.mark.parametrize(
    "fields",
    [
        b"",
        b"Host: a\r\nHost: a\r\n",
        b"Host: a\r\nTransfer-Encoding: chunked\r\n",
        b"Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
        b"Host: a\r\nContent-Length: 1, 1\r\n",
        b"Host: a\r\n folded\r\n",
        b"Host: a\nX: b\r\n",
    ],
)
def test_what_h11_has_to_decide_is_left_to_it(fields: bytes) -> None:
    assert ordinary.request(b"GET / HTTP/1.1\r\n" + fields + b"\r\n") is None
