"""Redis freezes or is killed in the middle of anything: nothing destructive happens, and it goes on by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sandbox.slack import Message
from tests.support.process import answer_of, until_answer
from tests.support.stage import KEY, NEW_SECRET, Stage, free_port, stage_of, submitted
from tests.support.valkey import Valkey, valkey_in

SORRY = "Keyturn's store (Redis) does not answer, so nothing was changed. Try again in a minute."


class Away:
    """A stage, and the Redis under it that goes away and comes back."""

    def __init__(self, stage: Stage, redis: Valkey, how: str, seconds: float) -> None:
        self.stage, self.redis, self.how, self.seconds = stage, redis, how, seconds
        self.gone = asyncio.Event()

    def go(self) -> None:
        """Have Redis go away."""
        (self.redis.freeze if self.how == "frozen" else self.redis.kill)()
        self.gone.set()

    async def comes_back(self) -> None:
        """Wait until it has gone, and have it come back once it has been away for long enough."""
        await asyncio.wait_for(self.gone.wait(), 60)
        await asyncio.sleep(self.seconds)
        if self.how == "frozen":
            self.redis.thaw()
        else:
            await self.redis.restart()
        self.gone.clear()

    @asynccontextmanager
    async def for_a_while(self) -> AsyncIterator[None]:
        """Have it be away for the whole block, and for a while after that."""
        self.go()
        yield
        await self.comes_back()

    def calls(self, method: str) -> int:
        return sum(c.method == method and "/provider_keys" in c.path for c in self.stage.aisix.calls)

    async def waits_for_an_approver(self, card: Message) -> None:
        await self.stage.says(card, "waiting for an approver")
        assert self.stage.built
        while await self.stage.built.store.unshown():  # noqa: ASYNC110 - Redis has no event for it
            await asyncio.sleep(0.05)  # between a post and its being remembered is the one moment that may post twice


SHORT, LONG = 1.0, 30.0
"""Seconds; both are longer than one call to Redis may take."""


@pytest.fixture(
    params=[
        *(pytest.param((how, SHORT), id=how) for how in ("frozen", "killed")),
        *(
            pytest.param((how, LONG), id=f"{how} for long", marks=[pytest.mark.soak, pytest.mark.timeout(600)])
            for how in ("frozen", "killed")
        ),
    ]
)
async def away(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Away]:
    async with valkey_in(tmp_path) as redis, stage_of(redis.url) as stage:
        stage.overrides |= {"REDIS_TIMEOUT": "0.5", "PATIENCE": "120", "PORT": str(free_port())}
        async with stage.bot():
            yield Away(stage, redis, *request.param)


async def test_whenever_redis_goes_away_people_are_told_nothing_is_lost_and_work_is_done_once(away: Away) -> None:
    stage, person = away.stage, away.stage.slack.person("U_REQUESTER")
    card = await stage.ask()
    await stage.press("Enter new secret", card)
    await stage.slack.until(lambda: person.modal, what="the form")
    async with away.for_a_while():
        refused = await person.submit({"secret": NEW_SECRET})
    assert SORRY in refused.errors["secret"]
    assert away.calls("POST") == 0

    stage.aisix.faults.before("PATCH", "/models/", away.go)
    assert (await submitted(person, {"secret": NEW_SECRET})).errors == {}
    await away.comes_back()
    await away.waits_for_an_approver(card)

    await a_click_counts_for_nothing(away, card)

    stage.aisix.faults.before("DELETE", "/provider_keys/", away.go)
    await stage.press("Delete old key", card, who="U_APPROVER")
    await away.comes_back()
    await stage.slack.until(lambda: "Delete old key" in card.buttons or "Receipt" in stage.thread(card))
    if "Delete old key" in card.buttons:  # whether the first click has counted, nobody can tell
        await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.thread_says(card, "Receipt")
    await stage.says(card, "old key deleted")
    assert (away.calls("POST"), away.calls("DELETE")) == (1, 1)
    assert len(stage.aisix.models) == 5, "no throw-away model is left"
    said = stage.thread(card)
    for words in ("Approval wanted", "Receipt"):
        assert said.count(words) == 1, (words, said)


async def a_click_counts_for_nothing(away: Away, card: Message) -> None:
    stage, url = away.stage, f"http://127.0.0.1:{away.stage.overrides['PORT']}"
    before = await stage.record()
    async with away.for_a_while():
        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.slack.person("U_REQUESTER").command("Other key")
        assert SORRY in await until_answer(f"{url}/readyz", 503)
        assert (await answer_of(f"{url}/healthz"))[0] == 200
    for who in ("U_APPROVER", "U_REQUESTER"):
        assert SORRY in await stage.told(who, "store (Redis)")
    assert await stage.record() == before, "it survived, and the click did nothing"
    assert stage.key_named(KEY)
