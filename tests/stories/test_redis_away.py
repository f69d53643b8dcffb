"""Redis freezes or is killed in the middle of anything: nothing destructive happens, and it goes on by itself."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.rotation.states import State
from sandbox.slack import Message
from tests.support.stage import KEY, NEW_SECRET, Stage, stage_of
from tests.support.valkey import Valkey, valkey_in


class Away:
    """A stage, and the Redis under it that goes away and comes back."""

    def __init__(self, stage: Stage, redis: Valkey, how: str, seconds: float) -> None:
        self.stage, self.redis, self.how, self.seconds = stage, redis, how, seconds
        self.old = stage.key_named(KEY)
        self.gone = asyncio.Event()

    def go(self) -> None:
        """Have Redis go away."""
        (self.redis.freeze if self.how == "frozen" else self.redis.kill)()
        self.gone.set()

    async def come_back(self) -> None:
        """Have it come back, once it has been away for long enough."""
        await asyncio.sleep(self.seconds)
        if self.how == "frozen":
            self.redis.thaw()
        else:
            await self.redis.restart()

    def calls(self, method: str, part: str) -> list[object]:
        return [call for call in self.stage.aisix.calls if call.method == method and part in call.path]

    async def all_is_shown(self) -> None:
        """Wait until what people see is remembered: between a post and that lies the one moment that may post twice."""
        assert self.stage.built
        while await self.stage.built.store.unshown():  # noqa: ASYNC110 - Redis has no event for it
            await asyncio.sleep(0.05)

    def ended_well(self, card: Message) -> None:
        """Every effect once, and every milestone."""
        said = self.stage.thread(card)
        for words in (
            "created, with the settings",
            "3 of 3 models moved",
            "Approval wanted",
            "deleted, approved",
            "Receipt",
        ):
            assert said.count(words) == 1, (words, said)
        assert len(self.calls("POST", "/provider_keys")) == 1
        assert self.old.id not in self.stage.aisix.provider_keys
        assert len(self.stage.aisix.models) == 5, "no throw-away model is left"


SHORT, LONG = 1.0, 30.0
"""Seconds; both are longer than one call to Redis may take."""

HOW = [
    *(pytest.param((how, SHORT), id=how) for how in ("frozen", "killed")),
    *(
        pytest.param((how, LONG), id=f"{how} for {LONG:.0f} s", marks=[pytest.mark.soak, pytest.mark.timeout(300)])
        for how in ("frozen", "killed")
    ),
]


@pytest.fixture(params=HOW)
async def away(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Away]:
    async with valkey_in(tmp_path) as redis, stage_of(redis.url) as stage:
        stage.overrides |= {"REDIS_TIMEOUT": "0.5", "PATIENCE": "120"}
        async with stage.bot():
            yield Away(stage, redis, *request.param)


async def approved(away: Away, card: Message) -> None:
    """Press until it has counted: a click while Redis was away may or may not have."""
    stage = away.stage
    await stage.slack.until(
        lambda: "Delete old key" in card.buttons or "Receipt" in stage.thread(card), timeout=60, what=card.plain
    )
    if "Delete old key" in card.buttons:
        await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.thread_says(card, "Receipt", timeout=60)
    await stage.says(card, "old key deleted", timeout=60)


async def test_during_the_cut_over_it_goes_on_by_itself(away: Away) -> None:
    card = await away.stage.ask()
    away.stage.aisix.faults.before("PATCH", "/models/", away.go)
    await away.stage.give(card)
    await asyncio.wait_for(away.gone.wait(), 60)
    await away.come_back()

    await away.stage.says(card, "waiting for an approver", timeout=60)
    assert away.old.id in away.stage.aisix.provider_keys
    await approved(away, card)
    away.ended_well(card)
    assert await away.stage.state() is State.COMPLETED


async def test_while_an_approver_clicks_nothing_is_deleted_and_they_are_told(away: Away) -> None:
    stage = away.stage
    card = await stage.ask()
    await stage.give(card)
    await stage.says(card, "waiting for an approver", timeout=60)
    await away.all_is_shown()
    before = await stage.record()
    away.go()
    back = asyncio.create_task(away.come_back())
    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.slack.person("U_REQUESTER").command("Other key")

    assert "so nothing was changed. Try again in a minute." in await stage.told("U_APPROVER", "store (Redis)")
    assert "so nothing was changed. Try again in a minute." in await stage.told("U_REQUESTER", "store (Redis)")
    await back
    assert await stage.record() == before, "it survived, and the click did nothing"
    assert away.calls("DELETE", "/provider_keys/") == []
    await approved(away, card)
    away.ended_well(card)


async def test_during_the_delete_it_is_deleted_once_and_told_once(away: Away) -> None:
    card = await away.stage.ask()
    await away.stage.give(card)
    await away.stage.says(card, "waiting for an approver", timeout=60)
    await away.all_is_shown()
    away.stage.aisix.faults.before("DELETE", "/provider_keys/", away.go)
    await away.stage.press("Delete old key", card, who="U_APPROVER")
    await asyncio.wait_for(away.gone.wait(), 60)
    await away.come_back()

    await approved(away, card)
    away.ended_well(card)
    assert len(away.calls("DELETE", "/provider_keys/")) == 1


async def test_while_the_secret_is_given_it_goes_nowhere_and_the_form_says_why(away: Away) -> None:
    stage, person = away.stage, away.stage.slack.person("U_REQUESTER")
    card = await stage.ask()
    await stage.press("Enter new secret", card)
    await stage.slack.until(lambda: person.modal, timeout=60, what="the form")
    away.go()
    back = asyncio.create_task(away.come_back())
    result = await person.submit({"secret": NEW_SECRET})

    assert "store (Redis) does not answer, so nothing was changed." in result.errors["secret"]
    assert away.calls("POST", "/provider_keys") == []
    await back
    assert (await person.submit({"secret": NEW_SECRET})).errors == {}
    await approved(away, card)
    away.ended_well(card)
