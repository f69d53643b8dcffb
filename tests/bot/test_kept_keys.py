"""A key that was offered stays where something uses it, or may use it unseen, and the card says so."""

import re
from collections.abc import AsyncIterator
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

TAG = "rabc234"
EVERYWHERE = "`production`, `staging`, `dev`"
UNSEEN = f"AISIX does not list the passthrough routes of {EVERYWHERE}, so something there may use it unseen."


@pytest.fixture
async def listless() -> AsyncIterator[Tenancy]:
    """A tenancy that does not list its passthrough routes."""
    async with tenancy_of(Switches(cooldown=0.0, metric_labels="full", has_passthrough_routes=False)) as made:
        yield made


async def created(tenancy: Tenancy, machine: Machine) -> Rotation:
    """Return a rotation that has just found its replacement."""
    record = await tenancy.begun(machine)
    return await machine.until(record.but(made=()), lambda r: "replace" in r.done)


async def moved(tenancy: Tenancy, machine: Machine) -> Rotation:
    return await machine.until(await created(tenancy, machine), lambda r: "cut-over" in r.done)


async def ended(machine: Machine, record: Rotation, track: Track | None = None) -> Rotation:
    """Return *record* at its end; on this *track*, if one is given."""
    if track:
        state = State.ROLLING_BACK if track is Track.BACK else State.RUNNING
        record = record.but(state=state, track=track, done=())
    return await machine.ended(record)


async def lost(tenancy: Tenancy, machine: Machine) -> Rotation:
    """Have both models moved, and nothing known of it; return the record that the doctor makes."""
    await moved(tenancy, machine)
    tenancy.aisix.edit(tenancy.new, display_name=f"{KEY} (2026-11-23 {TAG})")
    inventory = await machine.world.control_plane.inventory()
    [orphan] = rotations_seen(inventory)
    return taken_back(orphan, inventory, machine.world.gateways.environments, machine.world.now())


def is_there(tenancy: Tenancy) -> bool:
    return tenancy.new.id in tenancy.aisix.provider_keys


async def status_through(tenancy: Tenancy, route: str) -> int:
    """Return how a caller's request through a passthrough route is answered."""
    caller = tenancy.aisix.caller("production", "app").token
    url = f"http://production/passthrough/{route}/chat/completions"
    request = httpx.Request("POST", url, headers={"Authorization": f"Bearer {caller}"}, json={"model": "gpt-4o"})
    return (await tenancy.carry(request)).status_code


@pytest.mark.parametrize("track", [Track.BACK, Track.WITHDRAW])
async def test_a_key_under_a_route_that_cannot_be_listed_stays_and_goes_on_serving(listless, track):
    machine = await listless.machine()
    record = await moved(listless, machine)
    listless.aisix.add_passthrough("production", "raw", key=listless.new)
    last = await ended(machine, record, track)

    assert last.state is (State.ROLLED_BACK if track is Track.BACK else State.AWAITING_SECRET)
    assert await status_through(listless, "raw") == 200
    assert last.left_alone == (f"Key `{listless.new.id}` of this rotation stays: {UNSEEN}",)

    listless.aisix.switches.has_passthrough_routes = True  # so that it is seen what uses it
    seen = await ended(machine, record, track)
    assert "passthrough route `raw` in production uses it" in str(seen.left_alone)
    assert is_there(listless)


@pytest.mark.parametrize("track", [Track.BACK, Track.WITHDRAW])
@pytest.mark.parametrize("is_refused", [False, True])
async def test_a_key_that_was_never_offered_is_removed(listless, track, is_refused):
    machine = await listless.machine()
    record = await created(listless, machine)
    if is_refused:
        listless.aisix.upstream.refuse(NEW_SECRET)
        record = await machine.until(record, lambda r: r.state is State.BLOCKED)
    last = await ended(machine, record, track)

    assert not is_there(listless)
    assert last.left_alone == ()


async def test_a_key_is_recorded_as_offered_before_the_first_model_moves(listless):
    machine, seen = await listless.machine(), []
    record = await created(listless, machine)
    while "cut-over" not in record.done:
        before, record = record, await machine.notch(record)
        seen.append((before.unoffered, listless.aisix.models[listless.chat.id].provider_key_id == listless.new.id))

    assert {unoffered for unoffered, is_moved in seen if is_moved} == {()}
    assert seen[0] == ((listless.new.id,), False)


