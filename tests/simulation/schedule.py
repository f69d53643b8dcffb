"""One seed's schedule: what happens in it, and how everything comes to an end afterwards."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from redis import Redis

from bot.rotation import audit
from bot.rotation.actions import Action
from bot.rotation.policy import offered
from bot.rotation.record import Rotation
from bot.rotation.states import State
from tests.simulation import deeds
from tests.simulation.clockwork import Actor, Fate, Loop, Switchboard
from tests.simulation.laws import Broken
from tests.simulation.town import APPROVERS, OLD_SECRET, Nasty, Town, carried_by, fixed, populated

Deed = Callable[[Town], None]

MIXES: tuple[frozenset[Nasty], ...] = (frozenset(), *(frozenset({kind}) for kind in Nasty), frozenset(Nasty))
"""What a seed is nasty with beside people, faults, crashes and time: each in its turn."""

DEEDS: dict[Deed, int] = {
    deeds.work: 63,
    deeds.press: 18,
    deeds.wait: 25,
    Town.sweep: 4,
    deeds.jump: 2,
    deeds.crowd: 7,
    deeds.approve_what_was: 2,
    deeds.ask: 1,
    deeds.kill: 3,
    deeds.change_approvers: 2,
    deeds.provider_acts_up: 1,
    deeds.replica_acts_up: 2,
}
"""What happens, and how often beside the rest."""

MORE: dict[Nasty, tuple[Deed, int]] = {
    Nasty.CLOCKS: (deeds.jump_a_clock, 4),
    Nasty.UNLISTED: (deeds.unlisted_acts_up, 6),
}
FAULTS: dict[Fate, int] = {
    Fate.LOST: 3,
    Fate.UNHEARD: 4,
    Fate.ERROR: 2,
    Fate.ERROR_AFTER: 2,
    Fate.LIMITED: 2,
    Fate.GARBAGE: 1,
    Fate.KILLED: 2,
    Fate.KILLED_AFTER: 3,
}
SCENES = (State.AWAITING_SECRET, "rehearse", "cut-over", "verify", *(State.AWAITING_APPROVAL,) * 4)
"""How far the first rotation has come when it begins: far enough for all that can happen there."""

PRELUDE, STEPS = 60, 120
SENSIBLE = 400
"""Rounds in which everything has to come to an end once people are sensible and nothing fails."""

ROUGH = 30
"""Rounds of these in which workers still stand still, and lists still lack rows: most deletes come only now."""

PATIENT = 3
"""Stops after which people have had enough: they roll back, or let count what cannot be proved."""


@dataclass
class Run:
    seed: int
    actions: int = 0
    turns: int = 0
    faults: int = 0
    lucky: int = 0
    trace: list[str] = field(default_factory=list)
    broken: str = ""


def run(seed: int, redis_url: str, steps: int = STEPS) -> Run:
    with Redis.from_url(redis_url) as client:
        client.flushdb()
        client.script_flush()  # or the first seed on a server would have more to say than the same one later
    switchboard = Switchboard(Random(seed))
    loop = Loop(switchboard)
    try:
        with fixed(seed) as errors:
            return loop.run_until_complete(_Director(seed, switchboard, errors, steps).run(redis_url))
    finally:
        loop.close()


class _Director:
    def __init__(self, seed: int, switchboard: Switchboard, errors: list[dict[str, Any]], steps: int) -> None:
        self.switchboard, self.random, self._errors, self._steps = switchboard, switchboard.random, errors, steps
        self._nasty = MIXES[seed % len(MIXES)]
        self.town = Town(switchboard, populated(self.random, self._nasty), self._nasty)
        self._deeds = DEEDS | dict(more for kind, more in MORE.items() if kind in self._nasty)
        self.result = Run(seed, trace=switchboard.trace)
        self._helped: Counter[str] = Counter()
        self._rate = self.random.choice((0.0, 0.01, 0.03, 0.06))
        self._drift = self.random.choice((0.01, 0.04) if Nasty.FROZEN in self._nasty else (0.0, 0.0, 0.01, 0.04))

    async def run(self, redis_url: str) -> Run:
        town, told = self.town, self.result
        with carried_by(town.wire.handle, town.running_clock):
            async with town.open(redis_url):
                try:
                    await self._misbehave()
                    await self._end_well()
                    await self._explained()
                except Broken as broken:
                    told.broken = str(broken)
                    told.trace += [f"LOG {error}" for error in self._errors]
                finally:
                    await self._stop()
        told.actions, told.turns, told.lucky = town.actions, self.switchboard.turns, town.laws.lucky
        return told

    async def _stop(self) -> None:
        for actor, _ in self.town.actors:
            self.switchboard.kill(actor)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- while all kinds of things happen ---

    async def _misbehave(self) -> None:
        if Nasty.UNLISTED in self._nasty:
            deeds.unlisted_acts_up(self.town)
        deeds.ask(self.town, "OpenAI production", "U_REQUESTER")
        await self._reach(self.random.choice(SCENES))
        self.switchboard.fate = self._fate
        for _ in range(self._steps):
            deed = self._deed()
            self.switchboard.note(deed.__name__.upper())
            deed(self.town)
            self.town.wire.project()
            await self.town.redis.expire_leases()
            await self._let(self.random.choice((0, 1, 3, 8, 20, 60)))

    async def _reach(self, scene: str) -> None:
        for _ in range(PRELUDE):
            if any(scene in (record.state, *record.done[-1:]) for record in self.town.laws.records.values()):
                return
            await self._turn_well(approving=False)
        if not self.town.laws.records:
            raise Broken("a rotation begins where nothing fails")

    def _deed(self) -> Deed:
        for is_time, likely, some in self._moments():
            if is_time and self.random.random() < likely:
                return some
        return self.random.choices(list(self._deeds), list(self._deeds.values()))[0]

    def _moments(self) -> Iterator[tuple[object, float, Deed]]:
        """Yield when something is worse than at any other time, how likely it is then, and what it is."""
        asking = [r for r in self.town.laws.records.values() if r.state is State.AWAITING_APPROVAL]
        yield not self._open(), 0.3, deeds.ask
        yield any(r.approvals for r in asking), 0.15, deeds.change_approvers
        yield self._drift and deeds.is_ending(self.town), 0.4, deeds.worst
        yield self._drift and asking, 0.25, deeds.reach_otherwise
        yield Nasty.UNLISTED in self._nasty and asking, 0.3, deeds.unlisted_comes_up
        yield self.town.frozen, 0.15, deeds.take_over_from_the_frozen
        yield self.town.frozen, 0.15, deeds.thaw
        yield True, self._drift, deeds.drift

    def _fate(self, actor: Actor, what: str) -> Fate:
        if self.random.random() >= self._rate:
            return Fate.WELL
        self.result.faults += 1
        if what.startswith("POST control-plane/provider_keys") and self.random.random() < 0.3:
            return Fate.LATE
        return self.random.choices(list(FAULTS), list(FAULTS.values()))[0]

    async def _let(self, turns: int) -> None:
        await self.switchboard.let(turns)
        await self.town.redis.expire_leases()
        while self.town.stood_still:
            self.switchboard.thaw(self.town.stood_still.pop())
        self.town.laws.check()

    # --- when people are sensible and nothing fails any more ---

    async def _end_well(self) -> None:
        self.switchboard.note("FROM HERE ON ALL IS WELL")
        self._mend()
        for number in range(SENSIBLE):
            if number == ROUGH:
                self._calm()
            if self._is_over():
                return
            await self._turn_well()
        left = [f"{r.id} {r.state} {r.stop.sentence if r.stop else r.note}" for r in self._open()]
        raise Broken(f"every rotation comes to an end: {left}")

    def _mend(self) -> None:
        self.switchboard.fate = lambda *_: Fate.WELL
        if self.random.random() < 0.5:
            self.town.remove_unlisted()
        self.town.slack.approvers = set(APPROVERS)
        self.town.wire.behind = {replica for replica in self.town.wire.behind if not replica.is_listed}
        for secret in (OLD_SECRET, *self.town.good_secrets):
            self.town.aisix.upstream.accept(secret)
        for replica in self.town.aisix.all_replicas():
            replica.down = False

    def _calm(self) -> None:
        self.switchboard.arriving = lambda *_: None
        self.town.wire.short = 0.0
        for actor in self.town.frozen:
            self.switchboard.thaw(actor)

    async def _turn_well(self, *, approving: bool = True) -> None:
        town = self.town
        town.wire.project()
        for key in town.hints.due():
            town.take(key)
        town.sweep()
        if town.random.random() < 0.3:
            deeds.thaw(town)
            await town.redis.expire_leases()
        await self._let(10_000)
        deeds.approve_what_was(town)  # sensible people look at the card; one of them has not
        await self._let(10_000)
        for rotation in self._open():
            if approving or rotation.state is not State.AWAITING_APPROVAL:
                self._help(rotation)
        await self._let(10_000)
        least = 5 if Nasty.CLOCKS in self._nasty else 1  # what a clock ahead has recorded lasts longer
        self.switchboard.now += min(max(self.switchboard.next_timer or 0, least), 60)

    def _open(self) -> list[Rotation]:
        return [record for record in self.town.laws.records.values() if not record.is_over]

    def _help(self, rotation: Rotation) -> None:
        shown = self.town.slack.cards.get(rotation.id, [rotation])[-1]
        buttons = offered(shown)
        if shown.version != rotation.version or not buttons:
            return
        if shown.state is State.AWAITING_SECRET:
            ended = [r for r in self.town.laws.records.values() if r.state is State.COMPLETED]
            is_replaced = shown.plan.old_key.id in {r.plan.old_key.id for r in ended}
            action = Action.CANCEL if is_replaced else Action.ENTER_SECRET
            secret = () if action is Action.CANCEL else (self.town.secret(),)
            deeds.PRESSES[action](self.town, shown, shown.requested_by, *secret)
        elif shown.state is State.AWAITING_APPROVAL:
            for who in set(APPROVERS) - {shown.requested_by}:
                deeds.approve(self.town, shown, who)
        elif shown.state is State.BLOCKED:
            self._clear_the_way(shown)
            self._helped[shown.id] += 1
            last = [action for action in (Action.ROLL_BACK, Action.ACCEPT_UNPROVED) if action in buttons]
            action = last[0] if last and self._helped[shown.id] > PATIENT else self.random.choice(buttons)
            deeds.PRESSES[action](self.town, shown, deeds.fitting(self.town, shown, action))

    def _clear_the_way(self, shown: Rotation) -> None:
        """Do what the card asks for: routes are pointed by hand, keys allowed, settings made alike, replicas listed."""
        aisix = self.town.aisix
        self.town.remove_unlisted()
        for route in list(aisix.store.passthrough_routes.values()):
            aisix.remove(route)
        for key in aisix.provider_keys.values():
            aisix.edit(key, allowed_environments=list(aisix.store.environments))
        old, new = shown.plan.old_key, aisix.provider_keys.get(shown.replacement_id or "")
        like = aisix.provider_keys[old.id].fields if old.id in aisix.provider_keys else old.settings
        if new and new.fields.get("api_base") != like.get("api_base"):
            aisix.edit(new, api_base=like.get("api_base"))

    def _is_over(self) -> bool:
        shown, records = self.town.slack.cards, self.town.laws.records
        behind = [id_ for id_, seen in shown.items() if id_ in records and seen[-1].version != records[id_].version]
        return not self._open() and not behind and all(task.done() for _, task in self.town.actors)

    async def _explained(self) -> None:
        try:
            entries = audit.verified([line async for line in self.town.store.trail()])
            audit.check_records(await self.town.store.versions(audit.last_versions(entries)), entries, entries)
        except audit.Fault as fault:
            raise Broken(f"the audit trail explains the records: {fault}") from None
        for record in self.town.laws.records.values():
            self.town.laws.nothing_left(record)
        self.town.laws.check()
