"""What counters like those of real gateways show of callers, and what is met without them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bot.rotation.evidence import Verdict
from bot.rotation.states import State
from sandbox.aisix import Switches
from sandbox.caller import Caller, Callers, question
from sandbox.slack import Message
from tests.support.stage import Stage, stage_of

pytestmark = pytest.mark.rest

WAITING = "waiting for an approver"
QUICK = {"PROJECTION_TIMEOUT": "2", "VERIFY_TIMEOUT": "2"}


class CachedCaller(Caller):
    """An application that always asks the same."""

    def asks(self, _: str) -> tuple[str, dict[str, Any]]:
        return question(self.alias, "chat", "the same")


@asynccontextmanager
async def set_up(redis_url: str, **switches: Any) -> AsyncIterator[Stage]:
    async with stage_of(redis_url, switches=Switches(**switches)) as stage:
        stage.overrides |= QUICK
        async with stage.bot():
            yield stage


async def run_into(stage: Stage, *words: str) -> Message:
    """Rotate until the card says one of *words*."""
    card = await stage.ask()
    await stage.give(card)
    await stage.slack.until(lambda: any(word in card.plain for word in words), timeout=60, what=f"one of {words}")
    return card


def caller(stage: Stage, alias: str, kind: type[Caller] = Caller, rate: float = 30) -> Caller:
    return kind(stage.aisix.gateway_url("production"), stage.aisix.app_caller_key("production"), alias, rate)


async def test_callers_that_a_rate_limit_turned_away_are_no_failures_of_the_new_key(redis_url: str) -> None:
    async with set_up(redis_url, limit_window=0.2) as stage:
        limited = next(key for key in stage.aisix.environment("production").callers.values() if key.name == "app")
        limited.limit = 2
        one = caller(stage, "chat-large", rate=60)
        async with Callers([one]):
            card = await run_into(stage, WAITING)

        tally = (await stage.record()).tally
        assert one.failed
        assert tally.limited
        assert tally.failed == 0
        assert "turned away by rate limits" in card.plain


async def test_answers_from_a_cache_are_no_answers_of_the_new_key(redis_url: str) -> None:
    async with set_up(redis_url) as stage:
        stage.aisix.environment("production").cache = True
        one = caller(stage, "chat-large", CachedCaller)
        async with Callers([one]):
            await run_into(stage, WAITING)

        assert one.ok > 10
        assert (await stage.record()).tally.answered < 10


@pytest.mark.parametrize("balancing", ["requests", "chance", "cookies"])
async def test_without_status_addresses_a_replica_that_is_stuck_is_met_however_long_it_is_asked(
    redis_url: str, balancing: str
) -> None:
    async with set_up(redis_url, status_urls=False, balancing=balancing) as stage:
        stage.aisix.faults.before(
            "PATCH", "/models/", lambda: setattr(stage.aisix.replicas("production")[1], "lag", None)
        )
        card = await run_into(stage, WAITING, "stopped:")
        for _ in range(2):
            assert "Delete old key" not in card.buttons
            await stage.press("Try again", card)
            await stage.recorded(lambda r: r.state is State.RUNNING)
            await stage.recorded(lambda r: r.state is not State.RUNNING)

        record = await stage.record()
        assert record.state is State.BLOCKED
        assert record.tests[stage.aisix.environment("production").id] > 2, "each try is another test, and a longer one"
        assert Verdict.LIKELY not in {f.verdict.verdict for f in record.findings.values() if f.verdict}


async def test_the_requests_of_callers_are_counted_apart_from_the_bots_own(redis_url: str) -> None:
    async with set_up(redis_url, tell_replicas=True) as stage:
        one = caller(stage, "chat-large", rate=40)
        async with Callers([one]):
            card = await run_into(stage, WAITING)
        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.says(card, "old key deleted")  # before that, everything is counted once more

        record = await stage.record()
        replaced = [call for call in stage.aisix.gateway_calls if call.key_id == record.replacement_id]
        ours, callers = ([call for call in replaced if call.caller == who] for who in ("probe", "app"))
        assert ours
        assert callers
        assert (record.tally.answered, record.tally.failed) == (len(callers), 0)
        assert {v.verdict.verdict for v in record.findings.values()} == {Verdict.PROVED}
