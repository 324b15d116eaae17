"""A fragment found clean is clean again, and nothing else is: memory never lets a secret through."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.redact import forms, json, json_tokens, values
from agent.redact.clean_fragments import MAX_PART, MAX_PARTS, CleanFragments
from agent.redact.headers import HeaderMasks, HeaderMemory
from agent.redact.mask_log import MaskLog
from agent.redact.names import Names
from agent.redact.policy import Policy
from agent.redact.repeat_cache import MAX_ONCE, RepeatCache
from agent.redact.text import TextMasker
from tests.agent.redact.test_redactor_fuzz import SECRETS, header_names, hostile, pieces, texts, written


def masked(text: str, masker: TextMasker) -> tuple[str, list[tuple[str, str]]]:
    notes: list[tuple[str, str]] = []
    return json.mask(text, masker, lambda pointer, rule: notes.append((pointer, rule))).text, notes


@settings(max_examples=300)
@given(st.lists(st.one_of(written, pieces), max_size=6), st.sampled_from([(), ("field7", "Grüße")]))
@example(['{"a": "x@y"}', '{"b": "https://u:p@h/"}', '{"a": "https://", "b": "@"}'], ())
@example(['{"n": 401288888888, "m": 1881}', '{"n": 4012888888881881}'], ())
def test_a_judge_that_has_seen_much_masks_like_one_that_has_seen_nothing(
    seen: list[str], names: tuple[str, ...]
) -> None:
    experienced = TextMasker(Names(names))
    for text in (*seen, *seen):
        assert masked(text, experienced) == masked(text, TextMasker(Names(names)))


@given(st.lists(texts, max_size=8))
def test_no_part_with_a_secret_is_remembered(found: list[str]) -> None:
    harmless = CleanFragments(Names())
    for text in found:
        harmless.holds(text)
    for part in harmless._known:
        assert not list(values.secrets(part))
        assert not Names().possible(part.encode("utf-8", "surrogatepass"))


def test_what_is_remembered_is_bounded() -> None:
    harmless = CleanFragments(Names())
    for number in range(2 * MAX_PARTS):
        assert harmless.holds(f'"a{number}"')
        assert len(harmless._known) <= MAX_PARTS
    assert harmless.holds('"'.join("b" * (number % 40) + str(number) for number in range(3 * MAX_PARTS)))
    assert harmless.holds("é" * (MAX_PART + 1) + '"a')
    assert len(harmless._known) <= MAX_PARTS
    assert max(map(len, harmless._known)) <= MAX_PART


@settings(max_examples=500)
@given(
    st.one_of(
        st.text(max_size=values.SHORTEST_PLAIN - 1),
        st.tuples(st.sampled_from(SECRETS), st.integers(0, 60), st.integers(0, 12)).map(
            lambda cut: cut[0][cut[1] : cut[1] + cut[2]]
        ),
        st.text("0123456789-. sk_AaJey/@", max_size=values.SHORTEST_PLAIN - 1),
    )
)
def test_a_short_text_that_tells_nothing_is_judged_like_any_other(text: str) -> None:
    masker = TextMasker(Names())
    if not set(text) & set(' \t\n\r\x0b\x0c:="%/'):
        assert masker._scan(text) == masker.text(text) == (text, None)


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(header_names | st.sampled_from([b"x-request-id", b"traceparent"]), hostile), max_size=8
    )
)
def test_a_field_whose_name_was_met_before_is_masked_like_one_that_was_not(
    fields: list[tuple[bytes, bytes]],
) -> None:
    for names in ((), ("etag",)):
        experienced = HeaderMemory(TextMasker(Names(names)), Policy())
        for field in ((b"etag", b"x"), (b"x-request-id", b"1"), (b"traceparent", b"1"), *fields):
            found, wanted = MaskLog(), MaskLog()
            new = HeaderMemory(TextMasker(Names(names)), Policy())
            assert HeaderMasks(experienced, found, "").masked((field,)) == HeaderMasks(
                new, wanted, ""
            ).masked((field,))
            assert (found.masks, found.rules) == (wanted.masks, wanted.rules)


def test_what_came_once_is_not_kept_and_all_is_bounded() -> None:
    memory: RepeatCache[bytes] = RepeatCache(100)
    for number in range(2 * MAX_ONCE):
        memory.add(b"once %d" % number)
    assert not memory.known
    for number in range(300):
        memory.add(b"again %d" % number)
        assert b"again %d" % number not in memory.known
        memory.add(b"again %d" % number)
        assert b"again %d" % number in memory.known
    assert len(memory.known) <= 100
    assert len(memory._once) <= MAX_ONCE


@settings(max_examples=300)
@given(st.lists(hostile, max_size=4), st.booleans())
@example([b"code=abc&x=1", b"code=abc&state=1", b"x=1&code=abc", b"code=abc"], False)
@example([b"password=redacted", b"password=", b"a=1&a=1&password"], False)
def test_a_query_of_pairs_that_came_before_is_masked_like_one_that_is_new(
    raws: list[bytes], cut: bool
) -> None:
    def masked_pairs(raw: bytes, masker: TextMasker) -> tuple[forms.Cut, list[tuple[str, str]]]:
        notes: list[tuple[str, str]] = []
        return forms.mask_pairs(raw, masker, lambda name, rule: notes.append((name, rule)), cut=cut), notes

    experienced = TextMasker(Names())
    for raw in (*raws, *raws, *raws, b"&".join(raws)):
        assert masked_pairs(raw, experienced) == masked_pairs(raw, TextMasker(Names()))


@settings(max_examples=300)
@given(st.one_of(written, pieces))
@example('{"a": NaN}')
@example('{"a": -Infinity}')
@example("1" * 5000)
@example("[" * 5000 + "]" * 5000)
@example('"\\ud800" ')
@example("")
def test_what_the_library_takes_for_json_lexes_to_its_end(text: str) -> None:
    if json_tokens.is_document(text):
        assert json_tokens.lexed(text) == len(text)
