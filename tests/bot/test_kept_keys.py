"""What AISIX cannot list may use a key that was offered: such a key stays, and the card says so."""

import re
from typing import Any

import httpx
import pytest

from bot.recovery.adoption import taken_back
from bot.recovery.orphans import rotations_seen
from bot.rotation.errors import LeaseLost, Unanswerable
from bot.rotation.inventory import BUDGETS, POLICIES, ROUTES, Environment, Inventory, Unlisted
from bot.rotation.made_keys import why_it_stays
from bot.rotation.plan import Plan
from bot.rotation.record import Rotation
from bot.rotation.states import State, Track
from sandbox.aisix import Switches
from tests.bot.values import affected, key, running
from tests.support.in_memory import KEY, NEW_SECRET, OLD_SECRET, Machine, Tenancy, tenancy_of

pytestmark = pytest.mark.whole

WITHOUT = Switches(cooldown=0.0, metric_labels="full", has_passthrough_routes=False)
EVERYWHERE = "`production`, `staging`, `dev`"
UNSEEN = f"AISIX does not list the passthrough routes of {EVERYWHERE}, so something there may use it unseen."


async def created(tenancy: Tenancy, machine: Machine) -> Rotation:
    """Return a rotation that has just found its replacement."""
    record = await tenancy.begun(machine)
    return await machine.until(record.but(made=()), lambda r: "replace" in r.done)


async def moved(tenancy: Tenancy, machine: Machine) -> Rotation:
    return await machine.until(await created(tenancy, machine), lambda r: "cut-over" in r.done)


async def taken(machine: Machine, record: Rotation, track: Track) -> Rotation:
    """Take *record* back to its end on this track."""
    state = State.ROLLING_BACK if track is Track.BACK else State.RUNNING
    return await machine.until(record.but(state=state, track=track, done=()), lambda r: not r.waits_for_bot)


async def status_through(tenancy: Tenancy, route: str) -> int:
    """Return how a caller's request through a passthrough route is answered."""
    caller = tenancy.aisix.caller("production", "app").token
    url = f"http://production/passthrough/{route}/chat/completions"
    request = httpx.Request("POST", url, headers={"Authorization": f"Bearer {caller}"}, json={"model": "gpt-4o"})
    return (await tenancy.carry(request)).status_code


@pytest.mark.parametrize("track", [Track.BACK, Track.WITHDRAW])
async def test_a_key_under_a_route_that_cannot_be_listed_stays_and_goes_on_serving(track):
    async with tenancy_of(WITHOUT) as tenancy:
        machine = await tenancy.machine()
        record = await moved(tenancy, machine)
        tenancy.aisix.add_passthrough("production", "raw", key=tenancy.new)
        ended = await taken(machine, record, track)

        assert ended.state is (State.ROLLED_BACK if track is Track.BACK else State.AWAITING_SECRET)
        assert await status_through(tenancy, "raw") == 200
        assert ended.left_alone == (f"Key `{tenancy.new.id}` of this rotation stays: {UNSEEN}",)


@pytest.mark.parametrize("track", [Track.BACK, Track.WITHDRAW])
async def test_a_key_that_was_never_offered_is_removed(track):
    async with tenancy_of(WITHOUT) as tenancy:
        machine = await tenancy.machine()
        ended = await taken(machine, await created(tenancy, machine), track)

        assert tenancy.new.id not in tenancy.aisix.provider_keys
        assert ended.left_alone == ()


async def test_a_refused_secret_leaves_no_key_behind():
    async with tenancy_of(WITHOUT) as tenancy:
        tenancy.aisix.upstream.refuse(NEW_SECRET)
        machine = await tenancy.machine()
        record = await machine.until(await created(tenancy, machine), lambda r: r.state is State.BLOCKED)
        await taken(machine, record, Track.WITHDRAW)

        assert tenancy.new.id not in tenancy.aisix.provider_keys


async def test_a_key_is_recorded_as_offered_before_the_first_model_moves():
    async with tenancy_of(WITHOUT) as tenancy:
        machine = await tenancy.machine()
        record = await created(tenancy, machine)
        seen = []
        while "cut-over" not in record.done:
            before, record = record, await machine.notch(record)
            seen.append((before.unoffered, tenancy.aisix.models[tenancy.chat.id].provider_key_id == tenancy.new.id))

    assert {unoffered for unoffered, is_moved in seen if is_moved} == {()}
    assert seen[0] == ((tenancy.new.id,), False)


async def test_where_a_known_route_holds_the_old_key_the_new_one_is_offered_from_its_beginning():
    """The impact asks people to point the route at the new key; so they may, with one that is on no list."""
    async with tenancy_of() as tenancy:
        staging = tenancy.aisix.environment("staging").id
        tenancy.aisix.faults.fail("GET", f"/environments/{staging}/passthrough_routes", 404, times=None)
        tenancy.aisix.add_passthrough("production", "raw", key=tenancy.old)
        machine = await tenancy.machine()
        await taken(machine, await created(tenancy, machine), Track.BACK)

        assert tenancy.new.id in tenancy.aisix.provider_keys


