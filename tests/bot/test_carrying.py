"""Records of the version before, and of another namespace, are carried over as a whole; what is another bot's stays."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from bot.commands import rotations
from bot.commands.rotations import Asked
from bot.rotation import audit
from bot.rotation.errors import NotOurRecord, Uncertain
from bot.rotation.inventory import Inventory
from bot.rotation.plan import Plan
from bot.rotation.record import CARRIED, SCHEMA, Rotation
from bot.rotation.states import State
from bot.storage.figures import Figures
from bot.storage.migration import BUSY, ELSEWHERE, TAKEN, UNKNOWN, UNREADABLE, Carrier, is_shown
from bot.storage.namespace import BEFORE, REGISTER, Namespace
from bot.storage.records import Conflict, Store, Taken, claimed_before
from tests.bot.values import (
    NAMESPACE,
    NOW,
    affected,
    inventory,
    key,
    later,
    model,
    revocation,
    rotation,
    running,
    stopped,
)

OTHERS = Plan(old_key=key("pk_9"), models=(affected("m9"),))
EVENT = {"by": "U_REQUESTER", "what": "asked", "why": ""}
HERE = inventory([model("m1")], [key("pk_old"), key("pk_new")])
ELSEWHERE_ALTOGETHER = inventory([model("m9")], [key("pk_9")])
COPY = inventory([model("m1")], [key("pk_old")])
"""A copy of a control plane has the old key and the models, but not the key that was made since."""

MOVED = Namespace.of("T1", "https://new.example.com/api")


class Room:
    """One Redis: what the version before keeps in it, a bot that comes, and what its control plane shows."""

    def __init__(self, redis: Redis) -> None:
        self.redis, self.shown = redis, HERE
        self.old, self.new = Store(redis, BEFORE), Store(redis, NAMESPACE)
        self.carrier = self.another()

    async def inventory(self) -> Inventory:
        """Say what there is, unless the control plane is away."""
        if self.shown is None:
            raise Uncertain("AISIX is not answering.")
        return self.shown

    def another(self, namespace: Namespace = NAMESPACE, teams: frozenset[str] | None = frozenset({"T1"})) -> Carrier:
        return Carrier(self.redis, namespace, self, teams=teams, now=lambda: later(60))

    async def put(self, *records: Rotation, store: Store | None = None) -> Rotation:
        """Record a rotation as its version before did, step by step; return the newest."""
        saved = records[0].but(version=0)
        for number, record in enumerate(records):
            saved = await (store or self.old).save(record.but(version=number), EVENT, at=NOW)
        if not claimed_before(saved) and await self.old.holder(saved.plan.old_key.id) == saved.id:
            await self.redis.delete(BEFORE.key("active", saved.plan.old_key.id))
        return saved

    async def keys(self, namespace: Namespace) -> set[str]:
        """Return what holds anything of a rotation in *namespace*, but for its trail."""
        found = {name async for name in self.redis.scan_iter(namespace.key("*"))} - {REGISTER}
        if namespace == BEFORE:
            found = {name for name in found if name.count("-") == 0}
        return {name.removeprefix(namespace.prefix) for name in found} - {"audit"}

    async def trail(self, store: Store) -> list[dict[str, Any]]:
        """Return a trail, verified, which explains every record."""
        entries = audit.verified([line async for line in store.trail()])
        audit.check_trail(entries, store.namespace.name)
        audit.check_records(await store.versions(audit.last_versions(entries)), entries, entries)
        return entries


@pytest.fixture
async def room(redis_url: str) -> AsyncIterator[Room]:
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        yield Room(redis)


ASKED = rotation()
RUNNING = running(made=("pk_new",))
WAITING = RUNNING.but(state=State.AWAITING_APPROVAL, asked_at=NOW)
OVER = (State.COMPLETED, State.ROLLED_BACK, State.CANCELLED)
RECORDS = {state: RUNNING.but(state=state, ended_at=NOW if state in OVER else None) for state in State} | {
    State.AWAITING_SECRET: ASKED,
    State.AWAITING_APPROVAL: WAITING,
    State.COMPLETED: RUNNING.but(state=State.COMPLETED, ended_at=NOW, deleted_at=NOW, revocation=revocation()),
}


@pytest.mark.parametrize(
    ("record", "shown", "is_ours"),
    [
        (ASKED, HERE, True),
        (WAITING, HERE, True),
        (WAITING, ELSEWHERE_ALTOGETHER, False),
        (WAITING, COPY, False),
        (ASKED, inventory([model("m9")], [key("pk_old")]), False),
        (ASKED, inventory([model("m1", "another environment")], [key("pk_old")]), False),
        (ASKED.but(plan=Plan(old_key=key(), models=())), inventory([], [key("pk_old")]), True),
        (RECORDS[State.COMPLETED], inventory([], [key("pk_new")]), True),
        (RECORDS[State.ROLLED_BACK], inventory([], [key("pk_old")]), True),
        (RECORDS[State.CANCELLED], inventory([model("m1")], [key("pk_9")]), True),
        (RECORDS[State.COMPLETED], ELSEWHERE_ALTOGETHER, False),
    ],
)
def test_a_rotation_is_ours_if_the_control_plane_shows_what_it_is_about(record, shown, is_ours):
    assert is_shown(record, shown) is is_ours


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (WAITING.but(team="T2"), ELSEWHERE),
        (RECORDS[State.COMPLETED].but(team="T2"), ELSEWHERE),
        (WAITING.but(plan=OTHERS, replacement=None), UNKNOWN),
        (RECORDS[State.CANCELLED].but(plan=OTHERS, made=()), UNKNOWN),
    ],
)
async def test_a_record_of_another_or_an_unknown_bot_stays_unchanged(room, record, why):
    """A person can name one that cannot be told, but none of another workspace; an organization's bot takes both."""
    saved = await room.put(record)

    assert await room.carrier.carry(BEFORE, [saved.id]) == ((), ((saved.id, why),))
    assert await room.old.load(saved.id) == saved
    assert await room.keys(NAMESPACE) == set()

    every = room.another(teams=None) if why == ELSEWHERE else room.carrier
    assert (await room.carrier.carry(BEFORE, [saved.id], named=True)).moved == (() if why == ELSEWHERE else (saved.id,))
    assert (await every.carry(BEFORE, [saved.id])).moved == ((saved.id,) if why == ELSEWHERE else ())