async def test_where_a_known_route_holds_the_old_key_the_new_one_is_offered_from_its_beginning(tenancy):
    """The impact asks people to point the route at the new key; so they may, with one that is on no list."""
    staging = tenancy.aisix.environment("staging").id
    tenancy.aisix.faults.fail("GET", f"/environments/{staging}/passthrough_routes", 404, times=None)
    tenancy.aisix.add_passthrough("production", "raw", key=tenancy.old)
    machine = await tenancy.machine()
    await ended(machine, await created(tenancy, machine), Track.BACK)

    assert is_there(tenancy)


async def test_a_key_of_an_earlier_attempt_stays_where_something_may_use_it(listless):
    machine = await listless.machine()
    record = await created(listless, machine)
    offered, used, refused = (listless.aisix.add_key(f"attempt {n}", secret=f"sk-{n}") for n in range(3))
    listless.aisix.add_model("dev", "somebody's", key=used, upstream="gpt-4o")
    unoffered = (used.id, refused.id, *record.unoffered)
    record = record.but(made=(offered.id, used.id, refused.id, *record.made), unoffered=unoffered)
    tidied = await machine.until(record, lambda r: "tidy" in r.done)

    assert {offered.id, used.id, refused.id} & listless.aisix.provider_keys.keys() == {offered.id, used.id}
    told = " ".join(tidied.left_alone)
    assert f"Key `{offered.id}` of this rotation stays: {UNSEEN}" in told
    assert "`somebody's` in dev uses it" in told


async def test_the_doctor_takes_nothing_back_to_a_key_whose_account_lacks_the_models(tenancy):
    machine = await tenancy.machine()
    record = await lost(tenancy, machine)
    tenancy.aisix.upstream.models_for(OLD_SECRET, {"another"})
    stopped = await ended(machine, record)

    assert stopped.state is State.BLOCKED
    assert "does not answer: the upstream does not offer this model" in stopped.stop.sentence
    assert is_there(tenancy)


async def test_the_doctor_leaves_alone_what_people_made_by_hand(tenancy):
    machine = await tenancy.machine()
    record = await lost(tenancy, machine)
    other = tenancy.aisix.add_key("Other", secret="sk-other-0123456789abcdef")
    named_alike = tenancy.aisix.add_model("production", f"keyturn-{TAG}-99", key=other)
    ours = tenancy.aisix.add_model("production", f"keyturn-{TAG}-97", key=tenancy.new)
    last = await ended(machine, record)

    assert last.state is State.ROLLED_BACK
    assert {model.provider_key_id for model in (tenancy.chat, tenancy.staged)} == {tenancy.old.id}
    assert not is_there(tenancy)
    assert {named_alike.id, ours.id} & tenancy.aisix.models.keys() == {named_alike.id}


async def test_nobody_is_told_that_nothing_is_on_a_refused_key_while_something_is(tenancy):
    machine = await tenancy.machine()
    record = await moved(tenancy, machine)
    tenancy.aisix.add_model("production", "newcomer", key=tenancy.new)
    over = await machine.until(await ended(machine, record, Track.WITHDRAW), lambda r: r.is_over)

    assert "`newcomer` in production uses it" in over.left_alone[-1]
    assert over.note == "Nobody gave another secret in time; what this rotation moved is back on the old key."


def test_what_stays_is_still_said_while_another_secret_is_awaited():
    stays = "Key `pk_new` of this rotation stays: `x` in production uses it."
    record = running(left_alone=("`y` in production uses a key that this rotation does not know.", stays))

    assert record.without_secret().left_alone == (stays,)


async def test_a_key_that_stayed_and_is_removed_after_all_is_not_said_to_stay(tenancy):
    machine = await tenancy.machine()
    back = await rolling_back(tenancy, machine)
    over = await machine.ended(back.but(left_alone=(f"Key `{tenancy.new.id}` of this rotation stays: it is used.",)))

    assert (len(tenancy.aisix.provider_keys), over.left_alone) == (1, ())


LOST, PRESSED, AWAY = {"lost": True}, {"version": -1}, {"is_away": True}
"""What a machine can find: another has its lease, somebody has pressed a button, or Redis is away."""


def suspend_after(tenancy: Tenancy, asked: str, then: dict[str, Any]) -> None:
    """Suspend the machine for ten minutes once AISIX has been asked for *asked*; *then* says what it finds."""
    carry = tenancy.wire.handle

    async def handle(request: httpx.Request) -> httpx.Response:
        answer = await carry(request)
        if re.search(asked, f"{request.method} {request.url.path}"):
            tenancy.clock.seconds += 600
            vars(tenancy.hands).update(then)
        return answer

    tenancy.wire.handle = handle


