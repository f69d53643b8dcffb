"""The audit trail: any change, loss, doubling or swap of its entries is found by everybody who has the lines."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.rotation import audit
from bot.rotation.audit import START, Fault, Kind, chained, head_of, verified
from bot.rotation.errors import NotOurRecord
from bot.rotation.evidence import Evidence
from bot.rotation.finding import Finding
from bot.rotation.states import State
from bot.storage.records import PAGE, Store
from tests.bot.values import EVENT, NAMESPACE, NOW, SECRET, approval, later, plan_of, rotation, running


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
def test_the_audit_trail_leaves_out_what_may_be_a_secret(why):
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
def test_each_tampering_with_a_trail_is_found_and_named(lines, sentence):
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


def stored(version: int, state: str = "AWAITING_SECRET") -> audit.Stored:
    return audit.Stored(version, state, "", None)


RECORDS = {"rabc123": stored(9)}


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        ({"rabc123": stored(9, "COMPLETED")}, "Rotation rabc123 is COMPLETED at version 9, and no entry says so"),
        ({"rabc123": stored(8)}, "Rotation rabc123 was put back from version 9 to 8"),
        ({}, "there is no record of it that can be read"),
        (RECORDS | {"rother": stored(1, "RUNNING")}, "Rotation rother is RUNNING at version 1, and no entry says so"),
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


async def explained(store: Store) -> list[dict[str, Any]]:
    """The verified trail of a store, which explains every record."""
    entries = verified([line async for line in store.trail()])
    audit.check_records(await store.versions([]), entries, entries)
    return entries


async def test_from_the_delete_on_the_record_holds_the_hash_of_the_entry_that_binds_it(store):
    first = await store.save(rotation(State.RUNNING), EVENT, at=NOW)
    deleted = await store.save(first.but(deleted_at=NOW), EVENT, at=NOW)
    ended = await store.save(deleted.to(State.COMPLETED), EVENT, at=NOW)

    heads = [entry["hash"][:20] for entry in await explained(store)]
    assert [first.audit_head, deleted.audit_head, ended.audit_head] == [None, *heads[1:]]


APPROVED = running(
    approvals=(approval(),),
    findings={"m1": Finding(verdict=Evidence(verdict="inconclusive", reason="429", at=NOW))},
    deleted_at=NOW,
)
EDITS = {
    "a verdict": (b'"inconclusive"', b'"proved"'),
    "an approval": (b"U_APPROVER", b"U_SOMEBODY"),
    "a time": (b'"deleted_at":"2026-11-23T14:02', b'"deleted_at":"2026-11-23T14:03'),
    "the audit head": (b'"audit_head":"', b'"audit_head":"","write":"'),
    "the order of its fields": (b',"carried_to":', b', "carried_to":'),
}


ONWARD = {
    "saved over it": lambda store, saved: store.save(saved, EVENT, at=NOW),
    "noted a click": lambda store, saved: store.note(Kind.CLICK, EVENT, rotation=saved, at=NOW),
}


@pytest.mark.parametrize("onward", ONWARD.values(), ids=ONWARD)
@pytest.mark.parametrize(("genuine", "edited"), EDITS.values(), ids=EDITS)
async def test_an_edit_of_a_record_is_found_also_after_keyturn_went_on_with_it(redis, store, genuine, edited, onward):
    saved = await store.save(APPROVED, EVENT, at=NOW)
    await store.note(Kind.CLICK, EVENT, rotation=saved, at=NOW)
    await explained(store)
    record = (await redis.get(store.key("rotation", saved.id))).encode()
    assert genuine in record
    await redis.set(store.key("rotation", saved.id), record.replace(genuine, edited))

    with pytest.raises(Fault, match="The record of rotation rabc123 is not the one that entry 1 wrote: a verdict, an"):
        await explained(store)
    await onward(store, saved)
    with pytest.raises(Fault, match="Entry 3 found another record of rotation rabc123 than entry 1 had written: a ver"):
        await explained(store)


async def test_an_edited_audit_head_is_found(redis, store):
    saved = await store.save(APPROVED, EVENT, at=NOW)
    record = await redis.get(store.key("rotation", saved.id))
    await redis.set(store.key("rotation", saved.id), record.replace(saved.audit_head, "0" * 20))

    with pytest.raises(Fault, match="is not the one that entry 1 wrote"):
        await explained(store)


@pytest.mark.parametrize("swapped", [True, False])
async def test_an_edit_is_found_although_the_genuine_record_stands_in_another_place(redis, store, swapped):
    saved = await store.save(APPROVED, EVENT, at=NOW)
    other = await store.save(APPROVED.but(id="rother2", plan=plan_of("pk_9")), EVENT, at=NOW)
    places = [store.key("rotation", each.id) for each in (saved, other)]
    records = await redis.mget(places)
    edited = records[::-1] if swapped else [records[0].replace("U_APPROVER", "U_SOMEBODY"), records[1]]
    await redis.mset(dict(zip(places, edited, strict=True)) | {store.key("rotation", "rzombie"): records[0]})
    await redis.zadd(store.key("all"), {"rzombie": 1})

    with pytest.raises(Fault, match=r"there is no record of it|is not the one that entry 1 wrote"):
        await explained(store)
    with pytest.raises(NotOurRecord, match="Another rotation's record stands in this one's place"):
        await store.load("rzombie")


async def test_an_open_rotation_whose_entries_and_list_place_were_removed_is_found(redis, store):
    await store.save(running(), EVENT, at=NOW)
    await redis.delete(store.key("audit"), store.key("all"))

    with pytest.raises(Fault, match="and no entry says so"):
        await explained(store)


def unbound(line: str) -> dict[str, Any]:
    """The entry as the version before wrote it."""
    left_out = {"found", "record", "number", "before", "hash"}
    return {name: value for name, value in json.loads(line).items() if name not in left_out}


LAST = "; 1 rotation changed last before that, and no hash binds what is recorded there."


async def test_a_trail_of_an_earlier_version_goes_on_and_says_from_which_entry_on_records_are_bound(redis, store):
    said = [audit.binding(await explained(store))]
    first = await store.save(rotation(), EVENT, at=NOW)
    await store.save(rotation(id="rother2", plan=plan_of("pk_other")), EVENT, at=NOW)
    said.append(audit.binding(await explained(store)))
    older = chain([unbound(line) for line in await redis.lrange(store.key("audit"), 0, -1)])
    await redis.delete(store.key("audit"))
    await redis.rpush(store.key("audit"), *older)
    said.append(audit.binding(await explained(store)))
    await store.note(Kind.CLICK, EVENT, rotation=first, at=NOW)
    await store.save(first, EVENT, at=NOW)
    said.append(audit.binding(await explained(store)))

    assert said == [
        "",
        "Records are bound from entry 1 on.",
        "Entry 2 is of an earlier version of Keyturn: it binds no record.",
        f"Records are bound from entry 4 on{LAST}",
    ]


async def test_a_long_trail_is_read_page_by_page(redis, store):
    long = chain(entries(PAGE))
    await redis.rpush(NAMESPACE.key("audit"), *long)

    assert len(long) > PAGE
    assert [line async for line in store.trail()] == long