async def test_a_record_that_cannot_be_read_or_is_a_newer_versions_or_was_copied_there_stays(room):
    saved = await room.put(WAITING)
    newer = saved.but(id="rnewer2", schema_version=SCHEMA + 1)
    await room.redis.set(BEFORE.key("rotation", "rnewer2"), newer.model_dump_json())
    await room.redis.set(BEFORE.key("rotation", "rbroke2"), saved.model_dump_json().replace("AWAITING_", "ON_"))
    await room.redis.copy(BEFORE.key("rotation", saved.id), MOVED.key("rotation", saved.id))

    ids = ("rbroke2", "rnewer2", "rgone22")
    assert await room.carrier.carry(BEFORE, ids) == ((), tuple((id_, UNREADABLE) for id_ in ids))
    assert await room.carrier.carry(MOVED, [saved.id], named=True) == ((), ((saved.id, UNREADABLE),))
    assert await room.keys(NAMESPACE) == set()


@pytest.mark.parametrize("order", [1, -1])
async def test_two_cards_that_the_version_before_made_for_one_key_are_both_carried_over(room, order):
    """It claimed a key with the first secret: one that only waits for its own keeps nobody from the key."""
    waits = await room.put(ASKED)
    begun = await room.put(ASKED.but(id="rbegun2"), RUNNING.but(id="rbegun2"))

    await room.carrier.carry(BEFORE, [waits.id, begun.id][::order])

    assert await room.new.open_ids() == {waits.id, begun.id}
    assert await room.new.holder("pk_old") == begun.id


@pytest.mark.parametrize("state", State)
async def test_all_that_is_kept_of_a_rotation_is_found_here_and_the_key_of_one_under_way_is_held(room, state):
    is_over = state in OVER
    saved = await room.put(ASKED, *([] if state is State.AWAITING_SECRET else [RUNNING, RECORDS[state]]))
    await room.old.remember_message(saved.id, {"card": "1.1", "channel": "C_OPS"})
    await room.redis.hset(BEFORE.key("fingerprints"), mapping={"pk_old": "f.old", "pk_9": "f.another"})
    if is_over:
        await room.old.was_shown(saved)

    await room.carrier.carry(BEFORE, [saved.id])

    found = await room.new.load(saved.id)
    open_, messages = [] if is_over else [found], {"card": "1.1", "channel": "C_OPS"}
    assert found == saved.but(version=saved.version + 1, namespace=NAMESPACE.name, audit_head=found.audit_head)
    assert await contents(room.new, saved.id) == (
        {one.id for one in open_}, [found], open_, open_, [one.id for one in open_], messages, {"pk_old": "f.old"},
        [found] if found.is_owed else [],
    )  # fmt: skip
    assert await contents(room.old, saved.id) == (set(), [], [], [], [], {}, {"pk_9": "f.another"}, [])
    assert await room.new.under_way() == open_
    assert (await Figures(room.redis, NAMESPACE).read(NOW)).states == {one.state: 1 for one in open_}
    is_held = state not in (State.AWAITING_SECRET, State.ROLLED_BACK, State.CANCELLED)
    assert await room.new.holder("pk_old") == (saved.id if is_held else None)
    claim = set() if is_over or state is State.AWAITING_SECRET else {"active:pk_old"}
    assert await room.keys(BEFORE) == {f"rotation:{saved.id}", "fingerprints"} | claim


