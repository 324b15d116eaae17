"""When the secret of a token is accepted, and what is written of its use."""

from __future__ import annotations

import pytest

from server.core import Core
from server.services import tokens
from server.services.errors import Conflict, InvalidInput, NotFound
from server.services.tokens import USE_NS, ClusterTokens, S
from tests.server.records import NOON


class Clock:
    """The test moves it."""

    now = NOON

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def known(core: Core, clock: Clock) -> ClusterTokens:
    return ClusterTokens(core.store, clock)


def last_used(core: Core, id: str) -> int | None:
    core.store.write(lambda unit: None).result(60)  # after what was written before
    with core.store.reading() as reader:
        row = reader.tokens.one(id)
    assert row is not None
    return row.last_used


def test_a_secret_is_accepted_for_its_cluster_also_after_a_restart(core: Core, known: ClusterTokens) -> None:
    east, west = known.create("a", "east"), known.create("b", "west")
    for one in (known, ClusterTokens(core.store)):
        assert (one.cluster_of(east.secret), one.cluster_of(west.secret)) == ("east", "west")
    assert east.secret not in repr(east)


def test_parts_and_neighbours_of_a_secret_are_not_accepted(known: ClusterTokens) -> None:
    one, other = known.create("a", "east"), known.create("b", "west")
    id, random = one.secret.removeprefix("sti_").split("_", 1)
    other_id = other.secret.split("_")[1]
    wrong = ["", "sti_", f"sti_{id}", f"sti_{id}_", one.secret[:-1], one.secret + "x", random]
    wrong += [f"sti_{other_id}_{random}", f"sti_{id}_{'A' * len(random)}", one.secret.upper()]
    assert [known.cluster_of(secret) for secret in wrong] == [None] * len(wrong)


def test_secrets_are_random_and_long(known: ClusterTokens) -> None:
    made = {known.create(str(n), "east").secret.split("_", 2)[2] for n in range(20)}
    assert len(made) == 20
    assert min(map(len, made)) == 43  # 256 bits in base64


def test_a_rotated_secret_is_valid_for_its_grace_time_and_not_longer(
    known: ClusterTokens, clock: Clock
) -> None:
    first = known.create("a", "east")
    second = known.rotate(first.row.id, grace_s=60)
    assert second.row.previous_until == NOON + 60 * S
    clock.now += 60 * S - 1
    assert [known.cluster_of(one.secret) for one in (first, second)] == ["east", "east"]
    clock.now += 1
    assert [known.cluster_of(one.secret) for one in (first, second)] == [None, "east"]
    third = known.rotate(first.row.id, grace_s=0)
    assert [known.cluster_of(one.secret) for one in (second, third)] == [None, "east"]


def test_a_second_rotation_ends_the_first_secret(known: ClusterTokens) -> None:
    first = known.create("a", "east")
    second = known.rotate(first.row.id, grace_s=3600)
    third = known.rotate(first.row.id, grace_s=3600)
    assert [known.cluster_of(one.secret) for one in (first, second, third)] == [None, "east", "east"]


def test_a_revoked_secret_is_refused_at_once(known: ClusterTokens) -> None:
    one = known.create("a", "east")
    before = known.rotate(one.row.id, grace_s=3600)
    known.revoke(one.row.id)
    assert [known.cluster_of(secret.secret) for secret in (one, before)] == [None, None]
    with pytest.raises(NotFound):
        known.revoke(one.row.id)
    with pytest.raises(NotFound):
        known.rotate(one.row.id, 0)


def test_the_last_use_is_written_at_most_once_a_minute(
    core: Core, known: ClusterTokens, clock: Clock
) -> None:
    one = known.create("a", "east")
    assert last_used(core, one.row.id) is None
    for wait, written in ((0, NOON), (USE_NS - 1, NOON), (1, NOON + USE_NS)):
        clock.now += wait
        assert known.cluster_of(one.secret) == "east"
        assert last_used(core, one.row.id) == written
    assert known.cluster_of(one.secret[:-1]) is None
    assert last_used(core, one.row.id) == NOON + USE_NS


def test_names_are_printable_bounded_and_used_once(
    known: ClusterTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert known.create(" a ", " east ").row.name == "a"
    with pytest.raises(Conflict, match="has this name"):
        known.create("a", "west")
    for name, cluster in (("", "east"), ("b", " "), ("b\n", "east\tx"), ("b", "x" * 129), ("b" * 101, "x")):
        with pytest.raises(InvalidInput):
            known.create(name, cluster)
    monkeypatch.setattr(tokens, "MAX_TOKENS", 1)
    with pytest.raises(Conflict, match="there are 1 tokens"):
        known.create("c", "east")
