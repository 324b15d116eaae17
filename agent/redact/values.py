"""Recognises values that look like secrets, whatever their name.

Each shape has a cheap necessary condition (its gate) that holds for every text around a match, so that a
whole body can be cleared at once. All patterns run in linear time: they start at a literal or at the start of
a run, and are possessive or bounded.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent.redact import random_text
from agent.redact.prefix_regex import SHORT, any_of

CARD_LENGTH = 13
SHORTEST_PLAIN = 13  # characters; a shorter secret contains a blank or a colon

Sure = Callable[[re.Match[str]], bool]


@dataclass(frozen=True, slots=True)
class SecretPattern:
    """One kind of secret: `pattern` finds candidates (group "secret", or all of it), `sure` decides.

    A text with a match is at least `least` characters long and has, lower-cased, one of `gates` if there
    are any, and `needs`.
    """

    rule: str
    gates: tuple[str, ...]
    needs: str
    least: int
    pattern: re.Pattern[str]
    sure: Sure | None


def _pattern(
    rule: str, gates: str, pattern: str, sure: Sure | None = None, *, least: int = 0, needs: str = ""
) -> SecretPattern:
    return SecretPattern(
        f"shape:{rule}", tuple(gates.split()), needs, least, re.compile(pattern, re.ASCII), sure
    )


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


_ISSUERS = re.compile(
    r"4(?:\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|6(?:011|5\d\d|4[4-9]\d)\d{12}"
    r"|3(?:0[0-5]|[689]\d)\d{11}|35\d{14}|62\d{14,17}"
)


def _card(match: re.Match[str]) -> bool:
    digits = match[0].replace(" ", "").replace("-", "")
    return _ISSUERS.fullmatch(digits) is not None and _luhn(digits)


def _basic(match: re.Match[str]) -> bool:
    return b":" in decoded_base64(match["secret"])


def _not_a_word(match: re.Match[str]) -> bool:
    return not match["secret"].islower() or any(map(str.isdigit, match["secret"]))


def _key(match: re.Match[str]) -> bool:
    return not match[0].startswith("sk-") or any(map(str.isdigit, match[0]))


def _key_in_any_case(match: re.Match[str]) -> bool:
    """Whether what is a key but for its case is no word: it has digits and ends where a word ends."""
    following = match.string[match.end() : match.end() + 1]
    return not following.isalnum() and (match[0][:4].lower() == "akia" or any(map(str.isdigit, match[0])))


def _random(match: re.Match[str]) -> bool:
    return random_text.is_random(match[0])


def decoded_base64(text: str) -> bytes:
    """The bytes of standard or URL-safe base64, padded or not; b"" if it is neither."""
    bare = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


_KEYS = (
    r"(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z2-7]{16}",  # AWS
    r"AIza[\w-]{30,64}",  # Google
    r"ya29\.[\w.-]{16,4096}",
    r"GOCSPX-[\w-]{16,64}",
    r"gh[pousr]_[A-Za-z0-9]{20,255}",  # GitHub
    r"github_pat_\w{20,255}",
    r"gl(?:pat|oas|dt|rt|cbt|ptt|ft)-[\w.-]{16,255}",  # GitLab
    r"xox[a-z](?:\.xox[a-z])?-[\w-]{10,255}",  # Slack
    r"xapp-[\w-]{10,255}",
    r"[rs]k_(?:live|test|prod)_\w{10,255}",  # Stripe
    r"whsec_[\w+/=-]{16,255}",
    r"sk-[\w-]{20,255}",  # OpenAI, Anthropic
    r"SG\.[\w-]{16,64}\.[\w-]{16,128}",  # SendGrid
    r"npm_[A-Za-z0-9]{30,64}",
    r"pypi-[\w-]{50,512}",
    r"hf_[A-Za-z0-9]{30,64}",
    r"do[opr]_v1_[a-f0-9]{32,128}",  # DigitalOcean
    r"hv[sbr]\.[\w-]{20,512}",  # Vault
    r"\d{8,10}:AA[\w-]{32,40}",  # Telegram
)
_KEY_GATES = (
    "akia asia aroa aida abia acca aiza ya29. gocspx- ghp_ gho_ ghu_ ghs_ ghr_ hub_pat_ glpat- gloas- "
    "gldt- glrt- glcbt- glptt- glft- xox xapp- k_live_ k_test_ k_prod_ whsec_ sk- sg. npm_ pypi- hf_ _v1_ "
    "hvs. hvb. hvr. :aa"
)

_ROUGH = 15  # each shape in _IN_RUNS contains a run of at least this many characters of _RUNS
_JOSE = "e(?:yJ|yA|wo|wk|w0)"

PATTERNS = (
    _pattern(
        "pem",
        "-----begin",
        r"-----BEGIN [A-Z0-9 ]{1,64}-----[\s\S]*?(?:-----END [A-Z0-9 ]{1,64}-----|\Z)",
        least=11,
    ),
    _pattern(
        "jwt",
        "eyj eya ewo ewk ew0",  # base64 of {" and of { with a blank
        rf"(?:(?<![\w-]){_JOSE}[\w-]{{12,}}+|(?<![A-Za-z0-9]){_JOSE}[\w-]{{12,512}}+)(?:\.[\w-]*+){{2,5}}",
        least=_ROUGH,
    ),
    _pattern(
        "user-info",
        r":// :\/\/",
        r"(?:(?<=://)|(?<=:\\/\\/))(?P<secret>[^\s/?#\"'<>\\]+(?=@)"
        # A password may hold what should be encoded; digits behind a colon are a port.
        r"|(?!\[)[^\s/?#@:\"'<>\\]{0,64}:(?!\d{1,5}[/?#\\])[^\s\"'<>\\]{1,256}(?=@[\w\[]))",
        needs="@",
        least=5,
    ),
    _pattern(
        "command-line",
        "mysql mariadb",
        r"(?i:mysql|mariadb)(?:\\\n|[^|;\n]){0,160}?[\s\"']-p(?P<secret>(?:\\{1,3}\"[^\"]*\"|\"[^\"]*\"|'[^']*'|[^\s\"'])+)",
        needs="-p",
        least=8,
    ),
    _pattern(
        "command-line",
        "curl",
        r"(?<![^\s\"'])(?:-[uU]|--(?:proxy-)?user)[ =]{0,2}[\"'\\]{0,4}[^\s:\"'\\-][^\s:\"'\\]{0,63}:"
        r"(?P<secret>[^\s\"'\\]+)",
        needs="-u",
        least=10,
    ),
    _pattern(
        "connect-string",
        "sqlplus sqlldr oracle: conn",
        r"(?i:(?:\bsqlplus|\bsqlldr|\bconn(?:ect)?)(?:\s{1,4}-\w{1,8}){0,4}\s{1,4}|\boracle:(?:thin|oci8?):)"
        r"[\"'\\]{0,4}[\w$#.-]{1,64}/(?P<secret>[^\s\"'\\]{1,128})(?=@)",
        needs="@",
        least=12,
    ),
    _pattern("cloud-key", _KEY_GATES, rf"(?<![A-Za-z0-9])(?:{'|'.join(_KEYS)})", _key, least=_ROUGH),
    _pattern("webhook", "hooks.slack.com/", r"(?<=hooks\.slack\.com/)(?P<secret>[\w/-]{8,255})", least=24),
    _pattern("bearer", "bearer", r"(?i)\bbearer[ \t]{1,8}(?P<secret>[\w.~+/=-]{8,}+)", _not_a_word, least=15),
    _pattern(
        "basic", "basic", r"(?i)\bbasic[ \t]{1,8}(?P<secret>[A-Za-z0-9+/_-]{4,}+={0,2})", _basic, least=10
    ),
    _pattern(
        "card-number",
        "",
        r"(?<![A-Za-z0-9.])(?<![0-9a-fA-F]{4}-)"
        r"(?:\d{4}(?:[ -]?\d{4}){3}\d{0,3}|\d{4}[ -]?\d{6}[ -]?\d{4,5})"
        r"(?![A-Za-z0-9])(?!-[0-9a-fA-F]{4})",
        _card,
        least=CARD_LENGTH,
    ),
    _pattern(
        "random",
        "",
        rf"(?<![A-Za-z0-9_+/=.-])[A-Za-z0-9_+/=.-]{{{random_text.LENGTH},}}+",
        _random,
        least=random_text.LENGTH,
    ),
)

_LEAST = min(shape.least for shape in PATTERNS)
_IN_RUNS = ("shape:cloud-key", "shape:jwt")
_GATES = {
    needs.encode(): [
        gate.encode()
        for shape in PATTERNS
        for gate in shape.gates
        if shape.needs == needs and shape.rule not in _IN_RUNS
    ]
    for needs in sorted({shape.needs for shape in PATTERNS})
}
_RUN_GATES = tuple(gate.encode() for shape in PATTERNS for gate in shape.gates if shape.rule in _IN_RUNS)
_NAME_GATES = tuple(gate.decode() for gate in _RUN_GATES)
_IN_NAMES = tuple(
    (shape.rule, re.compile(shape.pattern.pattern, shape.pattern.flags | re.IGNORECASE))
    for shape in PATTERNS
    if shape.rule in _IN_RUNS
)
_ANY_RUN_GATE = any_of(_RUN_GATES)
_DIGITS = bytes(0x30 if 0x30 <= b <= 0x39 else 0x20 for b in range(256))
_RUNS = bytes(0x61 if b < 0x80 and (chr(b).isalnum() or chr(b) in "_+/=.-") else 0x20 for b in range(256))
_LONG_RUN = re.compile(rb"(?<![A-Za-z0-9_+/=.-])[A-Za-z0-9_+/=.-]{%d,}+" % random_text.LENGTH)


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What part of a text needs to look like a secret: one of `gates`, or the length."""

    gates: tuple[str, ...]
    least: int | None

    def of(self, part: str) -> bool:
        """False only if `part` contains no secret's shape."""
        if self.least is not None and len(part) >= self.least:
            return True
        return _any_in(self.gates, part.lower())


