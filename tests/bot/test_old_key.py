"""What the counters show of the old key is decided once: the button's warning and the card's line cannot disagree."""

from datetime import timedelta

import pytest

from bot.rotation.counted import OldKeyUsage
from bot.rotation.old_key import Deaf, usage_of
from bot.rotation.record import Rotation
from bot.rotation.replica import Replica
from tests.bot.values import NOW, later, running


def silence(port: int, heard: float | None = None, looked: float = 60) -> OldKeyUsage:
    heard_at = None if heard is None else later(heard)
    return OldKeyUsage(url=f"http://r:{port}", environment="e1", looked_at=later(looked), heard_at=heard_at)


def looked(*ports: int) -> dict[str, dict[str, Replica]]:
    return {"e1": {f"http://r:{port}": Replica(url=f"http://r:{port}", at=NOW) for port in ports}}


def of(*silences: OldKeyUsage, **fields: object) -> Rotation:
    return running(silences=silences, **fields)


@pytest.mark.parametrize(
    ("silences", "last", "is_in_use"),
    [
        ([], None, False),
        ([silence(1)], None, False),
        ([silence(1, heard=30)], "r:1", False),
        ([silence(1, heard=60)], "r:1", True),
        ([silence(1, heard=30), silence(2, heard=40)], "r:2", False),
        ([silence(1, heard=30, looked=30), silence(2, heard=40)], "r:1", True),
    ],
    ids=["nobody looked", "quiet", "heard before", "heard at the last look", "the newest", "in use comes first"],
)
def test_the_old_key_is_in_use_where_a_replica_counted_a_request_at_its_last_look(silences, last, is_in_use):
    usage = usage_of(of(*silences))

    assert (usage.last.name if usage.last else None) == last
    assert usage.is_in_use is is_in_use


def test_a_replica_without_counters_and_an_environment_without_an_address_are_named():
    record = of(silence(1), looks=looked(1, 2))
    plan = record.plan.but(environments={"e1": "production", "e2": "staging"})
    usage = usage_of(record.but(plan=plan))

    assert usage.deaf == (Deaf(replica="r:2"), Deaf(environment="staging"))
    assert (usage.listening, usage.replicas) == (1, 2)


@pytest.mark.parametrize(("verified", "since"), [(None, NOW), (30, NOW), (-30, NOW - timedelta(seconds=30))])
def test_a_request_would_be_noticed_since_all_listen_or_since_the_proof(verified, since):
    verified_at = None if verified is None else NOW + timedelta(seconds=verified)

    assert usage_of(of(silence(1), looks=looked(1), verified_at=verified_at)).since == since