async def test_a_key_of_an_earlier_attempt_stays_too_once_it_was_offered():
    async with tenancy_of(WITHOUT) as tenancy:
        machine = await tenancy.machine()
        record = await created(tenancy, machine)
        offered, refused = (tenancy.aisix.add_key(f"attempt {n}", secret=f"sk-{n}") for n in range(2))
        record = record.but(made=(offered.id, refused.id, *record.made), unoffered=(refused.id, *record.unoffered))
        tidied = await machine.until(record, lambda r: "tidy" in r.done)

        assert offered.id in tenancy.aisix.provider_keys
        assert refused.id not in tenancy.aisix.provider_keys
        assert [f"`{offered.id}`" in said for said in tidied.left_alone] == [True]


async def test_lists_that_can_be_read_by_now_settle_it():
    async with tenancy_of(WITHOUT) as tenancy:
        machine = await tenancy.machine()
        record = await moved(tenancy, machine)
        tenancy.aisix.switches.has_passthrough_routes = True
        await taken(machine, record, Track.BACK)

        assert tenancy.new.id not in tenancy.aisix.provider_keys


async def test_the_doctor_leaves_a_key_of_a_lost_record_where_a_list_is_missing():
    async with tenancy_of(WITHOUT) as tenancy:
        machine = await tenancy.machine()
        await moved(tenancy, machine)
        tenancy.aisix.edit(tenancy.new, display_name=f"{KEY} (2026-11-23 rabc234)")
        inventory = await machine.world.control_plane.inventory()
        [orphan] = rotations_seen(inventory)
        lost = taken_back(orphan, inventory, machine.world.gateways.environments, machine.world.now())
        ended = await machine.until(lost, lambda r: not r.waits_for_bot)

        assert ended.state is State.ROLLED_BACK
        assert tenancy.new.id in tenancy.aisix.provider_keys
        assert UNSEEN in ended.left_alone[-1]


async def test_the_doctor_takes_nothing_back_to_a_key_whose_account_lacks_the_models():
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine()
        await moved(tenancy, machine)
        tenancy.aisix.edit(tenancy.new, display_name=f"{KEY} (2026-11-23 rabc234)")
        tenancy.aisix.upstream.models_for(OLD_SECRET, {"another"})
        inventory = await machine.world.control_plane.inventory()
        [orphan] = rotations_seen(inventory)
        lost = taken_back(orphan, inventory, machine.world.gateways.environments, machine.world.now())
        stopped = await machine.until(lost, lambda r: not r.waits_for_bot)

        assert stopped.state is State.BLOCKED
        assert "does not answer: the upstream does not offer this model" in stopped.stop.sentence
        assert tenancy.new.id in tenancy.aisix.provider_keys


async def test_nobody_is_told_that_nothing_is_on_a_refused_key_while_something_is():
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine()
        record = await moved(tenancy, machine)
        tenancy.aisix.add_model("production", "newcomer", key=tenancy.new)
        back = await taken(machine, record, Track.WITHDRAW)
        over = await machine.until(back, lambda r: r.is_over)

        assert "`newcomer` in production uses it" in over.left_alone[-1]
        assert over.note == "Nobody gave another secret in time; what this rotation moved is back on the old key."


def test_what_stays_is_still_said_while_another_secret_is_awaited():
    stays = "Key `pk_new` of this rotation stays: `x` in production uses it."
    record = running(left_alone=("`y` in production uses a key that this rotation does not know.", stays))

    assert record.without_secret().left_alone == (stays,)


async def after_suspension(tenancy: Tenancy, asked: str, then: str = "lost") -> None:
    """Suspend the machine for ten minutes once AISIX has been asked for *asked*; another takes the rotation over.

    *then* says what the machine finds: that its lease is lost, or a Redis that is away.
    """
    carry = tenancy.wire.handle

    async def handle(request: httpx.Request) -> httpx.Response:
        answer = await carry(request)
        if not getattr(tenancy.hands, then) and re.search(asked, f"{request.method} {request.url.path}"):
            tenancy.clock.seconds += 600
            setattr(tenancy.hands, then, True)
        return answer

    tenancy.wire.handle = handle


@pytest.mark.parametrize("end", ["/passthrough_routes$", "/models$", "^DELETE .*/models/"])
async def test_a_worker_that_was_suspended_after_its_look_removes_no_key(end):
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine()
        record = await moved(tenancy, machine)
        back = record.but(state=State.ROLLING_BACK, track=Track.BACK, done=())
        back = await machine.until(back, lambda r: "verify-back" in r.done)
        await after_suspension(tenancy, end)
        with pytest.raises(LeaseLost):
            await machine.notch(back)

        assert tenancy.new.id in tenancy.aisix.provider_keys


async def rolling_back(tenancy: Tenancy, machine: Machine) -> Rotation:
    record = await moved(tenancy, machine)
    back = record.but(state=State.ROLLING_BACK, track=Track.BACK, done=())
    return await machine.until(back, lambda r: "verify-back" in r.done)


