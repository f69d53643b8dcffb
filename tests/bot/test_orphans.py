"""What is left of a rotation is told from the control plane alone, and what is not certain is not guessed."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from bot.recovery.adoption import Sponsor, adopted, taken_back
from bot.recovery.diagnosis import described, summary
from bot.recovery.doctor import Doctor, Orders
from bot.recovery.orphans import BEGUN, Kind, Orphan, rotations_seen
from bot.rotation.errors import Refused
from bot.rotation.inventory import PassthroughRoute
from bot.rotation.plan import Plan
from bot.rotation.progress import next_step
from bot.rotation.record import Rotation
from bot.rotation.states import State, Track
from bot.service import RotationService
from bot.storage.jobs import Jobs
from bot.storage.records import Store
from tests.bot.values import NAMESPACE, NOW, inventory, key, later, model, rotation, rules
from tests.support.in_memory import KEY, NEW_SECRET, OLD_SECRET, Everybody, tenancy_of

ID = "r7k2abc"
OLD = key()
NEW = key("pk_new", f"OpenAI production (2026-11-23 {ID})")
SECOND = key("pk_2", f"OpenAI production (2026-11-23 {ID}-2)")
EARLIER = key("pk_early", "OpenAI production (2026-10-01 raaaaa2)")
LATER = key("pk_late", "OpenAI production (2026-12-01 rbbbbb3)")
OTHER = key("pk_other", "Another key")
BOTH = ("prod", "stag")
SPONSOR = Sponsor(team="T1", channel="C_OPS", requester="U_REQUESTER", approvals_required=2)


def on(id_: str, key_id: str | None, **fields: Any):
    return model(id_, provider_key=key_id, **fields)


def throwaway(number: int = 0, key_id: str | None = "pk_new", **fields: Any):
    return model(f"t{number}", alias=f"keyturn-{ID}-{number}", provider_key=key_id, **fields)


def one(models=(), keys=(OLD, NEW), named=None, **fields: Any) -> Orphan:
    """Return the half rotation of ours."""
    seen = rotations_seen(inventory(models, keys, **fields), named)
    return next(half for half in seen if half.rotation == ID)


KINDS = {
    "nothing has begun": ([on("m1", "pk_old")], (OLD, NEW), Kind.UNUSED),
    "no model at all": ([], (OLD, NEW), Kind.UNUSED),
    "the rehearsal was broken off": ([on("m1", "pk_old"), throwaway()], (OLD, NEW), Kind.UNUSED),
    "some moved": ([on("m1", "pk_old"), on("m2", "pk_new")], (OLD, NEW), Kind.SPLIT),
    "all moved": ([on("m1", "pk_new"), on("m2", "pk_new")], (OLD, NEW), Kind.MOVED),
    "moved, by name": ([on("m1", NEW.display_name)], (OLD, NEW), Kind.MOVED),
    "finished": ([on("m1", "pk_new")], (NEW, OTHER), Kind.FINISHED),
    "finished, and unused since": ([], (NEW, OTHER), Kind.FINISHED),
    "finished, with a throw-away left": ([on("m1", "pk_new"), throwaway()], (NEW,), Kind.LEFTOVERS),
    "every key gone, with a throw-away left": ([throwaway(key_id="pk_gone")], (OTHER,), Kind.LEFTOVERS),
    "a throw-away of somebody else's": ([throwaway(key_id="pk_other")], (OTHER,), Kind.FINISHED),
    "another provider's": ([], (key(provider="azure"), NEW), Kind.FINISHED),
    "two olds of one name": ([], (OLD, key("pk_old_2"), NEW), Kind.UNCLEAR),
    "an earlier replacement is the old key": ([on("m1", "pk_early")], (EARLIER, NEW), Kind.UNUSED),
    "a later rotation's is not": ([on("m1", "pk_new")], (NEW, LATER), Kind.FINISHED),
    "two of one day": ([], (key("pk_x", "OpenAI production (2026-11-23 raaaaa2)"), NEW), Kind.UNCLEAR),
    "two secrets": ([on("m1", "pk_old"), on("m2", "pk_2")], (OLD, NEW, SECOND), Kind.SPLIT),
}  # fmt: skip


@pytest.mark.parametrize("case", KINDS)
def test_the_doctor_says_how_far_a_half_rotation_came_what_callers_notice_and_what_helps(case):
    models, keys, kind = KINDS[case]
    half = one(models, keys)
    found = described(half, "", inventory(models, keys))
    lines = [str(found), *found.more]
    text = "\n".join(lines)

    assert half.kind is kind
    assert lines[0].startswith(f"HALF   {ID}: ")
    assert ("Callers now: " in text) is (kind is not Kind.FINISHED)
    assert ("--adopt" in text) is (kind not in (Kind.LEFTOVERS, Kind.FINISHED))
    assert all(line.rstrip().endswith(".") for line in lines if line.strip()), text
    assert "None" not in text


def test_what_was_made_after_the_replacement_is_not_what_it_replaces():
    same_day = key("pk_x", "OpenAI production (2026-11-23 raaaaa2)")

    assert one(made_at={"pk_old": later(1), "pk_new": NOW}).kind is Kind.FINISHED
    assert one(made_at={"pk_old": later(-1), "pk_new": NOW}).kind is Kind.UNUSED
    assert one(keys=(same_day, NEW), made_at={"pk_x": later(-1), "pk_new": NOW}).old == same_day


def test_the_replacement_is_the_key_of_the_newest_secret_and_of_two_the_one_in_use():
    twin = key("pk_a", NEW.display_name)

    assert one(keys=(OLD, SECOND, NEW)).replacement == SECOND
    assert one([on("m1", "pk_a")], keys=(OLD, twin, NEW)).replacement == twin
    assert one([on("m1", "pk_new")], keys=(OLD, twin, NEW)).replacement == NEW


def test_a_copy_that_somebody_made_of_a_replacement_is_not_its_own_and_hides_nothing():
    copy = key("pk_copy", f"{NEW.display_name} copy")
    half = one([on("m1", "pk_new"), on("m2", "pk_copy")], keys=(OLD, NEW, copy))

    assert (half.kind, half.keys, [m.id for m in half.moved]) == (Kind.MOVED, (NEW,), ["m1"])


def test_a_key_that_people_named_is_no_rotations_and_has_replaced_nothing_itself():
    for name in ("OpenAI production", "OpenAI production (reserve)", "Azure rev2024"):
        assert rotations_seen(inventory([on("m1", "pk_x")], [OLD, key("pk_x", name)])) == ()

    custom, since = key("pk_new", f"Brand new {ID}"), key("pk_late", f"Brand new {ID} (2026-12-01 rbbbbb3)")
    orphans = rotations_seen(inventory([on("m1", "pk_new")], (custom, since)))
    assert [(half.rotation, half.kind) for half in orphans] == [(ID, Kind.FINISHED), ("rbbbbb3", Kind.UNUSED)]


def test_a_person_can_say_which_is_the_old_key_and_not_one_that_cannot_be():
    custom = key("pk_new", f"Brand new {ID}")
    assert one([on("m1", "pk_new")], (OLD, custom), {ID: "pk_old"}).kind is Kind.MOVED
    assert one([on("m1", "pk_old_2")], (OLD, key("pk_old_2"), NEW), {ID: "pk_old_2"}).unmoved != ()

    azure = key("pk_azure", provider="azure")
    for models, keys, wrong in (
        ([], (azure, OLD, NEW), "pk_nobody"),
        ([], (azure, OLD, NEW), "pk_new"),
        ([], (azure, OLD, NEW), "pk_azure"),
        ([throwaway(key_id="pk_gone")], (OLD,), "pk_old"),
    ):
        with pytest.raises(Refused):
            one(models, keys, {ID: wrong})


def test_where_a_record_can_be_read_it_says_which_is_the_old_key_and_no_name_does():
    models, keys = [on("m1", "pk_new")], (EARLIER, NEW, OTHER)
    assert one(models, keys).old == EARLIER

    for recorded, kind, old in (("pk_gone", Kind.FINISHED, None), ("pk_other", Kind.MOVED, OTHER)):
        halves = rotations_seen(inventory(models, keys), recorded={ID: recorded})
        assert [(half.kind, half.old) for half in halves if half.rotation == ID] == [(kind, old)]


async def keep(store: Store, id_: str, state: State, old: str, **fields: Any) -> None:
    """Keep the record of a rotation of the key *old*."""
    plan = Plan(old_key=key(old), models=())
    record = rotation(state, id=id_, plan=plan, namespace=NAMESPACE.name, **fields)
    await store.save(record, dict.fromkeys(("by", "what", "why"), ""), at=NOW)


async def test_the_doctor_takes_nothing_back_to_a_key_that_the_record_does_not_name(store):
    """The first rotation was rolled back and its key stays; the second replaced the same key, which is gone."""
    async with tenancy_of() as tenancy:
        machine, aisix = await tenancy.machine(), tenancy.aisix
        aisix.edit(tenancy.old, display_name=f"{KEY} (2026-11-20 raaaaa2)")
        used = aisix.add_key(f"{KEY} (2026-11-23 {ID})", secret="sk-second")
        for there in (tenancy.chat, tenancy.staged):
            aisix.edit(there, key=used)
        for id_, state in (("raaaaa2", State.ROLLED_BACK), (ID, State.COMPLETED)):
            await keep(store, id_, state, "pk_gone")

        def doctor(**orders: Any) -> Doctor:
            return Doctor(store, machine.world, timedelta(seconds=30), Orders(yes=True, **orders))

        assert await doctor().run()
        for orders in ({}, {"old": tenancy.old.id}):
            with pytest.raises(Refused, match=r"Nothing is left over|names another old key"):
                await doctor(rotation=ID, clean=True, **orders).run()
        assert [there.provider_key_id for there in (tenancy.chat, tenancy.staged)] == [used.id, used.id]
        assert used.id in aisix.provider_keys


async def test_the_doctor_takes_nothing_back_to_a_key_that_aisix_has_been_asked_to_delete(store):
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine()
        used = tenancy.aisix.add_key(f"{KEY} (2026-11-23 {ID})", secret="sk-second")
        tenancy.aisix.edit(tenancy.chat, key=used)
        await keep(store, ID, State.CANCELLED, tenancy.old.id, delete_asked_at=NOW)
        doctor = Doctor(store, machine.world, timedelta(seconds=30), Orders(rotation=ID, clean=True, yes=True))
        with pytest.raises(Refused, match="that may still happen"):
            await doctor.run()

        assert tenancy.chat.provider_key_id == used.id


class Lobby:
    """The channel that an adopted rotation is shown to."""

    team = "T1"

    def __init__(self, rotations: RotationService) -> None:
        self.rotations = rotations

    async def introduce(self, _: Rotation) -> None:
        """Everybody sees it."""


@pytest.mark.parametrize(("approvals", "by_oneself"), [(2, True), (1, False)])
async def test_an_adopted_rotation_needs_the_approvals_that_the_settings_ask_for(store, queue, approvals, by_oneself):
    async with tenancy_of() as tenancy:
        world = (await tenancy.machine()).world
        tenancy.aisix.add_key(f"{KEY} (2026-11-23 {ID})", secret=NEW_SECRET)
        service = RotationService(
            store=store,
            jobs=Jobs(queue),
            control_plane=world.control_plane,
            directory=Everybody(),
            rules=rules(approvers=frozenset({"U_1"}), approvals_required=approvals, self_approval=by_oneself),
            gateways=world.gateways.environments,
            now=world.now,
        )
        orders = Orders(rotation=ID, adopt=True, yes=True, channel="C_OPS", requester="U_REQUESTER")
        await Doctor(store, world, timedelta(seconds=30), orders, Lobby(service)).run()

    record = await store.load(ID)
    assert (record.approvals_required, record.self_approval) == (approvals, by_oneself)


async def test_an_old_key_that_no_longer_serves_costs_one_model_a_moment(store, monkeypatch):
    async with tenancy_of() as tenancy:
        machine, aisix = await tenancy.machine(verify=1), tenancy.aisix
        used = aisix.add_key(f"{KEY} (2026-11-23 {ID})", secret=NEW_SECRET)
        for there in (tenancy.chat, tenancy.staged):
            aisix.edit(there, key=used, settled=True)
        aisix.upstream.refuse(OLD_SECRET)

        async def passes(seconds: float) -> None:
            tenancy.clock.seconds += seconds

        monkeypatch.setattr("bot.recovery.doctor.asyncio", SimpleNamespace(sleep=passes))
        doctor = Doctor(store, machine.world, timedelta(seconds=30), Orders(rotation=ID, clean=True, yes=True))
        with pytest.raises(Refused, match=r"does not answer.* The replacement was not removed."):
            await doctor.run()

        assert [there.provider_key_id for there in (tenancy.chat, tenancy.staged)] == [used.id, used.id]
        assert used.id in aisix.provider_keys
        assert sum(asked.startswith("PATCH") for asked in tenancy.happened) == 2, "there and back again"


def test_what_refers_to_the_replacement_and_cannot_be_moved_is_told():
    route = PassthroughRoute(id="rt", environment="prod", name="raw", provider_key="pk_new")
    policy = on("m9", None, alias="policy", mentions=("pk_new",))
    half = one([on("m1", "pk_new"), throwaway(), policy], routes=(route,))

    assert half.holders == ("`policy` in production", "passthrough route `raw` in production")
    assert [m.id for m in half.moved] == ["m1"]


def test_a_rotation_that_is_under_way_offers_nothing_to_the_doctor():
    found = described(one(), "It is under way.", inventory([], (OLD, NEW)))

    assert str(found).startswith(f"BUSY   {ID}: ")
    assert found.more == ("It is under way.",)


def test_the_doctor_says_that_nothing_is_left_over():
    assert summary(()).startswith("No provider key")
    assert summary((one([], (NEW,)),)).startswith("1 finished rotation")


SPLIT = [on("m1", "pk_old"), on("m2", "pk_new", environment="stag"), throwaway()]


@pytest.mark.parametrize(
    ("models", "moved"),
    [
        ([on("m1", "pk_old"), on("m2", "pk_old")], []),
        (SPLIT, ["m2"]),
        ([on("m1", "pk_new"), on("m2", "pk_new")], ["m1", "m2"]),
    ],
)
def test_what_is_adopted_goes_on_from_where_it_is_and_never_past_the_approval(models, moved):
    rotation = adopted(one(models), inventory(models, (OLD, NEW)), BOTH, SPONSOR, NOW)

    assert (rotation.state, rotation.track, next_step(rotation).name) == (State.RUNNING, Track.FORWARD, "replace")
    assert [m.id for m in rotation.plan.models] == ["m1", "m2"]
    assert [m.id for m in rotation.moved] == moved
    assert (rotation.plan.old_key, rotation.replacement_id, rotation.made) == (OLD, "pk_new", ("pk_new",))
    assert (rotation.id, rotation.attempt, rotation.version) == (ID, 1, 0)
    assert (rotation.channel, rotation.requested_by, rotation.approvals_required) == ("C_OPS", "U_REQUESTER", 2)
    assert (rotation.approvals, rotation.delete_asked_at, rotation.unoffered) == ((), None, ())
    assert not rotation.self_approval
    assert not {"recheck", "delete", "verify", "soak", "project", "cut-over"} & {*rotation.done}
    assert rotation.throwaways_used > 1_000_000, "no name is used twice"


def test_a_spare_replacement_is_known_as_its_own_and_what_is_on_it_is_still_to_move():
    models = [on("m1", "pk_new"), on("m2", "pk_2")]
    keys = (OLD, NEW, SECOND)
    rotation = adopted(one(models, keys), inventory(models, keys), BOTH, SPONSOR, NOW)

    assert (rotation.replacement_id, rotation.attempt) == ("pk_2", 2)
    assert [m.id for m in rotation.moved] == ["m2"]
    assert {k.id for k in rotation.own_keys(keys)} == {"pk_new", "pk_2"}


def test_what_is_taken_back_asks_every_model_on_the_old_key_before_it_removes_anything():
    rotation = taken_back(one(SPLIT), inventory(SPLIT, (OLD, NEW)), BOTH, NOW)

    assert (rotation.state, rotation.track) == (State.ROLLING_BACK, Track.BACK)
    assert [m.id for m in rotation.moved] == ["m1", "m2"]
    assert rotation.done == rotation.unoffered == ()


@pytest.mark.parametrize("case", [case for case, (*_, kind) in KINDS.items() if kind not in BEGUN])
def test_what_is_unclear_or_over_gets_no_record(case):
    models, keys, kind = KINDS[case]
    half, world = one(models, keys), inventory(models, keys)

    with pytest.raises(Refused):
        adopted(half, world, BOTH, SPONSOR, NOW)
    if kind is not Kind.LEFTOVERS:  # its throw-away models alone are removed
        with pytest.raises(Refused):
            taken_back(half, world, BOTH, NOW)


@pytest.mark.parametrize(
    ("allowed", "new_allowed", "gateways", "hidden"),
    [
        (("prod", "env_hidden"), (), BOTH, "env_hidden"),
        ((), ("prod", "env_wider"), BOTH, "env_wider"),
        ((), (), (*BOTH, "env_elsewhere"), "env_elsewhere"),
    ],
)
def test_nothing_is_taken_back_where_a_part_of_the_tenant_cannot_be_seen(allowed, new_allowed, gateways, hidden):
    keys = (OLD.but(allowed_environments=allowed), NEW.but(allowed_environments=new_allowed))

    with pytest.raises(Refused, match=hidden):
        taken_back(one(SPLIT, keys), inventory(SPLIT, keys), gateways, NOW)
