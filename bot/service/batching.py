"""Batches: several keys that are rotated one after the other."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from typing import NamedTuple

from bot.rotation.age import age_of, is_due
from bot.rotation.batch import MOST, Batch, Entry, Halt, halted, is_done, next_entry, unnoted
from bot.rotation.errors import BadInput, CannotPost, NotAllowed, Refused, Unanswerable, WrongState
from bot.rotation.holds import kept
from bot.rotation.inventory import ProviderKey
from bot.rotation.naming import new_id
from bot.rotation.plan import make_plan, plural
from bot.rotation.policy import Pressed, check_may_steer_batch
from bot.rotation.record import Rotation
from bot.service.decisions import Decisions
from bot.service.requests import Requests
from bot.service.verbs import REPLAY_WINDOW, audited, event
from bot.storage.records import Full

BATCH = "asked for a batch"


class Wanted(NamedTuple):
    """What a person chose: keys by id, those of a provider, those that are older; together if several are given."""

    keys: frozenset[str] = frozenset()
    provider: str = ""
    older_than: timedelta | None = None


class Approved(NamedTuple):
    """What one click has approved, and what it left out with why: by the names of the keys."""

    names: tuple[str, ...]
    left: tuple[tuple[str, str], ...]


class Batching(Requests, Decisions):
    """What people ask about several keys at once."""

    @audited(BATCH, of_rotation=False)
    async def offer_batch(self, _asked: str, *, by: str, channel: str) -> None:
        """Refuse a batch that could not begin, before the person chooses keys."""
        await self._check_may_begin(by, channel)

    @audited(BATCH, of_rotation=False)
    async def begin_batch(self, channel: str, wanted: Wanted, *, by: str, team: str, request: str = "") -> Batch:
        """Record a batch of the keys that are *wanted*; none of its rotations has begun yet."""
        await self._check_may_begin(by, channel)
        inventory = await self._inventory()
        chosen = await self._chosen(inventory.keys, wanted)
        if request and not await self._store.is_first(f"batch:{request}", REPLAY_WINDOW):
            raise WrongState("Slack brought this twice; the batch is in the channel.")
        held = await self._store.holds(self._now())
        if all(key.id in held for key in chosen):
            raise BadInput("All of these keys are on hold: lift the holds, or choose others.", field="keys")
        plans = ((key, make_plan(inventory, key, self._gateways)) for key in chosen)
        entries = tuple(
            Entry(
                key_id=key.id,
                name=key.display_name,
                environments=tuple(plan.environments),
                left_out=kept(held[key.id]) if key.id in held else "",
            )
            for key, plan in plans
        )
        batch = Batch(id=new_id(), team=team, channel=channel, by=by, at=self._now(), entries=entries)
        return await self._save_batch(batch, by, f"{BATCH} of {plural(len(entries), 'key')}")

    async def _chosen(self, keys: Iterable[ProviderKey], wanted: Wanted) -> list[ProviderKey]:
        """Return the keys that are wanted in their order, without those that are being rotated."""
        listed = list(keys)
        made = await self._store.made_at(listed) if wanted.older_than else {}
        now = self._now()
        found = [
            key
            for key in listed
            if key.id in wanted.keys
            or (wanted.provider and key.provider.casefold() == wanted.provider.casefold())
            or is_due(age_of(key, made.get(key.id)), wanted.older_than, now)
        ]
        busy = {rotation.plan.old_key.id for rotation in await self._store.under_way()}
        free = [key for key in found if key.id not in busy]
        if not free:
            raise BadInput("No key matches that, or all of them are being rotated already.", field="keys")
        if len(free) > MOST:
            raise BadInput(f"{len(free)} keys match, and a batch has at most {MOST}: choose fewer.", field="keys")
        return free

    async def _save_batch(self, batch: Batch, by: str, what: str, why: str = "") -> Batch:
        return await self._store.save_batch(batch, event(by, what, why), at=self._now())

    async def open_batches(self) -> list[str]:
        """Return the ids of the batches that have not ended, or whose message still follows their rotations."""
        return await self._store.open_batches()

    async def rotations_of(self, batch: Batch) -> dict[str, Rotation]:
        """Return the rotations of a batch, by id."""
        return await self._store.rotations_of(batch)

    @property
    def approves_batches(self) -> bool:
        """Return whether one click may approve all of a batch that is ready."""
        return self._rules.one_approval_for_a_batch and not self._rules.step_up

    async def batch(self, batch_id: str) -> Batch:
        """Return a batch, or refuse."""
        found = await self._store.batch(batch_id)
        if found is None:
            raise WrongState("Keyturn does not know this batch any more.")
        return found

    async def advance_batch(self, batch_id: str, show: Callable[[Rotation], Awaitable[None]]) -> Batch:
        """Begin the rotations that may begin now, and *show* their cards; halt at a refusal. Holds a lease."""
        batch = await self.batch(batch_id)
        rotations = await self._store.rotations_of(batch)
        if rotations.keys() != {*batch.rotations}:  # another version's: nobody here knows how it stands
            return batch
        after = halted(batch, rotations, self._now())
        if after.halt and after.halt != batch.halt:
            return await self._save_batch(after, "keyturn", "halted the batch", after.halt.why)
        if batch.ended_at or is_done(batch, rotations):
            return await self._wound_up(batch, rotations.values())
        most = self._rules.bulk_concurrency
        if next_entry(batch, rotations.values(), most) is None:  # so that nothing else has to be read
            return batch
        under_way = await self._store.under_way()
        if lost := unnoted(batch, under_way):
            return await self._noted(batch, lost, show)
        entry = next_entry(batch, under_way, most)
        return await self._begun(batch, entry, show) if entry else batch

    async def _wound_up(self, batch: Batch, rotations: Iterable[Rotation]) -> Batch:
        """End a batch that is done; close one that has ended, once its rotations are over too."""
        if not batch.ended_at:
            return await self._save_batch(batch.but(ended_at=self._now()), "keyturn", "the batch is done")
        if not all(rotation.is_over for rotation in rotations):
            return batch
        return await self._save_batch(batch.but(settled=True), "keyturn", "the batch's last rotation is over")

    async def _begun(self, batch: Batch, entry: Entry, show: Callable[[Rotation], Awaitable[None]]) -> Batch:
        """Begin the rotation of *entry* and show it; if it can't begin, or its key is on hold, halt or leave it out."""
        try:
            if hold := await self._store.hold_on(entry.key_id, self._now()):
                return await self._left_out(batch, entry, kept(hold))
            await self._store.check_room(self._room(batch.by, batch.channel))
            rotation = await self.start(
                entry.key_id, by=batch.by, team=batch.team, channel=batch.channel, batch=batch.id
            )
        except (Full, Unanswerable):
            return batch
        except NotAllowed as refused:
            halt = Halt(why=str(refused), at=self._now())
            return await self._save_batch(batch.but(halt=halt), "keyturn", "halted the batch", str(refused))
        except Refused as refused:
            return await self._left_out(batch, entry, str(refused))
        return await self._noted(batch, rotation, show)

    async def _noted(self, batch: Batch, rotation: Rotation, show: Callable[[Rotation], Awaitable[None]]) -> Batch:
        """Note a rotation that has begun, and show its card."""
        entry = next(one for one in batch.entries if one.key_id == rotation.plan.old_key.id)
        noted = batch.with_entry(entry.but(rotation=rotation.id))
        saved = await self._save_batch(noted, "keyturn", f"began {rotation.id} for the batch")
        try:
            await show(rotation)
        except CannotPost:
            await self.withdraw(rotation, "The card could not be posted.")
        return saved

    async def _left_out(self, batch: Batch, entry: Entry, why: str) -> Batch:
        return await self._save_batch(batch.with_entry(entry.but(left_out=why)), "keyturn", "left out a key", why)

    @audited("went on with a batch", of_rotation=False)
    async def go_on(self, batch_id: str, after: str, *, by: str) -> Batch:
        """Go on after the refusal of the rotation *after*; its own card decides what becomes of that one."""
        batch = await self._steered(batch_id, by)
        if batch.halt is None or batch.halt.rotation != after:
            raise WrongState("This batch is not stopped there any more: look at its message.")
        passed = (*batch.passed, after) if after else batch.passed
        return await self._save_batch(batch.but(halt=None, passed=passed), by, "went on with the batch", batch.halt.why)

    @audited("ended a batch", of_rotation=False)
    async def end_batch(self, batch_id: str, *, by: str) -> Batch:
        """Begin no further rotation; those under way go on by their own cards."""
        batch = await self._steered(batch_id, by)
        return await self._save_batch(batch.but(halt=None, ended_at=self._now(), ended_by=by), by, "ended the batch")

    async def _steered(self, batch_id: str, by: str) -> Batch:
        batch = await self.batch(batch_id)
        check_may_steer_batch(batch.by, await self._people.permissions(by))
        if batch.ended_at:
            raise WrongState("This batch has ended.")
        return batch

    async def _check_covered(self, rotation_id: str) -> None:
        """Refuse to cover a rotation by one click for all where a policy, its own or today's, asks for its own."""
        if self._people.governed(await self.load(rotation_id)).policy.own_approval:
            raise WrongState("Its policy asks for an approval on its own card.")

    @audited("approved a batch", of_rotation=False)
    async def approve_ready(
        self, batch_id: str, shown: Mapping[str, str], *, by: str, pressed: Pressed, click: str
    ) -> Approved:
        """Approve each rotation that waits for it and is still as the message *shown* had it; the rest is left out.

        Each approval is one of its own: by its rules, for its own mark, with its own last look.
        """
        if not self.approves_batches:
            raise NotAllowed("The settings ask for an approval on each card of a batch.")
        batch = await self.batch(batch_id)
        names = {entry.rotation: entry.name for entry in batch.entries if entry.rotation}
        done: list[str] = []
        left: list[tuple[str, str]] = []
        forbidden: NotAllowed | None = None
        for id_ in filter(names.__contains__, shown):
            name = names.get(id_, "")
            try:
                await self._check_covered(id_)
                click_on = f"{click}/{id_}"
                await self.approve(id_, by=by, pressed=pressed, click=click_on, shown=shown[id_], for_a_batch=True)
                done.append(name)
            except Refused as refused:
                left.append((name, str(refused)))
                forbidden = refused if isinstance(refused, NotAllowed) else forbidden
        if forbidden and not done:
            raise forbidden
        if not done and not left:
            raise WrongState("Nothing in this batch waits for an approval any more: look at its message.")
        return Approved(tuple(done), tuple(left))