async def contents(store: Store, rotation: str) -> tuple[Any, ...]:
    return (
        await store.open_ids(),
        await store.recent(9),
        await store.concerning("pk_old"),
        [one async for one in store.due(NOW)],
        await store.unshown(),
        await store.messages(rotation),
        await store.fingerprints(),
        await store.revocations_due(9),
    )


async def test_both_trails_verify_and_the_rotation_goes_on_in_the_new_one(room):
    saved = await room.put(ASKED, RUNNING, WAITING)
    other = await room.put(WAITING.but(id="rother2", team="T2", plan=OTHERS))

    await room.carrier.carry(BEFORE, [saved.id, other.id])
    await room.new.save((await room.new.load(saved.id)).to(State.ROLLING_BACK), EVENT, at=later(70))

    before, after = await room.trail(room.old), await room.trail(room.new)
    assert [(e["rotation"], e["version"], e["what"]) for e in before][-1] == (
        saved.id, 4, f"carried over to {NAMESPACE.queue}",
    )  # fmt: skip
    assert [(e["kind"], e["version"], e["state"], e["what"]) for e in after] == [
        ("carried", 4, "AWAITING_APPROVAL", "carried over from keyturn"),
        ("change", 5, "ROLLING_BACK", "asked"),
    ]
    assert {e["namespace"] for e in after} == {NAMESPACE.name}

    await room.redis.delete(NAMESPACE.key("rotation", saved.id))
    with pytest.raises(audit.Fault, match="there is no record of it that can be read"):
        await room.trail(room.new)


async def test_one_that_was_carried_over_is_shown_and_resumed_where_it_goes_on(room, capsys):
    saved = await room.put(stopped())
    await room.carrier.carry(BEFORE, [saved.id])

    await rotations.show([room.old, room.new], Asked(saved.id))
    await rotations.resume([room.old, room.new], Asked(saved.id, by="alice"))

    assert capsys.readouterr().out.startswith(f"{saved.id}  stopped")
    assert (await room.new.load(saved.id)).state is State.RUNNING
    with pytest.raises(NotOurRecord, match="goes on in a Keyturn"):
        await rotations.show([room.old], Asked(saved.id))


async def test_an_edit_before_it_was_carried_over_is_found(room):
    saved = await room.put(RUNNING)
    name = BEFORE.key("rotation", saved.id)
    await room.redis.set(name, (await room.redis.get(name)).replace("U_REQUESTER", "U_SOMEBODY"))
    await room.carrier.carry(BEFORE, [saved.id])

    with pytest.raises(audit.Fault, match="Entry 2 found another record of rotation rabc123 than entry 1"):
        await room.trail(room.old)


@pytest.mark.parametrize("lease", ["rabc123", "show:rabc123"])
async def test_a_leased_record_is_carried_over_once_its_lease_ends(room, lease):
    saved = await room.put(RUNNING)

    async with room.old.leased(lease, 30) as mine:
        assert mine
        assert await room.carrier.carry(BEFORE, [saved.id]) == ((), ((saved.id, BUSY),))
        assert await room.new.load(saved.id) is None

    assert (await room.carrier.carry(BEFORE, [saved.id])).moved == (saved.id,)


async def test_a_record_that_changed_since_it_was_read_is_read_again(room):
    looked_at = await room.put(RUNNING)
    changed = await room.old.save(looked_at.but(note="n"), EVENT, at=NOW)

    assert await room.carrier._carry_one(BEFORE, looked_at) == BUSY  # noqa: SLF001 - between the look and the move
    assert await room.old.load(changed.id) == changed
    assert await room.new.load(changed.id) is None


async def test_what_stays_behind_keeps_an_older_version_from_the_record_and_the_key(room):
    saved = await room.put(RUNNING)
    await room.carrier.carry(BEFORE, [saved.id])
    with pytest.raises(Conflict):
        await room.old.save(saved.but(note="mine"), EVENT, at=NOW)

    left = json.loads(await room.redis.get(BEFORE.key("rotation", saved.id)))
    assert (left["note"], left["schema_version"]) == (None, CARRIED)
    assert CARRIED > SCHEMA
    assert Rotation.model_validate(left).state is State.RUNNING
    with pytest.raises(NotOurRecord):
        await room.old.load(saved.id)
    with pytest.raises(Taken):
        await room.put(rotation(id="rsecnd2"), running(id="rsecnd2"))