def suspicion(raw: bytes) -> Suspicion | None:
    """What to look for in the parts of `raw`; None if none of them has a secret's shape.

    "%" counts as suspicious, since encoded text is not decoded here.
    """
    lower, runs = raw.lower(), raw.translate(_RUNS)
    gates = []
    for needs, beside in _GATES.items():
        if needs in lower:
            gates += [gate.decode() for gate in beside if gate in lower]
    if b"%" in raw:
        gates.append("%")
    if b"a" * _ROUGH in runs and (len(lower) > SHORT or _ANY_RUN_GATE.search(lower)):
        gates += [gate.decode() for gate in _RUN_GATES if gate in lower]
    mixed = b"a" * random_text.LENGTH in runs and any(map(_mixed_case, _LONG_RUN.findall(raw)))
    least = random_text.LENGTH if mixed else None
    if b"0" * CARD_LENGTH in raw.translate(_DIGITS, b" -"):
        least = CARD_LENGTH
    return Suspicion(tuple(gates), least) if gates or least is not None else None


def _mixed_case(run: bytes) -> bool:
    """Whether the text has mixed case, which random text has and a hexadecimal id has not."""
    return not run.islower() and not run.isupper()


def secrets(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, rule) of each likely secret in `text`; spans of different rules may overlap."""
    length = len(text)
    if length < _LEAST:
        return
    lower = text.lower()
    for shape in PATTERNS:
        if length < shape.least or shape.needs not in lower:
            continue
        if shape.gates and not _any_in(shape.gates, lower):
            continue
        for match in shape.pattern.finditer(text):
            if shape.sure is None or shape.sure(match):
                start, end = match.span("secret" if "secret" in shape.pattern.groupindex else 0)
                yield start, end, shape.rule


def secrets_in_name(name: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, rule) of each key and token in a name, in any case: HTTP/2 sends lower case only."""
    if len(name) < _ROUGH or not _any_in(_NAME_GATES, name.lower()):
        return
    for rule, pattern in _IN_NAMES:
        for match in filter(_key_in_any_case, pattern.finditer(name)):
            yield *match.span(), rule


def _any_in(gates: tuple[str, ...], text: str) -> bool:
    for gate in gates:  # noqa: SIM110 (any() takes three times as long, and this is the hot path)
        if gate in text:
            return True
    return False
