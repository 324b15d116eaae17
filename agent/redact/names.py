"""Recognises names whose value is a secret.

A name is cut into words (camelCase, snake_case, kebab-case, dots, brackets), so that `userPassword`,
`X-Api-Key` and `user[pwd]` are found and `tokenizer_count` is not. The last word decides what the value
is: `token_type` is a type. `STEMS` is a necessary condition with which a whole text is tested first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from agent.redact.prefix_regex import SHORT, any_of

LAST_WORDS = 16  # the words examined where only the end of a name matters
CACHED_NAMES = 4096
CACHED_LENGTH = 64

_NESTING = re.compile(r"[\[\].]+")
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")


def _rules(**rules: str) -> dict[str, str]:
    return {word: rule for rule, words in rules.items() for word in words.split()}


# Words that make a name a secret's at any place, unless the last word overrides them.
_ANYWHERE = _rules(
    password="password passwords passwd passphrase passcode pwd psw",
    secret="secret secrets credential credentials",
    token="token jwt bearer",
    csrf="csrf xsrf",
    code="otp totp",
    card="cvv cvc",
    identity="ssn",
    signature="hmac",
)
# Words that do so only as the last significant word.
_LAST = _rules(
    password="pass pw",
    secret="auth authz authorization dsn",
    session="cookie cookies session sessions sid",
    code="pin",
    signature="signature signatures sig",
    card="iban card pan",
)
# Ends of names without separators, for names written without any.
_ENDINGS = _rules(
    password="password passwd passphrase passcode",
    secret="secret connectionstring mnemonic securityanswer secretanswer",
    token=(
        "token samlresponse samlrequest clientassertion accesstokens refreshtokens idtokens apitokens "
        "authtokens sessiontokens devicetokens bearertokens securitytokens personaltokens usertokens"
    ),
    key=(
        "apikey accesskey secretkey privatekey signingkey encryptionkey masterkey sharedkey accountkey "
        "subscriptionkey authkey privkey sshkey clientkey storagekey consumerkey appkey deploykey webhookkey "
        "apikeys accesskeys secretkeys privatekeys signingkeys encryptionkeys sshkeys authkeys "
        "privkeys"
    ),
    session="sessionid sessid sessionkey",
    card="creditcard debitcard cardnumber cardnumbers cardno cardnum securitycode",
    code=(
        "verificationcode authcode authorizationcode accesscode onetimecode recoverycode backupcode mfacode "
        "pincode otpcode codeverifier recoverycodes backupcodes devicecode usercode"
    ),
    identity="socialsecurity socialsecuritynumber",
)
_WHOLE = _rules(token="tokens assertion")
_SINGULAR = {f"{word}s": word for word in ("card", "cvc", "cvv", "iban", "jwt", "otp", "ssn")}
# Cards and pans of other kinds, and how many there are.
_NO_PAYMENT = frozenset(
    _rules(
        before=(
            "adaptive audio business camera flash graphics hero info map max memory min network red report "
            "score sd sim sound summary time total touch twitter video wild yellow"
        )
    )
)
# In a path a token may follow these, as in `/reset/…`; elsewhere they are no names of secrets.
BEFORE_TOKENS = frozenset(("reset", "activate", "verify", "invite"))

# With these as the last word the value describes the secret and is not the secret.
ABOUT = frozenset(
    _rules(
        about=(
            "age alg algorithm at available brand bucket budget changed count counts created date "
            "description details disabled enabled endpoint endpoints exp expiration expired expires "
            "expiry format in index issuer kind label len length lifetime limit limits max method methods "
            "min mode name names policies policy provider ref refs remaining required scheme scopes size "
            "state status strength supported time timeout ttl type types updated uri url usage used valid "
            "verified version window"
        )
    )
)
# These do not change the name's meaning: `session_id`, `password_hash`.
_NEUTRAL = frozenset(
    _rules(
        neutral=(
            "again b base confirm confirmation current data encrypted hash hashed id ids new number "
            "numbers old pem plain raw repeat string text value values"
        )
    )
)
_ENDS = tuple(_ENDINGS)

_ALL = {*_ANYWHERE, *_LAST, *_ENDINGS, *_WHOLE, *BEFORE_TOKENS}
STEMS: tuple[bytes, ...] = tuple(
    word.encode() for word in sorted(_ALL) if not any(other in word for other in _ALL - {word})
)
"""Every name of a secret, or before one in a path, contains one of these."""

_LOWER = bytes(range(256)).lower()
_NOT_LETTERS = bytes(b for b in range(256) if not chr(b).isascii() or not chr(b).isalpha())
_NEITHER_LETTERS_NOR_QUOTES = _NOT_LETTERS.replace(b'"', b"")


def words(name: str) -> list[str]:
    """The name's ASCII words in lower case; digits and all other characters are separators."""
    return [word.lower() for word in _WORDS.findall(name)]