async def rolling_back(tenancy: Tenancy, machine: Machine) -> Rotation:
    """Return a rotation that has moved its models back, and is about to remove the new key."""
    record = await moved(tenancy, machine)
    back = record.but(state=State.ROLLING_BACK, track=Track.BACK, done=())
    return await machine.until(back, lambda r: "verify-back" in r.done)


@pytest.mark.once("then")
@pytest.mark.parametrize("then", [LOST, PRESSED])
@pytest.mark.parametrize("end", ["/passthrough_routes$", "/models$", "^DELETE .*/models/"])
async def test_a_worker_that_was_suspended_after_its_look_removes_no_key(tenancy, end, then):
    machine = await tenancy.machine()
    back = await rolling_back(tenancy, machine)
    suspend_after(tenancy, end, then)
    with pytest.raises(LeaseLost):
        await machine.notch(back)

    assert is_there(tenancy)


async def test_lists_that_were_read_more_than_two_seconds_ago_remove_no_key(tenancy):
    machine, slow = await tenancy.machine(), [2.1]
    back = await rolling_back(tenancy, machine)

    async def before(asked: str) -> None:
        if slow and asked.startswith("DELETE") and "/models/" in asked:  # a throw-away model
            tenancy.clock.seconds += slow.pop()

    tenancy.before = before
    back = await machine.notch(back)

    assert (slow, back.done[-1], is_there(tenancy)) == ([], "verify-back", True)
    assert (await ended(machine, back)).state is State.ROLLED_BACK
    assert not is_there(tenancy)


async def test_a_key_is_not_removed_once_the_time_of_the_lease_is_over(tenancy):
    machine = await tenancy.machine()
    back = await rolling_back(tenancy, machine)
    tenancy.hands.lasts = 0
    assert "too much time had passed" in (await machine.notch(back)).note

    assert is_there(tenancy)


async def test_lists_that_are_always_slow_end_a_roll_back_all_the_same(tenancy):
    machine = await tenancy.machine(patience=60)
    back = await rolling_back(tenancy, machine)

    async def before(asked: str) -> None:
        tenancy.clock.seconds += 3 * (asked.startswith("GET") and asked.endswith("/provider_keys"))

    tenancy.before = before

    assert (await ended(machine, back)).state is State.ROLLED_BACK


@pytest.mark.parametrize(("then", "error"), [(LOST, LeaseLost), (PRESSED, LeaseLost), (AWAY, Unanswerable)])
@pytest.mark.parametrize(("after", "on_the_new"), [("GET .*/passthrough_routes", []), ("PATCH", ["chat-0"])])
async def test_a_worker_that_was_suspended_before_or_while_it_moved_models_moves_no_more(
    tenancy, after, on_the_new, then, error
):
    for number in range(3):
        tenancy.aisix.add_model("production", f"chat-{number}", key=tenancy.old)
    machine = await tenancy.machine(concurrency=1)
    record = await machine.until(await created(tenancy, machine), lambda r: "rehearse" in r.done)
    suspend_after(tenancy, after, then)
    with pytest.raises(error):
        await machine.until(record, lambda r: "cut-over" in r.done)

    models = tenancy.aisix.models.values()
    assert [m.display_name for m in models if m.provider_key_id == tenancy.new.id] == on_the_new


@pytest.mark.parametrize("track", [Track.BACK, Track.WITHDRAW])
async def test_recreated_environments_are_not_taken_for_another_organization(tenancy, track):
    machine = await tenancy.machine()
    record = await tenancy.asked(machine)
    others = {f"gone-{name}": name for name in record.plan.tenant.values()}
    last = await ended(machine, record.but(plan=record.plan.but(tenant=others), approvals=()), track)

    assert last.state is (State.ROLLED_BACK if track is Track.BACK else State.AWAITING_SECRET)
    assert is_there(tenancy)
    assert "does not show `production`" in " ".join(last.left_alone)


async def test_a_moved_model_that_is_not_shown_any_more_is_not_called_back(tenancy):
    machine = await tenancy.machine()
    record = await moved(tenancy, machine)
    del tenancy.aisix.models[tenancy.chat.id]
    last = await ended(machine, record, Track.BACK)

    assert "AISIX does not show `chat-large` in production any more" in " ".join(last.left_alone)


STAG, PROD = Environment(id="stag", name="staging"), Environment(id="prod", name="production")
ROUTES_THERE = (Unlisted(kind=ROUTES, environment="stag"),)


def offering(*unlisted: Unlisted, **fields: Any) -> Rotation:
    tenant = {"prod": "production", "stag": "staging"}
    plan = Plan(
        old_key=key(), models=(affected(),), environments={"prod": "production"}, tenant=tenant, unlisted=unlisted
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
