"""Revoking at the provider: what is never disabled, what stops it, and every crash and fault on the way."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from bot.engine import due_at, move
from bot.rotation import revoking
from bot.rotation.actions import Action
from bot.rotation.credentials import Ability, Row, Status, Usage
from bot.rotation.errors import Blocked, Uncertain
from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Finding
from bot.rotation.inventory import Inventory, Unlisted
from bot.rotation.nudges import Kind, matters
from bot.rotation.parts import Exposure, Look, OnIt, Phase, Trouble
from bot.rotation.people import People
from bot.rotation.policy import offered
from bot.rotation.record import Rotation
from bot.rotation.states import State, Track
from bot.steps.outcomes import Wait
from bot.steps.point_back import point_back
from bot.steps.revoking import DO
from bot.steps.world import World
from handlers.views.there import SAID
from tests.bot.values import (
    EVENT,
    NOW,
    SOAKED,
    approval,
    inventory,
    later,
    limits,
    model,
    plan_of,
    revocation,
    rotation,
    running,
)
from tests.support.in_memory import RULES, Everybody
from tests.support.providers import Account, Accounts, Fault, lost, refused, unreached

DAY = 86_400
PROVED = Finding(moved_at=NOW, verdict=Evidence(verdict=Verdict.PROVED, reason="", at=NOW))
ALL = tuple(sorted(Ability))
OPENAI = tuple(sorted({*Ability} - {Ability.DISABLE}))


class Crash(BaseException):
    """The process dies."""


class Hand:
    mark = "here"

    async def verified(self, _: int | None = None) -> Any:
        return None


class Owners:
    shared = False

    async def is_shared(self, _: Rotation, __: str) -> bool:
        return self.shared


class Slack(Everybody):
    group = frozenset({"U_APPROVER"})

    async def members(self, _: str) -> frozenset[str]:
        return self.group


class Scene:
    """An account with the old credential and the new one, and a rotation that is over; time passes as it waits."""

    def __init__(self, abilities: tuple[Ability, ...] = ALL, **fields: Any) -> None:
        self.seconds = -DAY
        self.account = Account(self.now, abilities=frozenset(abilities))
        self.old, self.new = self.account.holds("sk-old-0123456789", "old"), self.account.holds("sk-new-0123456789")
        self.seconds, self.owners = DAY, Owners()
        nothing: Any = None
        self.world = World(
            nothing, nothing, nothing, limits(), self.now, owners=self.owners, providers=Accounts(openai=self.account)
        )
        self.slack = Slack()
        self.world = replace(self.world, hold=Hand(), people=People(self.slack, RULES))
        made = running().replacement
        assert made
        self.record = running(
            **{
                "account": "openai",
                "abilities": abilities,
                "old_row": self.old,
                "replacement": made.but(row=self.new),
                "findings": {"m1": Finding(moved_at=NOW)},
                "deleted_at": NOW,
                "ended_at": NOW,
                "revocation": revocation(due_at=later(9 * DAY)),
            }
            | fields
        ).but(state=State.COMPLETED)

    def now(self) -> Any:
        return later(self.seconds)

    def asked(self, *flags: str) -> Rotation:
        word = approval().but(flags=flags)
        return revoking.asked(self.record, self.old, (word,), Look(at=NOW, since=NOW, usage=Usage()), self.now())

    async def until(self, record: Rotation, condition: Callable[[Rotation], Any], most: int = 60) -> Rotation:
        for _ in range(most):
            if condition(record):
                return record
            self.safe()
            record = await self.notch(record)
        raise AssertionError(record.revocation)

    async def notch(self, record: Rotation) -> Rotation:
        try:
            after = await move(record, self.world)
        except Crash:
            return record  # nothing is recorded, and the next process goes on from there
        if after == record:
            due = due_at(record, self.world.limits, self.now())
            assert due, "it is forgotten"
            self.seconds = max(self.seconds, (due - NOW).total_seconds())
        return after

    def safe(self) -> None:
        assert self.account.kept[self.new.id].status is Status.ACTIVE
        assert not [call for call in self.account.calls if self.new.id in call and not call.startswith("read")]

    def status(self) -> Status:
        return self.account.kept[self.old.id].status


def is_done(record: Rotation) -> bool:
    return not record.is_owed


def phase(record: Rotation) -> Phase | None:
    return record.revocation.there.phase if record.revocation and record.revocation.there else None


async def test_it_is_disabled_and_after_the_grace_deleted_and_then_read_until_it_is_gone_for_sure():
    scene = Scene()
    disabled = await scene.until(scene.asked(), lambda r: phase(r) is Phase.DISABLED)

    assert scene.status() is Status.DISABLED
    assert disabled.revocation.there.due_at == later(DAY + 3600)
    assert offered(disabled) == (Action.ENABLE_AGAIN,)
    done = await scene.until(disabled, is_done)
    assert (scene.status(), done.revocation.ended_by, done.setbacks) == (Status.GONE, "U_APPROVER", ())
    assert [call.split()[0] for call in scene.account.calls].count("read") == 2 + 1 + revoking.READS
    assert scene.seconds >= DAY + 3600 + 120
    assert offered(done) == ()


async def test_where_nothing_can_be_disabled_it_is_deleted():
    scene = Scene(OPENAI)
    done = await scene.until(scene.asked(), is_done)

    assert (scene.status(), done.is_owed) == (Status.GONE, False)
    assert not any(call.startswith("disable") for call in scene.account.calls)


FAULTS: dict[str, Callable[[], Fault]] = {
    "crash before": lambda: Fault("before", Crash()),
    "crash after": lambda: Fault("after", Crash()),
    "lost before": lambda: lost("before"),
    "lost after": lost,
    "refused": refused,
    "gone": lambda: refused(404),
    "unreached": unreached,
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("call", ["read", "usage", "disable", "delete"])
@pytest.mark.parametrize("abilities", [ALL, OPENAI])
async def test_pull_the_plug_on_every_call_and_it_still_ends_once(abilities, call, number, fault):
    scene = Scene(abilities)
    made, count = FAULTS[fault](), 0
    real = getattr(scene.account, call)

    async def faulty(*args: Any) -> Any:
        nonlocal count
        count += 1
        if count == number + 1:
            scene.account.faults[call].append(made)
        return await real(*args)

    setattr(scene.account, call, faulty)
    done = await scene.until(scene.asked(), is_done)

    scene.safe()
    assert (scene.status(), done.revocation.ended_by, done.setbacks) == (Status.GONE, "U_APPROVER", ())


@pytest.mark.parametrize("saves", range(8))
async def test_a_record_that_is_not_saved_is_made_again_from_what_the_provider_shows(saves):
    scene = Scene()
    record, kept = scene.asked(), 0
    for _ in range(60):
        after = await scene.notch(record)
        kept += after != record
        if kept != saves + 1 or after == record:  # else it is lost, once
            record = after
        else:
            kept += 1
        if is_done(record):
            break

    assert (is_done(record), scene.status()) == (True, Status.GONE)
    scene.safe()


async def test_a_provider_that_shows_it_again_is_asked_to_delete_it_again():
    scene = Scene()
    ending = await scene.until(scene.asked(), lambda r: phase(r) is Phase.PROVING)
    scene.account.kept[scene.old.id] = scene.old.but(status=Status.DISABLED)
    back = await scene.notch(ending)

    assert (phase(back), back.setbacks[0].why[:6]) == (Phase.ENDING, "OpenAI")
    await scene.until(back, is_done)
    assert scene.status() is Status.GONE


@pytest.mark.parametrize(
    ("then", "why"),
    [
        (lambda scene: scene.account.use(scene.old.id), "Somebody else holds it"),
        (lambda scene: setattr(scene.account, "is_usage_known", False), "nobody knows"),
        (lambda scene: setattr(scene.owners, "shared", True), "Another key in AISIX"),
        (lambda scene: setattr(scene.slack, "group", frozenset()), "The approval no longer counts."),
    ],
)
async def test_what_speaks_against_it_stops_it_before_the_call_and_people_hear_of_it(then, why):
    scene = Scene()
    then(scene)
    stopped = await scene.until(scene.asked(), lambda r: phase(r) is Phase.STOPPED)

    assert why in stopped.revocation.there.stopped
    assert scene.status() is Status.ACTIVE
    assert [matter.kind for matter in matters(stopped)] == [Kind.REVOCATION]
    assert offered(stopped) == (Action.REVOKE_THERE, Action.REVOKED, Action.NOT_NEEDED)
    assert due_at(stopped.but(nudges=()), limits(), scene.now())


@pytest.mark.parametrize(
    ("flags", "then"),
    [
        ((revoking.USED,), lambda scene: scene.account.use(scene.old.id)),
        ((revoking.UNKNOWN,), lambda scene: setattr(scene.account, "is_usage_known", False)),
    ],
)
async def test_what_an_approver_allowed_for_a_reason_stops_nothing(flags, then):
    scene = Scene()
    then(scene)

    await scene.until(scene.asked(*flags), is_done)
    assert scene.status() is Status.GONE


async def test_use_while_it_is_disabled_stops_the_delete_and_it_can_be_enabled_again():
    scene = Scene()
    disabled = await scene.until(scene.asked(), lambda r: phase(r) is Phase.DISABLED)
    scene.seconds += 60
    scene.account.use(scene.old.id)
    stopped = await scene.until(disabled, lambda r: phase(r) is Phase.STOPPED)

    assert scene.status() is Status.DISABLED
    assert offered(stopped) == (Action.REVOKE_THERE, Action.ENABLE_AGAIN, Action.REVOKED)
    back = await scene.until(revoking.entered(stopped, Phase.ENABLING, scene.now()), lambda r: phase(r) is None)
    assert (scene.status(), back.is_owed) == (Status.ACTIVE, True)
    assert offered(back) == (Action.REVOKE_THERE, Action.REVOKED, Action.NOT_NEEDED)


async def test_callers_that_fail_stop_the_delete():
    scene = Scene()
    disabled = await scene.until(scene.asked(), lambda r: phase(r) is Phase.DISABLED)
    failing = disabled.but(troubles=(Trouble(at=scene.now(), about="alias-m1", sentence="It fails."),))
    stopped = await scene.until(failing, lambda r: phase(r) is Phase.STOPPED)

    assert (stopped.revocation.there.stopped, scene.status()) == (
        "Callers fail: look into that first.",
        Status.DISABLED,
    )


async def test_somebody_who_enables_it_meanwhile_is_not_overruled():
    scene = Scene()
    disabled = await scene.until(scene.asked(), lambda r: phase(r) is Phase.DISABLED)
    await scene.account.enable(scene.old.id)

    stopped = await scene.until(disabled, lambda r: phase(r) is Phase.STOPPED)
    assert "Somebody enabled it again" in stopped.revocation.there.stopped


async def test_an_account_that_is_not_in_the_settings_any_more_is_no_stop_and_people_are_reminded():
    scene = Scene()
    scene.world = replace(scene.world, providers=Accounts())
    record = await scene.until(scene.asked(), lambda r: r.setbacks and r.setbacks[0].number == revoking.MOST_FAILURES)

    assert record.setbacks[0].why == "The settings (PROVIDERS) have no openai any more."
    assert [matter.kind for matter in matters(record)] == [Kind.REVOCATION]
    assert matters(record.but(setbacks=())) == ()


# --- a leak ---


def leaking(scene: Scene, **fields: Any) -> Rotation:
    exposed = Exposure(by="U_REQUESTER", at=NOW, revoke_by=later(7200))
    made = {
        "deleted_at": None, "ended_at": None, "exposed": exposed, "starts": (approval(),), "done": SOAKED,
        "findings": {"m1": PROVED}, "asked_at": scene.now(),
        "on_it": OnIt(by="U_APPROVER", at=later(2 * DAY)),
    }  # fmt: skip
    scene.record = scene.record.but(**made | fields)
    return rotation(State.AWAITING_APPROVAL).but(
        **{name: getattr(scene.record, name) for name in type(scene.record).model_fields if name != "state"}
    )


class Gateway:
    """A control plane that shows what uses keys, or hides a list."""

    def __init__(self, *on: str, hidden: bool = False) -> None:
        lists = (Unlisted(kind="routes"),) if hidden else ()
        self.shown = inventory([model(f"m{n}", provider_key=one) for n, one in enumerate(on)], unlisted=lists)

    async def inventory(self) -> Inventory:
        return self.shown


async def test_an_exposed_key_is_disabled_before_the_soak_ends_and_deleted_only_after_the_delete():
    scene = Scene()
    scene.world = replace(scene.world, control_plane=Gateway("pk_new"))
    scene.account.use(scene.old.id)
    record = leaking(scene)

    disabled = await scene.until(record, lambda r: phase(r) is Phase.DISABLED)
    assert (scene.status(), disabled.revocation.there.by_itself) == (Status.DISABLED, True)
    assert revoking.wanted(disabled) is None
    assert Action.ENABLE_AGAIN in offered(disabled)
    deleted = disabled.but(deleted_at=scene.now())
    await scene.until(deleted.but(state=State.COMPLETED, ended_at=scene.now()), is_done)
    assert scene.status() is Status.GONE


@pytest.mark.parametrize(
    "fields",
    [
        {"starts": ()},
        {"old_row": None},
        {"done": ("replace",)},
        {"findings": {}},
        {"findings": {"m1": Finding(moved_at=NOW)}},
        {"abilities": OPENAI},
        {"track": Track.BACK},
        {"revocation": revocation(enabled_at=NOW)},
    ],
)
async def test_an_exposed_key_is_not_disabled_by_itself(fields):
    scene = Scene()

    assert revoking.wanted(leaking(scene, **fields)) is None


@pytest.mark.parametrize("gateway", [Gateway("pk_old"), Gateway("pk_new", hidden=True)])
async def test_no_exposed_key_is_disabled_that_something_at_the_gateway_uses_or_may_use_unseen(gateway):
    scene = Scene()
    scene.world = replace(scene.world, control_plane=gateway)
    stopped = await scene.until(leaking(scene), lambda r: phase(r) is Phase.STOPPED)

    assert (scene.status(), stopped.state) == (Status.ACTIVE, State.AWAITING_APPROVAL)


@pytest.mark.parametrize("before", [Phase.ASKED, Phase.DISABLED, Phase.STOPPED, Phase.ENABLING])
@pytest.mark.parametrize("fault", [None, *FAULTS])
async def test_no_model_goes_back_to_a_key_before_it_is_enabled_again(before, fault):
    scene = Scene()
    record = revoking.asked(leaking(scene), scene.old, (approval(),), None, scene.now())
    record = revoking.entered(record, before, scene.now(), disabled_at=scene.now())
    back = record.but(state=State.ROLLING_BACK, track=Track.BACK, done=())
    await scene.account.disable(scene.old.id)
    if fault:
        scene.account.faults["enable"].append(FAULTS[fault]())
    if fault in ("refused", "gone"):
        with pytest.raises(Blocked, match="disabled at its provider"):
            await point_back(back, scene.world)  # a control plane that is asked fails the test
        return
    for _ in range(2):
        with suppress(Crash, Uncertain):
            outcome = await point_back(back, scene.world)
            break

    assert isinstance(outcome, Wait)
    assert (scene.status(), phase(outcome.rotation), revoking.wanted(outcome.rotation)) == (Status.ACTIVE, None, None)


async def test_a_roll_back_to_a_key_that_is_gone_at_its_provider_moves_nothing():
    scene = Scene()
    record = revoking.asked(leaking(scene), scene.old, (approval(),), None, scene.now())
    await scene.account.delete(scene.old.id)

    with pytest.raises(Blocked, match="has it no more"):
        await point_back(record.but(state=State.ROLLING_BACK, track=Track.BACK, done=()), scene.world)


# --- which one ---


def test_what_stays_in_use_or_is_younger_than_the_request_is_not_offered():
    scene = Scene()
    rows = [
        scene.new,
        Row(id="young", created_at=later(1)),
        Row(id="gone", status=Status.GONE),
        Row(id="off", status=Status.DISABLED),
        scene.old,
        Row(id="undated"),
    ]

    assert [row.id for row in revoking.choices(scene.record, rows)] == [scene.old.id, "undated", "off"]


OTHER = running(id="rother1", account="openai").but(state=State.COMPLETED)
MADE = Row(id="row-1")


@pytest.mark.parametrize(
    ("other", "is_shared"),
    [
        ({}, False),
        ({"row": MADE, "key_id": "pk_3"}, True),
        ({"row": MADE, "key_id": "pk_old"}, False),
        ({"row": MADE, "key_id": "pk_3", "state": State.ROLLED_BACK}, False),
        ({"row": MADE, "key_id": "pk_3", "account": "other"}, False),
        ({"old_row": MADE, "state": State.RUNNING, "plan": plan_of("pk_3")}, True),
        ({"old_row": MADE, "plan": plan_of("pk_3")}, False),
    ],
)
async def test_a_credential_that_another_key_may_use_is_shared(desk, other, is_shared):
    fields = dict(other)
    new = {name: fields.pop(name) for name in ("row", "key_id") if name in fields}
    record = OTHER.but(replacement=OTHER.replacement.but(**new), **fields)
    await desk.store.save(record, EVENT, at=NOW)
    mine = Scene().record

    assert await desk.store.is_shared(mine, "row-1") is is_shared
    assert not await desk.store.is_shared(mine, "row-9")


def test_every_phase_has_its_due_time_and_its_deed_and_its_words():
    assert revoking.DUE.keys() == revoking.MOVED.keys() == SAID.keys() == {*Phase}
    assert DO.keys() == {*Phase} - {Phase.STOPPED}
