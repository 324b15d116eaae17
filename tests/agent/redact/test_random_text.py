"""How often random text is missed, and how often other text is taken for it: both are bounded.

The figures in agent/redact/README.md are measured by the same functions over more samples.
"""

from __future__ import annotations

import base64
import random
import re
import sysconfig
import uuid
from collections.abc import Callable
from functools import cache
from itertools import islice
from pathlib import Path
from string import ascii_letters, digits

import pytest

from agent.redact import values
from agent.redact.random_text import COMMON, LENGTH, is_random

SAMPLES = 4000
ALPHABETS = {
    "base62": ascii_letters + digits,
    "base64": ascii_letters + digits + "+/",
    "base64url": ascii_letters + digits + "-_",
}
MISSED = {32: 0.8, 40: 0.2, 48: 0.08, 64: 0.03}  # maximum %, by length
MISTAKEN = 0.4  # maximum %, of any kind of harmless text with 32 characters or more and both cases
WORDS = (Path(__file__).parents[2] / "bench/templates_words.txt").read_text().split()
LIBRARY = Path(sysconfig.get_paths()["stdlib"])


def told(text: str) -> bool:
    return any(rule == "shape:random" for _, _, rule in values.secrets(text))


def drawn(alphabet: str, length: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices(ALPHABETS[alphabet], k=length)) for _ in range(SAMPLES)]


def per_cent(texts: list[str], is_so: Callable[[str], bool]) -> float:
    return 100 * sum(map(is_so, texts)) / len(texts)


@pytest.mark.parametrize("alphabet", ALPHABETS)
@pytest.mark.parametrize("length", MISSED)
def test_random_text_is_missed_no_more_often_than_stated(alphabet: str, length: int) -> None:
    assert per_cent(drawn(alphabet, length, length), lambda text: not told(text)) <= MISSED[length]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("sessionToken_", ""),
        ("ProjectInviteToken/", ""),
        ("", "/files/ListOfMany/words"),
        ("Key.", ".json"),
        ("AC0123456789abcdef0123456789abcdef.", ""),
        ("see ", ", please"),
    ],
)
def test_words_around_random_text_do_not_hide_it(before: str, after: str) -> None:
    texts = [before + text + after for text in drawn("base62", 32, 5)]
    assert per_cent(texts, lambda text: not told(text)) <= MISSED[32]


@cache
def sources() -> tuple[str, ...]:
    """The modules of Python's standard library and of the installed packages, in a fixed order."""
    found = islice(sorted(LIBRARY.glob("*/*.py")), 400)
    return tuple(path.read_text("utf-8", "replace") for path in found)


def identifiers() -> list[str]:
    return sorted({word for text in sources() for word in re.findall(r"\b[A-Za-z_][A-Za-z0-9_]*", text)})


def file_names() -> list[str]:
    return sorted(str(path) for path in LIBRARY.rglob("*.py"))[:20_000]


def links() -> list[str]:
    return sorted({link for text in sources() for link in re.findall(r"https?://[^\s\"'<>)\\]+", text)})


def camel(draw: random.Random) -> str:
    number = str(draw.randint(1, 2099)) if draw.random() < 0.2 else ""
    return "".join(draw.choice(WORDS).capitalize() for _ in range(draw.randint(4, 8))) + number


def joined(draw: random.Random) -> str:
    words = [draw.choice(WORDS) if draw.random() < 0.8 else str(draw.randint(0, 9999)) for _ in range(7)]
    return draw.choice("-_/.").join(word.capitalize() if draw.random() < 0.5 else word for word in words)


def uuids(draw: random.Random) -> str:
    return draw.choice(("", "Order-", "Urn.Uuid.")) + str(uuid.UUID(int=draw.getrandbits(128)))


def digests(draw: random.Random) -> str:
    return draw.choice(("", "Sha256-", "Layer/")) + draw.randbytes(32).hex()


def kind_and_digest(draw: random.Random) -> str:
    ends = draw.choice(("", ".json", "/Calls.json", f"/Calls/CA{draw.randbytes(16).hex()}"))
    return draw.choice(("AC", "/2010-04-01/Accounts/SK", "PN")) + draw.randbytes(16).hex() + ends


def base32(draw: random.Random) -> str:
    return base64.b32encode(draw.randbytes(20)).decode()


def made(one: Callable[[random.Random], str]) -> list[str]:
    draw = random.Random(1)
    return [one(draw) for _ in range(SAMPLES)]


HARMLESS: dict[str, Callable[[], list[str]]] = {
    "identifiers": identifiers,
    "file names": file_names,
    "links": links,
    "words in CamelCase": lambda: made(camel),
    "words with separators": lambda: made(joined),
    "UUIDs": lambda: made(uuids),
    "digests": lambda: made(digests),
    "digests behind the letters of a kind": lambda: made(kind_and_digest),
    "base32, which ids are written in": lambda: made(base32),
}


@pytest.mark.parametrize("kind", HARMLESS)
def test_what_is_not_random_is_mistaken_no_more_often_than_stated(kind: str) -> None:
    texts = HARMLESS[kind]()
    assert texts
    assert per_cent(texts, told) <= MISTAKEN
    candidates = [text for text in texts if len(text) >= LENGTH and not text.islower()]
    assert sum(map(told, candidates)) <= max(3, MISTAKEN / 100 * len(candidates))


def test_repetition_is_not_random() -> None:
    assert not is_random("Xq7" * 20)
    assert not is_random("Q7" * 16)


def test_the_common_pairs_are_most_of_those_in_words_and_few_of_all() -> None:
    pairs = [word[at : at + 2] for word in WORDS for at in range(len(word) - 1) if word.isalpha()]
    assert sum(pair in COMMON for pair in pairs) > 0.55 * len(pairs)
    assert len(COMMON) < 0.15 * 26**2
