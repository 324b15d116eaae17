"""Which headers carry a credential."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.redact import credentials
from agent.redact.names import Names
from agent.redact.text import TextMasker

MASKER = TextMasker(Names((), ()))
NAMES = ("Authorization", "proxy-authorization", "Cookie", "X-Api-Key", "x-auth-token", "Host", "accept", "x")
VALUES = ("", "Bearer abc", "sid=1; a=2", "session=3", "7")


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=5))
def test_headers_carry_a_credential_only_if_their_names_may(headers: list[tuple[str, str]]) -> None:
    sent = tuple((name.encode(), value.encode()) for name, value in headers)
    if credentials.carrier(sent, None, MASKER) is not None:
        assert credentials.may_carry([name.lower() for name, _ in sent], MASKER)
    assert not credentials.may_carry([b"host", b"accept", b"x"], MASKER)
