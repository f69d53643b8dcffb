"""The same through everything real: people press at random in Slack, things fail, and the bot restarts.

Here time is the machine's, so a seed tells a similar story twice, and not the same one.
"""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import count
from random import Random
from typing import Any

import pytest

from bot.rotation import audit
from bot.rotation.record import Rotation
from bot.rotation.states import State
from sandbox.slack import Message
from tests.support.stage import KEY, NEW_SECRET, WRONG_SECRET, Stage, stage_of

EVERYBODY = ("U_REQUESTER", "U_APPROVER", "U_SECOND", "U_MEMBER", "U_GUEST", "U_STRANGER")
ASKERS = ("U_REQUESTER", "U_MEMBER")
ROUNDS = 12
PROGRESS = 400
"""Presses after which everything has to have come to an end."""


class Crowd:
    """Presses at random, and never by the rules."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self.stage, self.random = stage, Random(seed)
        self.cards: list[Message] = []
        self.presses = 0
        self.sensible = False
        self._news = asyncio.Event()
        stage.slack.on_change(lambda *_: self._news.set())

    async def misbehave(self, restart: Callable[[], Any]) -> None:
        """Press, several at once, with something failing now and then."""
        await self._ask("U_REQUESTER")
        for _ in range(ROUNDS):
            self._break_something()
            await asyncio.gather(*(self._press_something() for _ in range(self.random.choice((1, 1, 2, 3)))))
            if self.random.random() < 0.06:
                await restart()
            await self._moved()

    async def _ask(self, who: str) -> None:
        before = len(self.stage.slack.messages("C_OPS"))
        await self.stage.slack.person(who).command(KEY)
        self.cards += [message for message in self.stage.slack.messages("C_OPS")[before:] if not message.thread_ts]

    def _break_something(self) -> None:
        slack, aisix = self.stage.slack, self.stage.aisix
        slack.deliver_twice = self.random.random() < 0.3
        match self.random.choice(("", "", "", "slow", "slack", "unheard", "refused", "limited")):
            case "slow":
                slack.faults.rate_limit("chat.update")
            case "slack":
                slack.faults.drop("chat.postMessage", after_effect=False)
            case "unheard":
                aisix.faults.drop(self.random.choice(("PATCH", "POST", "DELETE")), "/", after_effect=True)
            case "refused":
                aisix.faults.fail(self.random.choice(("GET", "PATCH")), "/", status=500)
            case "limited":
                aisix.faults.rate_limit("*", "/", retry_after=0.1)

    async def _press_something(self) -> None:
        self.presses += 1
        if not self.cards or self.random.random() < 0.02:
            return await self._ask(self.random.choice(ASKERS))
        card = self.random.choice(self.cards)
        stale = self.random.random() < 0.2
        shown = [*card.buttons, *(("Cancel", "Delete old key", "Roll back") if stale else ())]
        gentle = [button for button in shown if button not in ("Cancel", "Roll back")]
        buttons = gentle if gentle and self.random.random() < 0.85 else shown
        if buttons and (buttons != ["Roll back"] or self.random.random() < 0.1):
            await self._click(card, self.random.choice(buttons), self.random.choice(EVERYBODY), stale=stale)
        return None

    async def _click(self, card: Message, button: str, who: str, *, stale: bool = False) -> None:
        person = self.stage.slack.person(who)
        try:
            await person.click(button, card, stale=stale)
        except LookupError:  # it was never there, or is gone in this moment
            return
        if person.modal:
            await self._fill(person)

    async def _fill(self, person: Any) -> None:
        try:
            wrong = not self.sensible and self.random.random() < 0.25
            await person.submit({"secret": WRONG_SECRET if wrong else NEW_SECRET})
            if person.modal:
                await person.close_modal()
        except (LookupError, ValueError):  # another form, or sent by the other hand
            if person.modal:
                await person.close_modal()

    async def _moved(self) -> None:
        """Wait until something has moved, or for as long as a person takes to look."""
        self._news.clear()
        try:
            await asyncio.wait_for(self._news.wait(), self.random.choice((0.05, 0.3, 1)))
        except TimeoutError:
            return

    async def finish(self) -> None:
        """Do what each card asks for, until every rotation is over."""
        self.sensible = True
        self.stage.slack.faults.clear()
        self.stage.slack.deliver_twice = False
        self.stage.aisix.faults.clear()
        for _ in range(PROGRESS):
            if not (waiting := [r for r in await records(self.stage) if not r.is_over]):
                return
            for rotation in reversed(waiting):
                await self._help(rotation)
            await self._moved()
        raise AssertionError(f"not over: {[(r.id, r.state, r.stop or r.note) for r in waiting]}")

    async def _help(self, rotation: Rotation) -> None:
        assert self.stage.built is not None
        shown = await self.stage.built.store.messages(rotation.id)
        card = next((c for c in self.cards if c.ts == shown.get("card")), None)
        if card is None:
            self.cards = [m for m in self.stage.slack.messages("C_OPS") if not m.thread_ts]
        elif "Enter new secret" in card.buttons:
            first = self.random.random() < 0.7
            await self._click(card, "Enter new secret" if first else "Cancel", rotation.requested_by)
        elif "Delete old key" in card.buttons:
            await self._click(card, "Delete old key", "U_APPROVER")
        elif rotation.state is State.BLOCKED and card.buttons:
            await self._click(card, self.random.choice(card.buttons), rotation.requested_by)


async def records(stage: Stage) -> list[Rotation]:
    assert stage.built is not None
    return await stage.built.store.recent(100)


async def schedule(redis_url: str, seed: int) -> int:
    """Run a seed's schedule; return how much was pressed."""
    async with stage_of(redis_url) as stage, AsyncExitStack() as stack:
        stage.slack.add_user("U_SECOND", "second")
        stage.slack.channels["C_OPS"].members.add("U_SECOND")
        stage.slack.groups["S_APPROVERS"].members += ["U_SECOND", "U_REQUESTER"]
        stage.overrides |= {"PATIENCE": "2", "SETTLE": "0.1", "LEASE": "1"}
        await stack.enter_async_context(stage.bot())

        async def restart() -> None:
            await stack.aclose()
            await stack.enter_async_context(stage.bot())

        crowd = Crowd(stage, seed)
        await crowd.misbehave(restart)
        await crowd.finish()
        await is_in_order(stage)
        return crowd.presses


