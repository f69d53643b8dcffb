"""A secret that its provider makes: whatever breaks on the way, no credential is left there that nothing needs."""

from collections.abc import AsyncIterator, Callable
from copy import copy
from datetime import timedelta
from itertools import product
from typing import Any, Literal, NamedTuple

import httpx
import pytest

from bot.engine import SHORT
from bot.rotation.actions import Action
from bot.rotation.credentials import Ability, Row
from bot.rotation.minting import minted, present, unwanted
from bot.rotation.parts import Way, Which
from bot.rotation.plan import make_plan
from bot.rotation.policy import offered
from bot.rotation.progress import rolled_back
from bot.rotation.record import Rotation
from bot.rotation.states import State, Track
from bot.rotation.stops import Cause
from bot.service.resuming import tried_again
from tests.bot.values import rotation
from tests.support.in_memory import KEY, Machine, Tenancy, tenancy_of
from tests.support.providers import Fault, lost, refused, unreached

NAME = f"{KEY} (rabc123)"


class Crash(BaseException):
    """The process dies."""


@pytest.fixture
async def tenancy() -> AsyncIterator[Tenancy]:
    async with tenancy_of(of_its_own=True) as made:
        made.account.abilities = frozenset(Ability)
        yield made


async def begun(tenancy: Tenancy, machine: Machine) -> Rotation:
    """Return a rotation whose requester has just pressed **Create it for me**."""
    inventory = await machine.world.control_plane.inventory()
    old = inventory.key(tenancy.old.id)
    assert old is not None
    plan = make_plan(inventory, old, machine.world.gateways.environments)
    abilities = tuple(sorted(Ability))
    record = rotation(State.RUNNING, plan=plan, account="openai", abilities=abilities, names=(NAME,))
    return minted(record, NAME, machine.world.now())


def ours(tenancy: Tenancy) -> list[str]:
    """Name what works at the provider and was made for the rotation."""
    return [row.name for row in tenancy.account.active if row.name.startswith("keyturn-")]


def restarted(tenancy: Tenancy, machine: Machine) -> None:
    """Let another process have the rotation: it has no secret of the one before."""
    machine.world.pocket.clear()
    tenancy.hands.mark += "+"


async def played(
    tenancy: Tenancy,
    machine: Machine,
    record: Rotation,
    until: Callable[[Rotation], Any],
    save: tuple[int, str] = (-1, ""),
) -> Rotation:
    """Move *record* on as the engine does; at the save of that number the process dies, before or after it."""
    saves = 0
    for _ in range(400):
        if until(record):
            return record
        began = tenancy.clock.seconds
        try:
            after = await machine.notch(record)
        except Crash:
            restarted(tenancy, machine)
            continue
        if timedelta(seconds=tenancy.clock.seconds - began) > SHORT:
            restarted(tenancy, machine)
        if after != record:
            saves += 1
            if saves == save[0]:
                restarted(tenancy, machine)
                after = record if save[1] == "before" else after
        record = after
    raise AssertionError(f"{record.state} {record.note} {record.stop} {record.mints}")


def is_settled(record: Rotation) -> bool:
    """Return whether the replacement is there or a person has the next move, and nothing has to be deleted."""
    rests = "replace" in record.done or not record.waits_for_bot
    return rests and not unwanted(record)


def check(tenancy: Tenancy, record: Rotation) -> None:
    """Nothing is left that nothing needs, and what is needed is there."""
    mine = [key for key in tenancy.aisix.provider_keys.values() if key.id != tenancy.old.id]
    if record.track is Track.FORWARD and record.replacement_id:
        mint = present(record)
        assert [key.id for key in mine] == [record.replacement_id]
        assert mint
        assert ours(tenancy) == [mint.name]
        assert mine[0].secret == tenancy.account.secrets[mint.row.id]
    else:
        assert (mine, ours(tenancy)) == ([], [])
        assert "replace" not in record.done
    assert record.stop or record.note or record.replacement_id or not record.waits_for_bot
    assert tenancy.account.kept["row-1"] in tenancy.account.active  # the old one
    assert "CANARY" not in record.model_dump_json()


async def test_the_provider_makes_the_secret_and_the_whole_rotation_goes_on_with_it(tenancy):
    machine = await tenancy.machine()
    known = (await begun(tenancy, machine)).but(old_row=Row(id="row_old", owner="the team's"))
    asked = await machine.until(known, lambda r: r.state is State.AWAITING_APPROVAL)

    check(tenancy, asked)
    assert (asked.replacement.way, asked.mints[0].row.owner) == (Way.MINTED, "the team's")
    assert asked.replacement.row.id == asked.mints[0].row.id
    assert machine.world.pocket == {}
    await machine.until(tenancy.approved(asked), lambda r: r.state is State.COMPLETED)
    assert ours(tenancy) == ["keyturn-rabc123-1"]
    assert tenancy.account.calls.count("mint keyturn-rabc123-1") == 1


# --- the plug ---

When = Literal["before", "after"]
WHENS: tuple[When, When] = ("before", "after")


class Plug(NamedTuple):
    """What breaks: a call of the provider, AISIX's creation, or a save."""

    where: str
    fault: Fault


