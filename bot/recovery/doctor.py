"""`python -m bot doctor`: finds orphaned rotations from the control plane alone, and completes or undoes one.

A run stores nothing for the next: each reads the control plane again, and once more right before it acts. The doctor
leaves every open record to the bot.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NamedTuple, Protocol

import click

from bot.engine import move
from bot.recovery.adoption import Sponsor, adopted, check_adoptable, check_cleanable, taken_back
from bot.recovery.diagnosis import described, summary
from bot.recovery.orphans import Kind, Orphan, ids_seen, rotations_seen
from bot.rotation import audit
from bot.rotation.errors import Refused
from bot.rotation.inventory import Inventory, Model
from bot.rotation.policy import is_way_back_closed
from bot.rotation.ports import Hold, Moment
from bot.rotation.record import Rotation
from bot.rotation.states import BACK, MEANING, State, StepName
from bot.service import RotationService
from bot.steps.probing import askable
from bot.steps.world import World
from bot.storage.records import Store
from bot.terminal import Level, show, tell


@dataclass(frozen=True)
class Orders:
    """The options of the command line."""

    rotation: str | None = None
    adopt: bool = False
    clean: bool = False
    old: str | None = None
    channel: str | None = None
    requester: str | None = None
    yes: bool = False


class Case(NamedTuple):
    """An orphan, and what the store knows about it."""

    half: Orphan
    held: str = ""
    """Why it must not be touched."""

    over: str = ""
    """The end state in its record, if it has one."""

    @property
    def is_left(self) -> bool:
        """Return whether somebody has to complete or undo it."""
        return self.half.kind is not Kind.FINISHED and not self.held


class Unrecorded(NamedTuple):
    """The lease of a rotation that has no record, so no version either."""

    lease: Hold

    @property
    def mark(self) -> str:
        """Return the name of this acquisition of the lease."""
        return self.lease.mark

    async def verified(self, _: int | None = None) -> Moment:
        """Return a moment at which nobody else held the rotation."""
        return await self.lease.verified()


class Reception(Protocol):
    """The parts of Slack that the doctor needs."""

    @property
    def rotations(self) -> RotationService:
        """Return the rotation service."""

    @property
    def team(self) -> str:
        """Return the workspace."""

    async def introduce(self, rotation: Rotation) -> None:
        """Tell the channel that *rotation* continues; raise `Refused` if nobody there would see it."""


@dataclass(frozen=True)
class Doctor:
    """Reports the orphans, and carries out the options."""

    store: Store
    world: World
    lease: timedelta
    orders: Orders
    reception: Reception | None = None

    async def run(self) -> bool:
        """Report the orphans and act on the one that the options name; return whether none is left."""
        inventory, cases = await self._look()
        _print(inventory, cases)
        if self.orders.adopt or self.orders.clean:
            case = _chosen(cases, self.orders)
            _confirm(case.half, self.orders)
            await self._act(case)
            inventory, cases = await self._look()
            _print(inventory, cases)
        return not any(case.is_left for case in cases)

    async def _look(self) -> tuple[Inventory, list[Case]]:
        inventory = await self.world.control_plane.inventory()
        named = {self.orders.rotation: self.orders.old} if self.orders.rotation and self.orders.old else {}
        recorded = await self.store.old_keys(ids_seen(inventory))
        if any(recorded.get(id_, old) != old for id_, old in named.items()):
            raise Refused(f"The record of {self.orders.rotation} names another old key: leave out --old.")
        return inventory, [await self._case(half) for half in rotations_seen(inventory, named, recorded)]

    async def _case(self, half: Orphan) -> Case:
        """Find out whether the bot still owns *half*, or another rotation is using its keys."""
        if half.kind is Kind.FINISHED:
            return Case(half)
        under_way = await self.store.open_ids()
        if half.rotation in under_way:
            return Case(half, held="It is under way: its card says how it stands, and its buttons are what moves it.")
        elsewhere = await self.store.open_elsewhere(half.rotation)
        if elsewhere:
            return Case(
                half, held=f"Its record is under {elsewhere}: `python -m bot carry-over {elsewhere}` brings it here."
            )
        others = await self._holders(half) & under_way
        if others:
            return Case(half, held=f"Rotation {min(others)} has one of its keys in hand: finish that one first.")
        return await self._recorded(half)

    async def _holders(self, half: Orphan) -> set[str]:
        """Return the rotations that use one of its keys: as the old key, or as one that they made."""
        mine = {key.id for key in half.keys}
        makers = {other.id for other in await self.store.under_way() if mine & {*other.made}}
        held = [await self.store.holder(key.id) for key in (*half.keys, *half.olds)]
        return makers | {holder for holder in held if holder}

    async def _recorded(self, half: Orphan) -> Case:
        if not await self.store.is_recorded(half.rotation):
            return Case(half)
        record = (await self.store.versions([half.rotation])).get(half.rotation)
        if record is None:
            return Case(half, held="Its record is there and cannot be read by this version, so it is left to the bot.")
        return Case(half, over=MEANING[State(record[1])])

    async def _act(self, case: Case) -> None:
        """Act if the orphan still matches the report and no other process holds it."""
        half = case.half
        async with self.store.leased(half.rotation, self.lease.total_seconds()) as mine:
            inventory, cases = await self._look()
            if not mine or case not in cases:
                raise Refused("This is not what it was a moment ago, so nothing was done. Look again.")
            if self.orders.adopt:
                await self._adopt(half, inventory)
            else:
                held = replace(self, world=replace(self.world, hold=Unrecorded(mine)))
                await held.take_back(half, inventory)

    # --- forward ---

    async def _adopt(self, half: Orphan, inventory: Inventory) -> None:
        assert self.reception is not None
        rotations = self.reception.rotations
        sponsor = await self._sponsor(half, rotations)
        rotation = adopted(half, inventory, self.world.gateways.environments, sponsor, self.world.now())
        await self.reception.introduce(rotation)
        await rotations.adopt(rotation)
        tell(Level.DONE, f"{half.rotation} is recorded again; a worker moves it on, and the channel sees its card.")

    async def _sponsor(self, half: Orphan, rotations: RotationService) -> Sponsor:
        """Return the sponsor; a person who may not ask for a rotation can't be named as its requester."""
        channel = self.orders.channel or (await self.store.messages(half.rotation)).get("channel")
        if not channel or not self.orders.requester:
            raise Refused(
                "--adopt needs --channel C… (where it is to be seen) and --requester U… (who asked for it, and so "
                "cannot approve it): Redis does not remember them."
            )
        try:
            await rotations.check_may_request(self.orders.requester)
        except Refused as refusal:
            raise Refused(f"{self.orders.requester} cannot be its requester: {refusal}") from None
        assert self.reception is not None
        return Sponsor(
            team=self.reception.team,
            channel=channel,
            requester=self.orders.requester,
            approvals_required=rotations.rules.approvals_required,
            self_approval=rotations.rules.self_approval,
        )

    # --- back ---

    async def take_back(self, half: Orphan, inventory: Inventory) -> None:
        """Undo *half*: delete its throw-away models, or roll it back. The world must hold its lease."""
        if half.kind is Kind.LEFTOVERS:
            for model in half.throwaways:
                await self.world.control_plane.delete_model(model.id, model.environment)
                tell(Level.DONE, f"`{model.alias}` is removed.")
            await self._note(half, None, f"removed {len(half.throwaways)} throw-away models")
            return
        await self._refuse_closed_way(half)
        rotation = taken_back(half, inventory, self.world.gateways.environments, self.world.now())
        await self._note(half, rotation, "began to take it back")
        await self._try_one(half, rotation)
        await self._drive(rotation)
        await self._note(half, rotation, "took it back")

    async def _refuse_closed_way(self, half: Orphan) -> None:
        """Refuse if the record says that the old key may be deleted at any moment."""
        record = await self.store.load(half.rotation)
        if record and is_way_back_closed(record):
            raise Refused(
                "AISIX has been asked to delete the old key, and that may still happen, so no model goes back to it. "
                "Point the models at another key in AISIX."
            )

    async def _try_one(self, half: Orphan, rotation: Rotation) -> None:
        """Point one model back before the others: if the old key does not serve it, the others stay where they are."""
        moved = {model.id: model for model in half.moved}
        trial = next((model for model in askable(rotation, self.world) if model.id in moved), None)
        if trial is None:
            return
        tell(Level.TRY, f"`{trial.alias}` in {trial.environment_name} first.")
        try:
            await self._drive(rotation.but(plan=rotation.plan.but(models=(trial,)), done=(StepName.REMOVE,)))
        except Refused:
            await self._undo_trial(half, moved[trial.id])
            raise

    async def _undo_trial(self, half: Orphan, model: Model) -> None:
        key = next(key for key in half.keys if key.is_meant_by(model.provider_key))
        await self.world.control_plane.point(model.id, model.environment, key.id)
        tell(Level.DONE, f"`{model.alias}` is on `{key.display_name}` again; no other model was moved.")

    async def _drive(self, rotation: Rotation) -> None:
        """Roll *rotation* back to its end in this process; raise `Refused` if it stops."""
        while rotation.waits_for_bot:
            before, rotation = rotation, await move(rotation, self.world)
            for step in rotation.done[len(before.done) :]:
                tell(Level.DONE, f"{DONE[step]}.")
            if rotation.retry_at:
                await asyncio.sleep(max(0.0, (rotation.retry_at - self.world.now()).total_seconds()))
        for sentence in rotation.left_alone:
            tell(Level.LEFT, sentence)
        if rotation.stop:
            raise Refused(f"{rotation.stop.sentence} The replacement was not removed.")

    async def _note(self, half: Orphan, rotation: Rotation | None, what: str) -> None:
        event = {"by": "doctor", "what": f"{what}: {half.rotation}", "why": ""}
        await self.store.note(audit.Kind.REPAIR, event, rotation=rotation, at=self.world.now())