async def test_lists_that_were_read_more_than_two_seconds_ago_remove_no_key():
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine()
        back = await rolling_back(tenancy, machine)
        slow = [2.1]

        async def before(asked: str) -> None:
            if slow and asked.startswith("DELETE") and "/models/" in asked:  # a throw-away model
                tenancy.clock.seconds += slow.pop()

        tenancy.before = before
        back = await machine.notch(back)

        assert (slow, back.done[-1]) == ([], "verify-back")
        assert tenancy.new.id in tenancy.aisix.provider_keys
        assert (await machine.until(back, lambda r: not r.waits_for_bot)).state is State.ROLLED_BACK
        assert tenancy.new.id not in tenancy.aisix.provider_keys


async def test_lists_that_are_always_slow_end_a_roll_back_all_the_same():
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine(patience=60)
        back = await rolling_back(tenancy, machine)

        async def before(asked: str) -> None:
            tenancy.clock.seconds += 3 * (asked.startswith("GET") and asked.endswith("/provider_keys"))

        tenancy.before = before

        assert (await machine.until(back, lambda r: not r.waits_for_bot)).state is State.ROLLED_BACK


@pytest.mark.parametrize(("then", "error"), [("lost", LeaseLost), ("is_away", Unanswerable)])
async def test_a_worker_that_was_suspended_while_it_moved_models_moves_no_more(then, error):
    async with tenancy_of() as tenancy:
        first, *_ = [
            tenancy.aisix.add_model("production", f"chat-{number}", key=tenancy.old, upstream="gpt-4o")
            for number in range(3)
        ]
        machine = await tenancy.machine(concurrency=1)
        record = await machine.until(await created(tenancy, machine), lambda r: "rehearse" in r.done)
        await after_suspension(tenancy, f"/models/{first.id}", then)
        with pytest.raises(error):
            await machine.until(record, lambda r: "cut-over" in r.done)

        assert [m.display_name for m in tenancy.aisix.models.values() if m.provider_key_id == tenancy.new.id] == [
            "chat-0"
        ]


@pytest.mark.parametrize("track", [Track.BACK, Track.WITHDRAW])
async def test_environments_that_were_made_anew_are_no_other_organizations(track):
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine()
        record = await tenancy.asked(machine)
        others = {f"gone-{name}": name for name in record.plan.tenant.values()}
        record = record.but(plan=record.plan.but(tenant=others), approvals=())
        ended = await taken(machine, record, track)

        assert ended.state is (State.ROLLED_BACK if track is Track.BACK else State.AWAITING_SECRET)
        assert tenancy.new.id in tenancy.aisix.provider_keys
        assert "does not show `production`" in " ".join(ended.left_alone)


async def test_a_moved_model_that_is_not_shown_any_more_is_not_called_back():
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine()
        record = await moved(tenancy, machine)
        del tenancy.aisix.models[tenancy.chat.id]
        ended = await taken(machine, record, Track.BACK)

        assert "AISIX does not show `chat-large` in production any more" in " ".join(ended.left_alone)


# --- the rule ---

STAG, PROD = Environment(id="stag", name="staging"), Environment(id="prod", name="production")
ROUTES_THERE = (Unlisted(kind=ROUTES, environment="stag"),)


def offering(*unlisted: Unlisted, **fields: Any) -> Rotation:
    plan = Plan(
        old_key=key(),
        models=(affected(),),
        environments={"prod": "production"},
        tenant={"prod": "production", "stag": "staging"},
        unlisted=unlisted,
    )
    return running(**{"plan": plan, "made": ("pk_new",)} | fields)


@pytest.mark.parametrize(
    ("unlisted", "allowed", "gateways", "fields", "why"),
    [
        ((), (), (), {}, ""),
        (ROUTES_THERE, (), (), {}, "the passthrough routes of `staging`"),
        (ROUTES_THERE, ("stag", "prod"), (), {}, "the passthrough routes of `staging`"),
        (ROUTES_THERE, ("staging",), (), {}, "the passthrough routes of `staging`"),
        (ROUTES_THERE, ("prod",), (), {}, ""),
        ((Unlisted(kind=POLICIES, environment="stag"),), (), (), {}, "the cache policies of `staging`"),
        ((Unlisted(kind=BUDGETS),), ("prod",), (), {}, "the budgets"),
        (ROUTES_THERE, (), (), {"unoffered": ("pk_new",)}, ""),
        (ROUTES_THERE, (), (), {"made": ()}, ""),
        ((), ("lab",), (), {}, "`lab`"),
        ((), (), ("lab",), {}, "`lab`"),
        ((), ("lab",), (), {"unoffered": ("pk_new",)}, ""),
    ],
)
def test_an_offered_key_stays_where_something_unseen_may_use_it(unlisted, allowed, gateways, fields, why):
    new = key("pk_new", allowed_environments=allowed)
    inventory = Inventory(environments=(PROD, STAG), keys=(key(), new), models=(), unlisted=unlisted)
    said = why_it_stays(offering(*unlisted, **fields), new, inventory, gateways)

    assert said == (
        why and f"Key `pk_new` of this rotation stays: AISIX does not list {why}, so something there may use it unseen."
    )