async def is_in_order(stage: Stage) -> None:
    """See that nothing is lost, nothing left over, and nothing done that nobody may."""
    assert stage.built is not None
    ended = await records(stage)
    assert {m.provider_key_id for m in stage.aisix.models.values() if m.provider_key_id} <= set(
        stage.aisix.provider_keys
    )
    assert not [m for m in stage.aisix.models.values() if m.display_name.startswith("keyturn-")]
    completed = [r for r in ended if r.state is State.COMPLETED]
    keys = {id_: key.display_name for id_, key in stage.aisix.provider_keys.items() if key.display_name != "Other key"}
    assert len(completed) <= 1
    wanted = {r.replacement_id for r in completed} or {ended[0].plan.old_key.id}
    assert set(keys) == wanted, (keys, [(r.id, r.state, r.names, r.made, r.note, r.left_alone) for r in ended])
    for rotation in completed:
        assert rotation.approvals
        assert not {a.by for a in rotation.approvals} & {rotation.requested_by, "U_MEMBER", "U_GUEST", "U_STRANGER"}
    entries = audit.verified([line async for line in stage.built.store.trail()])
    audit.check_records(await stage.built.store.versions(audit.last_versions(entries)), entries, entries)


pytestmark = [  # a bot that is ended in the middle of its work leaves its sockets to the system
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.rest)])
async def test_a_crowd_in_slack_breaks_nothing_and_every_rotation_ends(seed, redis_url, tried):
    tried("presses in Slack", seeds=1, presses=await schedule(redis_url, seed))


@pytest.mark.soak
@pytest.mark.timeout(0)
async def test_a_crowd_in_slack_for_a_long_time(redis_url, tried):
    end = time.monotonic() + float(os.environ.get("SOAK_SECONDS", "60"))
    for seed in count(1000):
        if time.monotonic() > end:
            break
        tried("presses in Slack", seeds=1, presses=await schedule(redis_url, seed))