DONE = {step.name: step.title for step in BACK}
"""What each step of the roll back has done."""


def _print(inventory: Inventory, cases: list[Case]) -> None:
    shown = [case for case in cases if case.half.kind is not Kind.FINISHED]
    for case in shown:
        record = f" Its record says: {case.over}." if case.over else ""
        found = described(case.half, case.held, inventory)
        show(found._replace(said=found.said + record))
    if not shown:
        tell(Level.OK, summary(tuple(case.half for case in cases)))


def _chosen(cases: list[Case], orders: Orders) -> Case:
    """Return the one case that the options name, or refuse."""
    left = [case for case in cases if case.half.kind is not Kind.FINISHED and not case.held]
    if orders.rotation is None and len(left) != 1:
        raise Refused("Say which: python -m bot doctor ID --adopt, or --clean." if left else "There is nothing to do.")
    case = next((case for case in cases if case.half.rotation == (orders.rotation or left[0].half.rotation)), None)
    if case is None:
        raise Refused(f"No key and no model carries the id {orders.rotation}.")
    if case.held:
        raise Refused(case.held)
    (check_adoptable if orders.adopt else check_cleanable)(case.half)
    if orders.adopt and case.over:
        raise Refused(
            f"Its record says: {case.over}. What is over is not begun again; --clean takes back what is left."
        )
    return case


def _confirm(half: Orphan, orders: Orders) -> None:
    """Ask the person to type the id, so that nothing happens by accident."""
    if orders.yes:
        return
    typed = click.prompt(f"Type {half.rotation} to go on", default="", show_default=False, err=True)
    if typed.strip() != half.rotation:
        raise Refused("That is not its id, so nothing was done.")