async def test_many_bots_at_once_carry_each_record_over_once(room):
    ids = [f"r{number:05}2" for number in range(12)]
    for number, id_ in enumerate(ids):
        await room.put(rotation(id=id_, requested_at=later(number)))
    busy = await room.put(rotation(id="rbusy22", plan=OTHERS), store=room.new)

    async def others() -> None:
        record = busy
        for _ in range(20):
            record = await room.new.save(record.but(note="n"), EVENT, at=NOW)

    found = await asyncio.gather(*(room.another().carry(BEFORE, ids) for _ in range(3)), others())

    moved = [id_ for carried in found[:3] for id_ in carried.moved]
    assert sorted(moved) == ids
    assert await room.new.open_ids() == {*ids, "rbusy22"}
    before, after = await room.trail(room.old), await room.trail(room.new)
    assert len([e for e in before if "carried over" in e["what"]]) == len(ids)
    assert len([e for e in after if e["kind"] == audit.Kind.CARRIED]) == len(ids)


async def test_where_another_rotation_has_the_key_or_the_id_nothing_is_written_over(room):
    saved = await room.put(RUNNING)
    holder = await room.put(running(id="rholds2"), store=room.new)
    assert await room.carrier.carry(BEFORE, [saved.id]) == ((), ((saved.id, TAKEN),))

    await room.new.save(holder.but(state=State.ROLLED_BACK), EVENT, at=NOW)
    namesake = await room.put(rotation(plan=OTHERS), store=room.new)
    assert await room.carrier.carry(BEFORE, [saved.id]) == ((), ((saved.id, TAKEN),))
    assert await room.new.load(saved.id) == namesake


async def test_a_start_carries_over_what_is_not_over_once_the_control_plane_shows_it(room):
    room.shown = None
    assert await room.carrier.carry(BEFORE, await room.carrier.open_in(BEFORE)) == ((), ()), "nothing is asked"
    waiting = await room.put(WAITING)
    over = await room.put(RECORDS[State.COMPLETED].but(id="rover22", plan=OTHERS))

    await room.carrier.begin()
    assert await room.old.load(waiting.id) == waiting
    room.shown = HERE
    await room.carrier.begin()

    assert await room.new.load(waiting.id) is not None
    assert await room.old.load(over.id) == over
    assert await room.redis.hgetall(REGISTER) == {NAMESPACE.name: "https://cp.example.com/api"}

    looking = asyncio.create_task(room.carrier.keep())
    async with asyncio.timeout(120):
        while await room.new.load(over.id) is None:  # noqa: ASYNC110 - Redis has no event for it
            await asyncio.sleep(0.01)
    looking.cancel()


async def test_a_namespace_is_carried_over_to_another_address_and_back(room):
    saved = await room.put(ASKED, WAITING, store=room.new)
    there = Store(room.redis, MOVED)

    await room.another(MOVED).carry(NAMESPACE, [saved.id])
    with pytest.raises(NotOurRecord, match="This rotation goes on in a Keyturn with another AISIX_CLOUD_API"):
        await room.new.load(saved.id)
    moved = await there.load(saved.id)
    assert moved is not None
    assert await there.holder("pk_old") == saved.id
    assert await room.new.holder("pk_old") is None
    await there.save(moved.to(State.ROLLING_BACK), EVENT, at=later(70))

    await room.carrier.carry(MOVED, [saved.id])
    back = await room.new.load(saved.id)

    assert back is not None
    assert (back.state, back.version, back.carried_to) == (State.ROLLING_BACK, 5, "")
    assert [e["version"] for e in await room.trail(room.new)] == [1, 2, 3, 5]
    assert [e["version"] for e in await room.trail(there)] == [3, 4, 5]


async def test_a_claim_that_a_request_has_made_comes_along_and_takes_nobody_elses_place(room):
    asked = await room.put(ASKED, store=room.new)
    await room.redis.set(NAMESPACE.key("active", "pk_old"), asked.id)
    there = Store(room.redis, MOVED)
    await room.redis.set(MOVED.key("active", "pk_old"), "rother2")

    assert [left.why for left in (await room.another(MOVED).carry(NAMESPACE, [asked.id])).left] == [TAKEN]
    await room.redis.delete(MOVED.key("active", "pk_old"))
    assert (await room.another(MOVED).carry(NAMESPACE, [asked.id])).moved == (asked.id,)

    assert (await room.new.holder("pk_old"), await there.holder("pk_old")) == (None, asked.id)