def normal(name: str) -> str:
    """The normal form in which the operator's names are compared."""
    return "".join(char for char in name.lower() if char.isalnum())


def squeeze(raw: bytes) -> bytes:
    """The ASCII letters of a text, in lower case, so that the letters of each of its names are contiguous.

    Without escapes quotes are kept: no name in JSON spans one, so they separate unrelated letters.
    """
    return raw.translate(_LOWER, _NOT_LETTERS if b"\\" in raw else _NEITHER_LETTERS_NOR_QUOTES)


class Names:
    """Classifies names, with the operator's additions. Results are cached, in bounded space."""

    def __init__(self, mask: Iterable[str] = (), keep: Iterable[str] = ()) -> None:
        self._mask = frozenset(normal(name) for name in mask) - {""}
        self._keep = frozenset(normal(name) for name in keep) - {""}
        self._known: dict[str, str | None] = {}
        extra = {squeeze(name.encode()) for name in self._mask}
        self._stems = STEMS + tuple(extra)
        self._any_stem = any_of(self._stems) if b"" not in extra else None
        self._always = any(not name.isascii() for name in self._mask)

    def rule(self, name: str) -> str | None:
        """The rule that makes the value of `name` a secret ("name:password"), or None."""
        known = self._known
        try:
            return known[name]
        except KeyError:
            if name.isdigit() and name not in self._mask:
                return None  # in paths ids occur in the place of names, each only once
            found = self._classify(name)
        if len(name) <= CACHED_LENGTH:
            if len(known) >= CACHED_NAMES:
                known.clear()
            known[name] = found
        return found

    def kept(self, name: str) -> bool:
        """Whether the operator has configured to keep this name's value."""
        return normal(name) in self._keep

    def possible(self, raw: bytes) -> bool:
        """False only if no name in `raw` can be a secret's; `raw` is UTF-8 without escapes other
        than `\\"`.
        """
        if self._always:
            return True
        letters = squeeze(raw)
        if len(letters) <= SHORT and self._any_stem is not None:
            return self._any_stem.search(letters) is not None
        for stem in self._stems:  # noqa: SIM110 (any() takes twice as long, and this is the hot path)
            if stem in letters:
                return True
        return False

    def _classify(self, name: str) -> str | None:
        plain = normal(name)
        if plain in self._keep:
            return None
        if plain in self._mask:
            return "name:policy"
        found = _classify_words(words(name)) or _classify_words(words(_innermost(name)))
        return found and f"name:{found}"


def _innermost(name: str) -> str:
    """What a nested name ends in: `card` of `filter[card]`, `payment.card` and `a[card][0]`."""
    parts = [part for part in _NESTING.split(name) if part and not part.isdigit()]
    return parts[-1] if parts else name


def _classify_words(found: list[str]) -> str | None:
    if not found or found[-1] in ABOUT:
        return None
    found = [_SINGULAR.get(word, word) for word in found]
    for word in found:
        if word in _ANYWHERE:
            return _ANYWHERE[word]
    found = found[-LAST_WORDS:]
    while len(found) > 1 and found[-1] in _NEUTRAL:
        if "".join(found).endswith(_ENDS):
            break
        found.pop()
    if found[-1] in _LAST:
        rule = _LAST[found[-1]]
        return None if rule == "card" and not _NO_PAYMENT.isdisjoint(found[-2:-1]) else rule
    joined = "".join(found)
    if joined in _WHOLE:
        return _WHOLE[joined]
    if joined.endswith(_ENDS):
        return next(rule for end, rule in _ENDINGS.items() if joined.endswith(end))
    return None
