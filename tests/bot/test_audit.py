"""The audit trail: any change, loss, doubling or swap of its entries is found by whoever has the lines."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from bot.rotation import audit
from bot.rotation.audit import START, Fault, Kind, chained, head_of, verified
from bot.rotation.plan import Plan
from bot.rotation.states import State
from bot.storage.records import PAGE, Store
from tests.bot.values import NAMESPACE, NOW, SECRET, key, later, rotation

EVENT = {"by": "U_REQUESTER", "what": "asked", "why": ""}


def chain(entries: list[dict[str, Any]]) -> list[str]:
    lines: list[str] = []
    for entry in entries:
        lines.append(chained(entry, head_of(lines[-1] if lines else None)))
    return lines


def entries(length: int) -> list[dict[str, Any]]:
    """A rotation that goes on and on, with a refusal now and then."""
    made = []
    for number in range(1, length + 1):
        made.append(audit.entry(Kind.CHANGE, rotation(version=number), EVENT, later(number).isoformat()))
        if number % 3 == 0:
            refused = {"by": "U_GUEST", "what": "Cancel", "why": "Guests cannot use Keyturn."}
            made.append(audit.entry(Kind.REFUSAL, rotation(version=number), refused, later(number).isoformat()))
    return made


WHOLE = chain(entries(9))
PLACES = st.integers(0, len(WHOLE) - 1)


def told(lines: list[str]) -> str:
    """What is wrong with them."""
    with pytest.raises(Fault) as fault:
        verified(lines)
    return str(fault.value)


def forged(line: str, **changes: Any) -> str:
    """An entry that was changed by somebody who knows how to make its hash."""
    fields = {**json.loads(line), **changes}
    del fields["hash"]
    number, before = fields.pop("number"), fields.pop("before")
    return chained(fields, audit.Head(number - 1, before))


def test_a_whole_trail_is_well():
    assert [entry["number"] for entry in verified(WHOLE)] == list(range(1, 13))
    assert json.loads(WHOLE[0])["before"] == START
    assert verified([]) == []


def test_an_entry_says_who_did_what_when_and_where_that_left_the_rotation():
    entry = audit.entry(Kind.CHANGE, rotation(version=4), EVENT | {"why": "because"}, NOW.isoformat())

    assert json.loads(chain([entry])[0]).items() >= {
        "number": 1, "at": NOW.isoformat(), "kind": "change", "rotation": "rabc123", "version": 4,
        "state": "AWAITING_SECRET", "key": "pk_old", "by": "U_REQUESTER", "what": "asked", "why": "because",
    }.items()  # fmt: skip


@pytest.mark.parametrize("why", [SECRET, f"it is {SECRET}.", "A1b2C3d4E5f6G7h8I9j0K1l2"])
def test_what_may_be_a_secret_is_left_out(why):
    line = chain([audit.entry(Kind.CHANGE, rotation(version=1), EVENT | {"why": why}, NOW.isoformat())])[0]

    assert json.loads(line)["why"] == "(left out: it may hold a secret)"


@settings(max_examples=25)
@given(PLACES, st.data())
def test_a_change_of_any_character_is_found(place, data):
    line = WHOLE[place]
    at = data.draw(st.integers(0, len(line) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda c: c != line[at]))

    changed = [*WHOLE[:place], line[:at] + other + line[at + 1 :], *WHOLE[place + 1 :]]

    assert told(changed) == f"Entry {place + 1} was changed: its hash is not that of what it says."


@given(PLACES, st.text() | st.from_type(dict).map(json.dumps) | st.just("[" * 100_000))
def test_anything_else_in_the_place_of_an_entry_is_found(place, text):
    assert f"Entry {place + 1} was changed" in told([*WHOLE[:place], text, *WHOLE[place + 1 :]])


@given(st.integers(0, len(WHOLE) - 2), st.integers(1, len(WHOLE)))
def test_a_removal_is_found_wherever_it_is_not_the_end(place, count):
    rest = WHOLE[place + count :]
    if rest:
        assert told([*WHOLE[:place], *rest]).startswith(f"Entry {place + 1} is missing: entry ")


@given(st.lists(PLACES, min_size=2, max_size=2, unique=True).map(sorted))
def test_a_swap_is_found(places):
    one, other = places
    swapped = [*WHOLE]
    swapped[one], swapped[other] = swapped[other], swapped[one]

    assert told(swapped) == f"Entry {other + 1} is out of order: it stands before entry {one + 1}."


@given(PLACES, PLACES)
def test_a_doubled_entry_is_found(place, where):
    doubled = [*WHOLE[: where + 1], WHOLE[place], *WHOLE[where + 1 :]]
    sentence = told(doubled)

    if place <= where:
        assert sentence == f"Entry {place + 1} is there twice: the second one stands after entry {where + 1}."
    elif place > where + 1:
        assert sentence == f"Entry {place + 1} is out of order: it stands before entry {where + 2}."
    else:
        assert sentence == f"Entry {place + 1} is there twice: the second one stands after entry {place + 1}."


@given(st.integers(0, len(WHOLE) - 2))
def test_an_entry_that_was_changed_and_hashed_anew_is_found_by_the_next(place):
    lines = [*WHOLE]
    lines[place] = forged(lines[place], by="U_SOMEBODY_ELSE")

    assert told(lines) == f"Entry {place + 2} does not follow entry {place + 1}: one of the two was rewritten."


def test_the_last_entry_written_anew_and_a_tail_taken_off_are_found_by_the_head_on_a_receipt():
    last = json.loads(WHOLE[-1])["hash"]
    short = last[: audit.SHORT]
    assert audit.check_head(short, verified(WHOLE)) == 12
    assert audit.check_head(f" `{last.upper()}` ", verified(WHOLE)) == 12

    for lines in ([*WHOLE[:-1], forged(WHOLE[-1], by="U_X")], WHOLE[:-1], []):
        with pytest.raises(Fault, match=f"No entry has the hash {short}: entries were taken from the end"):
            audit.check_head(short, verified(lines))
    with pytest.raises(Fault, match="A head has at least 20 digits"):
        audit.check_head(short[:-1], verified(WHOLE))


def test_an_entry_of_another_bots_trail_is_found():
    body = entries(3)
    foreign = chain([*body[:2], {**body[2], "namespace": "T2-0a1b2c3d"}])

    assert told(foreign) == "Entry 3 belongs into another trail: it was written by another Keyturn."


def test_a_rotation_that_was_carried_over_begins_at_its_version_and_goes_on_from_there():
    def said(kind, version):
        return audit.entry(kind, rotation(version=version), EVENT, NOW.isoformat(), "T1-0a1b2c3d")

    good = chain([said(Kind.CARRIED, 7), said(Kind.CHANGE, 8), said(Kind.CARRIED, 12), said(Kind.CHANGE, 13)])
    assert audit.last_versions(verified(good)) == {"rabc123": (13, "AWAITING_SECRET")}

    assert "and none before it of version 8" in told(chain([said(Kind.CARRIED, 7), said(Kind.CHANGE, 9)]))
    assert "and none before it of version 8" in told(chain([said(Kind.CARRIED, 7), said(Kind.CARRIED, 7)]))


def test_of_several_trails_in_one_export_each_is_verified_and_none_may_be_there_twice():
    def trail(name):
        return chain([{**entry, "namespace": name} for entry in entries(3)])

    one, other = trail("T1-0a1b2c3d"), trail("T2-0a1b2c3d")
    parts = audit.split_trails([*WHOLE, *one, *other])

    assert parts == [WHOLE, one, other]
    assert [audit.trail_of(verified(part)) for part in parts] == ["", "T1-0a1b2c3d", "T2-0a1b2c3d"]
    audit.check_distinct([verified(part) for part in parts])
    with pytest.raises(Fault, match="The trail of keyturn:T1-0a1b2c3d is there twice"):
        audit.check_distinct([verified(one), verified(one)])
    with pytest.raises(Fault, match="The trail kept for keyturn:T2-0a1b2c3d is of keyturn:T1-0a1b2c3d"):
        audit.check_trail(verified(one), "T2-0a1b2c3d")
    assert audit.holder_of(json.loads(other[-1])["hash"], [verified(part) for part in parts]) == verified(other)


@given(st.integers(0, 7))
def test_entries_taken_out_and_the_rest_chained_anew_leave_a_hole_in_the_versions(place):
    kept = entries(9)
    changes = [entry for entry in kept if entry["kind"] == Kind.CHANGE]
    kept.remove(changes[place])

    assert f"and none before it of version {place + 1}" in told(chain(kept))


def test_after_an_entry_that_was_tampered_with_the_trail_goes_on():
    onward = chained(entries(1)[0], head_of("nonsense"))

    assert told([*WHOLE, "nonsense", onward]) == "Entry 13 was changed: its hash is not that of what it says."


# --- records ---


RECORDS = {"rabc123": (9, "AWAITING_SECRET")}


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        ({"rabc123": (10, "RUNNING")}, "Rotation rabc123 is RUNNING at version 10, and no entry says so"),
        ({"rabc123": (9, "COMPLETED")}, "Rotation rabc123 is COMPLETED at version 9, and no entry says so"),
        ({"rabc123": (8, "AWAITING_SECRET")}, "Rotation rabc123 was put back from version 9 to 8"),
        ({}, "there is no record of it that can be read"),
        (RECORDS | {"rother": (1, "RUNNING")}, "Rotation rother is RUNNING at version 1, and no entry says so"),
    ],
    ids=["ahead", "another state", "put back", "gone", "untold"],
)
def test_a_record_that_the_trail_does_not_explain_is_found(records, sentence):
    whole = verified(WHOLE)
    audit.check_records(RECORDS, whole, whole)

    with pytest.raises(Fault, match=sentence):
        audit.check_records(records, whole, whole)


def test_a_record_that_moved_on_while_it_was_read_is_no_fault():
    audit.check_records(RECORDS, verified(WHOLE[:-3]), verified(WHOLE))


# --- in the store ---


async def test_everybodys_entries_make_one_chain_however_many_write_at_once(redis_url):
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        store = Store(redis, NAMESPACE)

        async def one(number: int) -> None:
            plan = Plan(old_key=key(f"pk_{number}"), models=(), environments={})
            first = await store.save(rotation(id=f"r{number}", plan=plan), EVENT, at=NOW)
            await store.note(Kind.REFUSAL, EVENT, rotation=first, at=NOW)
            await store.save(first.to(State.CANCELLED), EVENT, at=NOW)

        await asyncio.gather(*(one(number) for number in range(15)))
        found = verified([line async for line in store.trail()])

    assert len(found) == 45
    assert len({(e["rotation"], e["version"]) for e in found if e["kind"] == Kind.CHANGE}) == 30


async def test_the_head_goes_into_the_record_with_the_delete_and_stays(redis_url):
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        store = Store(redis, NAMESPACE)
        first = await store.save(rotation(State.RUNNING), EVENT, at=NOW)
        assert first.audit_head is None

        deleted = await store.save(first.but(deleted_at=NOW), EVENT, at=NOW)
        ended = await store.save(deleted.to(State.COMPLETED), EVENT, at=NOW)
        hashes = [entry["hash"] for entry in verified(await redis.lrange(NAMESPACE.key("audit"), 0, -1))]

    assert deleted.audit_head == ended.audit_head == hashes[1][:20]


async def test_a_long_trail_is_read_page_by_page(redis_url):
    long = chain(entries(PAGE))
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        await redis.rpush(NAMESPACE.key("audit"), *long)

        assert len(long) > PAGE
        assert [line async for line in Store(redis, NAMESPACE).trail()] == long