def pulled(tenancy: Tenancy, plug: Plug) -> None:
    """Have a plug pulled at its next call; each error is raised in one run alone, as a step notes what it means."""
    plug = plug._replace(fault=plug.fault._replace(error=copy(plug.fault.error)))
    if plug.where != "create":
        tenancy.account.faults[plug.where].append(plug.fault)
        return
    left = [plug.fault]

    async def answer(request: httpx.Request, carry: Any) -> httpx.Response:
        hit = request.method == "POST" and request.url.path.endswith("/provider_keys") and left
        fault = left.pop() if hit else None
        if fault and fault.when == "before":
            raise_or(fault.error)
            return httpx.Response(422, json={})
        answered = await carry(request)
        if fault:
            raise_or(fault.error)
        return answered

    tenancy.intercept(answer)


def raise_or(error: BaseException) -> None:
    """Raise what breaks the call off; a refusal is an answer."""
    if isinstance(error, Crash | httpx.TransportError):
        raise error


OF_THE_PROVIDER = [*(Fault(when, Crash()) for when in WHENS), lost("before"), lost("after"), unreached(), refused()]
OF_AISIX = [
    *(Fault(when, Crash()) for when in WHENS),
    Fault("before", httpx.ReadTimeout("")),
    Fault("after", httpx.ReadTimeout("")),
    Fault("before", httpx.ConnectError("")),
    refused(),
]
FIRST = [
    *(Plug(call, fault) for call, fault in product(("mint", "works"), OF_THE_PROVIDER)),
    *(Plug("create", fault) for fault in OF_AISIX),
]
THEN = [Plug(call, fault) for call, fault in product(("rows", "delete", "read"), OF_THE_PROVIDER)]
"""What breaks while Keyturn repairs what the first plug left."""


def named(plug: Plug | None) -> str:
    return f"{plug.where} {plug.fault.when} {type(plug.fault.error).__name__}" if plug else "nothing"


PAIRS = [*((first, None) for first in FIRST), *((Plug("mint", lost("after")), then) for then in THEN)]


@pytest.mark.parametrize(("first", "then"), PAIRS, ids=named)
async def test_no_plug_leaves_a_credential_behind_or_takes_one_that_is_used(tenancy, first, then):
    machine = await tenancy.machine()
    record = await begun(tenancy, machine)
    for plug in filter(None, (first, then)):
        pulled(tenancy, plug)
    settled = await played(tenancy, machine, record, is_settled)
    if settled.stop and settled.stop.headline == Cause.MINT_UNKNOWN.headline:
        settled = await played(tenancy, machine, tried_again(settled), is_settled)
    check(tenancy, settled)
    if then is None and Action.ROLL_BACK in offered(settled):
        check(tenancy, await back(tenancy, machine, settled))


async def back(tenancy: Tenancy, machine: Machine, record: Rotation) -> Rotation:
    """Roll *record* back, and return it once nothing is left to do; then no person has to revoke anything."""
    over = await played(tenancy, machine, rolled_back(record, by=None), lambda r: r.is_over and is_settled(r))
    assert not over.revocation
    return over


@pytest.mark.parametrize(("number", "when"), [*product(range(1, 12), WHENS)])
async def test_a_process_that_dies_at_any_save_leaves_nothing_behind(tenancy, number, when):
    machine = await tenancy.machine()
    check(tenancy, await played(tenancy, machine, await begun(tenancy, machine), is_settled, (number, when)))


async def test_what_is_refused_at_its_own_provider_is_deleted_and_another_one_made_on_request(tenancy):
    machine = await tenancy.machine()
    tenancy.account.works_after = timedelta(days=1)
    stopped = await played(tenancy, machine, await begun(tenancy, machine), is_settled)
    check(tenancy, stopped)
    assert stopped.stop.headline == Cause.NOT_TAKEN_AT_PROVIDER.headline

    tenancy.account.works_after = timedelta(seconds=30)
    made = await played(tenancy, machine, tried_again(stopped), is_settled)
    check(tenancy, made)
    assert ours(tenancy) == ["keyturn-rabc123-2"]


async def test_three_lost_in_a_row_stop_the_rotation(tenancy):
    machine = await tenancy.machine()
    tenancy.account.faults["mint"] = [lost(), lost(), lost()]
    stopped = await played(tenancy, machine, await begun(tenancy, machine), is_settled)

    check(tenancy, stopped)
    assert stopped.stop.headline == Cause.MINTS_LOST.headline
    assert len(stopped.mints) == 3


async def test_another_secret_deletes_what_was_minted_once_models_are_off_it(tenancy):
    machine = await tenancy.machine()
    moved = await played(tenancy, machine, await begun(tenancy, machine), lambda r: "cut-over" in r.done)
    withdrawing = moved.but(track=Track.WITHDRAW, done=())

    asked = await played(tenancy, machine, withdrawing, lambda r: r.state is State.AWAITING_SECRET and is_settled(r))
    check(tenancy, asked)


async def test_a_credential_whose_key_stays_in_aisix_is_left_to_people(tenancy):
    machine = await tenancy.machine()
    moved = await played(tenancy, machine, await begun(tenancy, machine), lambda r: "cut-over" in r.done)
    tenancy.aisix.add_model("dev", "by-hand", key=tenancy.aisix.provider_keys[moved.replacement_id], upstream="gpt-4o")

    over = await played(tenancy, machine, rolled_back(moved, by=None), lambda r: r.is_over and is_settled(r))
    assert ours(tenancy) == ["keyturn-rabc123-1"]
    assert "something may use it" in over.mints[0].stays
    assert over.revocation.which is Which.NEW
