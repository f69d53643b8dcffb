"""The audit trail: any change, loss, doubling or swap of its entries is found by whoever has the lines."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.rotation import audit
from bot.rotation.audit import START, Fault, Kind, chained, head_of, verified
from bot.rotation.states import State
from bot.storage.records import PAGE
from tests.bot.values import EVENT, NAMESPACE, NOW, SECRET, later, plan_of, rotation


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


def test_a_whole_trail_is_well_and_one_that_was_carried_over_goes_on_from_its_version():
    onward = carried((Kind.CARRIED, 7), (Kind.CHANGE, 8), (Kind.CARRIED, 12), (Kind.CHANGE, 13))

    assert [entry["number"] for entry in verified(WHOLE)] == list(range(1, 13))
    assert json.loads(WHOLE[0])["before"] == START
    assert verified([]) == []
    assert audit.last_versions(verified(onward)) == {"rabc123": (13, "AWAITING_SECRET")}


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
@given(st.integers(0, len(WHOLE) - 1), st.data())
def test_a_change_of_any_character_is_found(place, data):
    line = WHOLE[place]
    at = data.draw(st.integers(0, len(line) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda c: c != line[at]))

    changed = [*WHOLE[:place], line[:at] + other + line[at + 1 :], *WHOLE[place + 1 :]]

    assert told(changed) == f"Entry {place + 1} was changed: its hash is not that of what it says."


def carried(*said: tuple[Kind, int]) -> list[str]:
    """The trail of a rotation of which each entry is of that kind and version."""
    return chain([audit.entry(kind, rotation(version=version), EVENT, NOW.isoformat()) for kind, version in said])


A, BODY = WHOLE, entries(9)
DAMAGED = {
    "no entry": ([*A[:3], "nonsense", *A[4:]], "Entry 4 was changed"),
    "nested too deep": ([*A[:3], "[" * 100_000, *A[4:]], "Entry 4 was changed"),
    "no entry, and the trail goes on": (
        [*A, "nonsense", chained(entries(1)[0], head_of("nonsense"))],
        "Entry 13 was changed: its hash is not that of what it says.",
    ),
    "removed": ([*A[:3], *A[5:]], "Entry 4 is missing: entry 6 stands in its place."),
    "swapped": ([*A[:2], A[7], *A[3:7], A[2], *A[8:]], "Entry 8 is out of order: it stands before entry 3."),
    "doubled": ([*A[:6], A[2], *A[6:]], "Entry 3 is there twice: the second one stands after entry 6."),
    "changed, and hashed anew": (
        [*A[:4], forged(A[4], by="U_SOMEBODY_ELSE"), *A[5:]],
        "Entry 6 does not follow entry 5: one of the two was rewritten.",
    ),
    "of another bot": (
        chain([*BODY[:2], {**BODY[2], "namespace": "T2-0a1b2c3d"}, *BODY[3:]]),
        "Entry 3 belongs into another trail: it was written by another Keyturn.",
    ),
    "taken out, and the rest hashed anew": (chain(BODY[1:]), "and none before it of version 1"),
    "a hole after it was carried over": (carried((Kind.CARRIED, 7), (Kind.CHANGE, 9)), "none before it of version 8"),
    "carried over twice": (carried((Kind.CARRIED, 7), (Kind.CARRIED, 7)), "and none before it of version 8"),
}


@pytest.mark.parametrize(("lines", "sentence"), DAMAGED.values(), ids=DAMAGED)
def test_what_was_done_to_a_trail_is_found_and_named(lines, sentence):
    assert sentence in told(lines)


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
)
def test_a_record_that_the_trail_does_not_explain_is_found(records, sentence):
    whole = verified(WHOLE)
    audit.check_records(RECORDS, whole, whole)
    audit.check_records(RECORDS, verified(WHOLE[:-3]), whole)  # it moved on while it was read

    with pytest.raises(Fault, match=sentence):
        audit.check_records(records, whole, whole)


async def test_everybodys_entries_make_one_chain_however_many_write_at_once(store):
    async def one(number: int) -> None:
        first = await store.save(rotation(id=f"r{number}", plan=plan_of(f"pk_{number}")), EVENT, at=NOW)
        await store.note(Kind.REFUSAL, EVENT, rotation=first, at=NOW)
        await store.save(first.to(State.CANCELLED), EVENT, at=NOW)

    await asyncio.gather(*(one(number) for number in range(15)))
    found = verified([line async for line in store.trail()])

    assert len(found) == 45
    assert len({(e["rotation"], e["version"]) for e in found if e["kind"] == Kind.CHANGE}) == 30


async def test_the_head_goes_into_the_record_with_the_delete_and_stays(store):
    first = await store.save(rotation(State.RUNNING), EVENT, at=NOW)
    assert first.audit_head is None

    deleted = await store.save(first.but(deleted_at=NOW), EVENT, at=NOW)
    ended = await store.save(deleted.to(State.COMPLETED), EVENT, at=NOW)
    hashes = [entry["hash"] for entry in verified([line async for line in store.trail()])]

    assert deleted.audit_head == ended.audit_head == hashes[1][:20]


async def test_a_long_trail_is_read_page_by_page(redis, store):
    long = chain(entries(PAGE))
    await redis.rpush(NAMESPACE.key("audit"), *long)

    assert len(long) > PAGE
    assert [line async for line in store.trail()] == long
