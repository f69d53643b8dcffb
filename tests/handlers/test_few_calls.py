"""A good rotation of any size takes few calls to Slack. All is in virtual time, so no machine changes the counts."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from bot.engine import due_at
from bot.rotation.people import People
from bot.rotation.record import Rotation
from bot.rotation.states import State
from handlers.people import SlackDirectory
from tests.bot.values import rotation
from tests.handlers.test_replies import Thread
from tests.support import paced
from tests.support.in_memory import RULES, Clock, Machine, Tenancy

CLICKS = 8
"""Calls that the command, the form, the secret and the approval take: 5 for people, 2 for user groups, 1 for a form."""

SIZES = [(3, 4, 6, 27), (12, 4, 6, 27), pytest.param(500, 5, 8, 30, marks=pytest.mark.rest)]


class Slack(Thread):
    """Counts what it is asked, and shows a rotation again when the announcer says so, as a job does."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock, self.calls, self.again = clock, Counter[str](), asyncio.create_task(asyncio.sleep(0))

    def now(self) -> datetime:
        return self.clock.now()

    async def chat_postMessage(self, **message: Any) -> dict[str, str]:  # noqa: N802 - Slack's name
        self.calls["posts"] += 1
        return await super().chat_postMessage(**message)

    async def chat_update(self, **message: Any) -> None:
        self.calls["edits"] += 1
        await super().chat_update(**message)

    async def files_upload_v2(self, **_: Any) -> None:
        self.calls["for the file"] += 3

    async def users_info(self, user: str) -> dict[str, Any]:
        self.calls["lookups"] += 1
        return {"user": {"id": user, "team_id": "T1"}}

    async def usergroups_users_list(self, **_: str) -> dict[str, Any]:
        self.calls["lookups"] += 1
        return {"users": ["U_APPROVER"]}

    async def saved(self, record: Rotation, after: float = 0) -> None:
        self.again.cancel()
        self.again = asyncio.create_task(self._shown(record, after))
        if not after:
            await self.again

    async def _shown(self, record: Rotation, after: float) -> None:
        await asyncio.sleep(after)
        if wait := await self.announcer.show(record):
            self.again = asyncio.create_task(self._shown(record, wait.total_seconds()))


async def good_rotation(tenancy: Tenancy, models: int) -> Counter[str]:
    """Play it from the card to the end, with an approver who presses at once; return the calls but those of clicks."""
    paced.furnish(tenancy, models, ("production", "staging"))
    machine = await tenancy.machine(**paced.PACE)
    slack = Slack(tenancy.clock)
    people = People(SlackDirectory(slack, "T1"), RULES)  # type: ignore[arg-type] - a stand-in
    machine = Machine(replace(machine.world, people=people), tenancy.clock, 0, {})
    begun = await tenancy.begun(machine)
    await slack.saved(rotation(State.AWAITING_SECRET, plan=begun.plan, requested_at=begun.requested_at))
    record = begun.but(version=1)
    await slack.saved(record)
    while not record.is_over:
        before, now = record, machine.world.now()
        record = await machine.notch(record)
        if record.state is State.AWAITING_APPROVAL:
            await slack.saved(record)
            record = tenancy.approved(record)
        if record.version > before.version:
            await slack.saved(record)
        elif due := due_at(record, machine.world.limits, now):
            await asyncio.sleep(max(0.0, (due - now).total_seconds()))
    while not slack.again.done():
        await slack.again
    assert record.state is State.COMPLETED
    return slack.calls


@pytest.mark.whole
@pytest.mark.parametrize(("models", "posts", "edits", "all_calls"), SIZES)
def test_a_good_rotation_takes_few_messages_and_edits_and_at_most_30_calls(models, posts, edits, all_calls):
    calls = paced.played(lambda tenancy, _: good_rotation(tenancy, models), seed=models)

    assert calls["posts"] <= posts
    assert calls["edits"] <= edits
    assert CLICKS + calls.total() <= all_calls
