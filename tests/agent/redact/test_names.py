"""Which names are names of secrets."""

from __future__ import annotations

import pytest

from agent.redact import names
from agent.redact.names import Names
from agent.redact.policy import Policy

SECRET = (
    *(
        "password",
        "passwd",
        "pwd",
        "userPassword",
        "new_password",
        "password_confirmation",
        "PASSWORD",
        "pass",
    ),
    *("secret", "client_secret", "clientSecret", "AWS_SECRET_ACCESS_KEY", "SecretString", "secrets"),
    *(
        "token",
        "accessToken",
        "access_token",
        "refresh-token",
        "id_token",
        "X-Auth-Token",
        "csrfmiddlewaretoken",
    ),
    *(
        "api_key",
        "apikey",
        "apiKey",
        "X-API-Key",
        "APIKey",
        "api_key_id",
        "subscription-key",
        "privateKeyPem",
    ),
    *("session", "session_id", "sessionId", "PHPSESSID", "JSESSIONID", "connect.sid", "sid", "auth_session"),
    *(
        "ssn",
        "card",
        "card_number",
        "cardNumber",
        "cvv",
        "cvv2",
        "pin",
        "pinCode",
        "otp",
        "one_time_password",
    ),
    *("signature", "X-Amz-Signature", "sig", "authorization", "credentials", "X-Amz-Credential", "auth"),
    *("securityAnswer", "secret_answer"),
    *("psw", "dbPsw", "privKey", "priv_key", "authz", "X-Authz", "dsn", "SENTRY_DSN", "databaseDsn"),
    *("user[password]", "user.password", "pass_word", "tokens", "accessTokens"),
)
HARMLESS = (
    *("name", "id", "key", "value", "user", "email", "path", "code", "count", "state"),
    *(
        "tokenizer_count",
        "tokenizer",
        "max_tokens",
        "total_tokens",
        "token_type",
        "expires_in",
        "token_count",
    ),
    *("secretName", "password_policy", "passwordExpiresAt", "session_timeout", "card_type", "pinned", "spin"),
    *("dsn_type", "friends_name", "upswing", "authzed", "reset", "verify", "invite", "activated"),
    *("shipping", "inside", "design", "author", "authority", "company", "span", "public_key", "primaryKey"),
    *(
        "keyboard",
        "monkey",
        "discard",
        "cardinality",
        "assignee",
        "topic",
        "description",
        "",
        "123",
        "日本語",
    ),
)


@pytest.mark.parametrize("name", SECRET)
def test_a_secrets_name_is_known_in_every_spelling(name: str) -> None:
    assert Names().rule(name) is not None


@pytest.mark.parametrize("name", HARMLESS)
def test_a_name_that_only_resembles_one_is_not(name: str) -> None:
    assert Names().rule(name) is None


def test_operators_may_add_and_take_away() -> None:
    masker = Names({"Employee-Number"}, {"session", "X_Api_Key"})
    assert masker.rule("employeeNumber") == "name:policy"
    assert masker.rule("session") is None
    assert masker.rule("x-api-key") is None
    assert masker.rule("session_id") == "name:session"
    assert masker.kept("x-api-key")
    assert not masker.kept("host")


def test_a_very_long_name_is_still_judged() -> None:
    assert Names().rule("password" + "_a" * 10_000) is not None
    assert Names().rule("a_" * 10_000 + "pin") is not None


def test_remembered_answers_stay_bounded() -> None:
    masker = Names()
    for number in range(3 * names.CACHED_NAMES):
        masker.rule(f"field{number}")
        assert len(masker._known) <= names.CACHED_NAMES


def test_each_stem_is_needed_and_each_word_has_one() -> None:
    words = {*names._ANYWHERE, *names._LAST, *names._ENDINGS, *names._WHOLE, *names.BEFORE_TOKENS}
    stems = [stem.decode() for stem in names.STEMS]
    assert all(any(stem in word for stem in stems) for word in words)
    assert all(any(stem in word for word in words) for stem in stems)


@pytest.mark.parametrize("name", ["Authorization", "cookie", "Set-Cookie", "X-Forwarded-Client-Cert"])
def test_the_aggregation_header_may_not_carry_credentials(name: str) -> None:
    with pytest.raises(ValueError, match="credentials"):
        Policy(aggregation_header=name)


def test_each_word_makes_a_text_suspicious_that_has_it_as_a_name() -> None:
    for word in {*names._ANYWHERE, *names._LAST, *names._ENDINGS, *names._WHOLE}:
        assert Names().rule(word) is not None
        assert Names().possible(b'{"x": [{"%s": 1}]}' % "_".join(word.upper()).encode())


@pytest.mark.parametrize(
    "name",
    [
        *(
            "filter[card]",
            "filter[cardNumber]",
            "a[b][card]",
            "payment.card",
            "payment.card_number",
            "a[card][0]",
        ),
        *("filter_card", "filter-card", "filterCard", "filter:card", "filter/card", "card_1", "gift_card"),
        *("cards", "cards[0]", "cards[0][number]", "cards.0.number", "cards_0_number", "card_numbers"),
        *("creditCards[]", "user[pan]", "user_pan", "pan[0]", "usage[device_code]", "filter_user_code"),
        *("ibans[0]", "cvvs[0]"),
    ],
)
def test_a_name_of_parts_is_known_by_what_it_ends_in(name: str) -> None:
    assert Names().rule(name) is not None


@pytest.mark.parametrize(
    "name",
    [
        *("card[color]", "cardigan.size", "filter[postcard]", "[card_count]", "[]", "...", "cardinality"),
        *(
            "scorecard",
            "dashboard_cards_count",
            "cards[0][name]",
            "cards_per_page",
            "total_cards",
            "discarded",
        ),
        *("business_card", "sim-card", "twitter:card", "scoreCard", "yellow_cards", "wildcard", "map_pan"),
        *("span[0]", "japan", "panel"),
    ],
)
def test_a_name_of_parts_that_ends_in_something_else_is_not(name: str) -> None:
    assert Names().rule(name) is None
