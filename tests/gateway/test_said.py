"""What a card and the check say of what real gateways count and show."""

from pathlib import Path

from bot.evidence import Verdict
from sandbox.caller import Callers
from tests.gateway.staging import (
    application,
    applications,
    in_sync,
    model_of,
    real_stage,
    rotated,
    verdicts,
)


async def test_callers_that_the_gateway_turns_away_are_no_failures_of_a_key(redis_url: str, tmp_path: Path):
    async with real_stage(redis_url, tmp_path) as stage:
        token = await stage.aisix.add_caller("production", "limited", limit=60)
        await in_sync(stage.aisix)
        limited = [application(stage, model_of(stage, alias), 10, token) for alias in ("chat-large", "chat-any")]
        others = applications(stage)
        async with stage.bot(), others, Callers(limited) as callers:
            await stage.aisix.until(lambda: callers.failed > 20, 60, "callers to be turned away")
            card, rotation = await rotated(stage)
            turned_away = callers.failures_by_type()

            assert verdicts(rotation) == {Verdict.PROVED}
            assert rotation.tally
            assert rotation.tally.failed == 0
            assert {status for status, _ in turned_away} == {429}
            assert others.failures_by_type() == {}
            await stage.says(card, "turned away")
