"""False greens that real gateways made possible: each of these ended in a delete, and callers failed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bot.rotation.evidence import Verdict
from bot.rotation.states import State
from sandbox.aisix import Switches
from sandbox.caller import Caller, Callers, question
from sandbox.slack import Message
from tests.support.stage import KEY, NEW_SECRET, OLD_SECRET, Stage, stage_of

pytestmark = pytest.mark.rest

WAITING = "waiting for an approver"
QUICK = {"PROJECTION_TIMEOUT": "2", "VERIFY_TIMEOUT": "2"}


class RouteCaller(Caller):
    """An application that uses a passthrough route; its alias is the route's name."""

    def asks(self, text: str) -> tuple[str, dict[str, Any]]:
        return f"/passthrough/{self.alias}", question("gpt-4o", "chat", text)[1]


class CachedCaller(Caller):
    """An application that always asks the same."""

    def asks(self, _: str) -> tuple[str, dict[str, Any]]:
        return question(self.alias, "chat", "the same")


@asynccontextmanager
async def set_up(redis_url: str, *, overrides: dict[str, str] | None = None, **switches: Any) -> AsyncIterator[Stage]:
    async with stage_of(redis_url, switches=Switches(**switches)) as stage:
        stage.overrides |= {**QUICK, **(overrides or {})}
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


def old_is_there(stage: Stage) -> bool:
    return any(key.display_name == KEY for key in stage.aisix.provider_keys.values())


async def test_a_passthrough_route_that_is_on_no_list_and_uses_the_old_key_is_heard_and_named(redis_url: str) -> None:
    async with set_up(redis_url, has_passthrough_routes=False) as stage:
        stage.aisix.add_passthrough("production", "tunnel", key=stage.key_named(KEY))
        one = caller(stage, "tunnel", RouteCaller)
        async with Callers([one]):
            card = await run_into(stage, WAITING, "stopped:")

        assert one.ok > 0
        assert "stopped:" in card.plain
        assert "a passthrough route" in card.plain
        assert old_is_there(stage)


async def test_a_model_that_a_replica_serves_with_a_third_key_is_never_proved(redis_url: str) -> None:
    async with set_up(redis_url) as stage:
        other = stage.key_named("Other key")
        model = next(m for m in stage.aisix.models.values() if m.display_name == "support-embed")
        stage.aisix.replicas("production")[1].astray = {model.id: other.id}

        card = await run_into(stage, WAITING, "stopped:")

        assert "a key that is neither the old nor the new one" in card.plain
        assert old_is_there(stage)


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


async def test_a_replica_that_was_added_since_the_proof_is_met_at_the_last_look(redis_url: str) -> None:
    async with set_up(redis_url) as stage:
        card = await stage.ask()
        await stage.press("Enter new secret", card)
        late = await stage.aisix.add_replica("production", is_cut_off=True)
        late.down = True
        await stage.give(card)
        await stage.says(card, WAITING)
        late.down = False  # it comes up with the configuration of before the change, and nobody has listed it

        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.says(card, "stopped: a replica is not in the settings")

        assert "is not synced" in card.plain or "test request" in card.plain
        assert old_is_there(stage)


@pytest.mark.parametrize("balancing", ["requests", "chance", "cookies"])
@pytest.mark.parametrize("stuck", [0, 1])
async def test_without_status_addresses_a_replica_that_is_stuck_is_met_however_long_it_is_asked(
    redis_url: str, balancing: str, stuck: int
) -> None:
    async with set_up(redis_url, status_urls=False, balancing=balancing) as stage:
        stage.aisix.faults.before(
            "PATCH", "/models/", lambda: setattr(stage.aisix.replicas("production")[stuck], "lag", None)
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


async def test_the_watch_tells_of_a_route_that_was_left_on_the_deleted_key(redis_url: str) -> None:
    async with set_up(redis_url, overrides={"WATCH": "60"}, has_passthrough_routes=False) as stage:
        stage.aisix.add_passthrough("production", "tunnel", key=stage.key_named(KEY))
        card = await run_into(stage, WAITING)
        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.says(card, "old key deleted")
        one = caller(stage, "tunnel", RouteCaller)
        async with Callers([one]):
            await stage.thread_says(card, "because their key is gone")

        assert "a passthrough route" in stage.thread(card)
        assert OLD_SECRET not in stage.thread(card)
        assert NEW_SECRET not in stage.thread(card)
