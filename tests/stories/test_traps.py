"""Green lights that prove nothing, as people see them; every trap is in tests/bot/test_traps.py, without sockets."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bot.rotation.evidence import Verdict
from bot.rotation.stops import StopKind
from sandbox.aisix import Switches
from tests.support.stage import KEY, Stage, stage_of

VERTEX_OLD = json.dumps({"project": "p", "region": "eu", "service_account_json": {}})
VERTEX_NEW = json.dumps({"project": "p", "region": "eu", "access_token": "ya29.new"})


@asynccontextmanager
async def trap(redis_url: str, **switches: Any) -> AsyncIterator[Stage]:
    """Set the stage with *switches* thrown, and the bot on it."""
    async with stage_of(redis_url, switches=Switches(**switches)) as stage:
        stage.overrides |= {"PROJECTION_TIMEOUT": "1.5", "VERIFY_TIMEOUT": "1.5"}
        async with stage.bot():
            yield stage


async def test_g1_a_lagging_replica_serves_with_the_old_key(redis_url: str) -> None:
    async with trap(redis_url) as stage:
        card, one = await stage.ask(), stage.aisix.replicas("production")[1]
        stage.aisix.faults.before("PATCH", "/models/", lambda: setattr(one, "lag", 60))
        await stage.give(card)
        await stage.says(card, "stopped: the gateway has not taken the change")

        assert stage.key_named(KEY)
        assert "Delete old key" not in card.buttons
        assert "This says nothing against the new secret" in card.plain
        assert (await stage.record()).stop.kind is StopKind.PROJECTION


async def test_g6_an_old_gateway_goes_on_with_a_token_of_the_old_secret(redis_url: str) -> None:
    async with trap(redis_url, token_cache_bug=True) as stage:
        key = stage.aisix.add_key("Vertex", provider="google-vertex", secret=VERTEX_OLD, environments=["production"])
        stage.aisix.add_model("production", "gemini", key=key, upstream="gemini-2.5")
        stage.aisix.upstream.accept(VERTEX_NEW)
        upstream, at_the_move = stage.aisix.upstream, list[int]()
        stage.aisix.faults.before("PATCH", "/models/", lambda: at_the_move.append(len(upstream.calls)))
        card = await stage.ask("Vertex")
        await stage.give(card, VERTEX_NEW)
        await stage.says(card, "stopped:")

        assert VERTEX_OLD in {call.secret for call in upstream.calls[at_the_move[0] :]}, "the old token was used"
        assert [found.current.verdict for found in (await stage.record()).findings.values()] == [Verdict.INVALID]
        assert "AISIX/0.4.2 may use a token of the old secret until" in card.plain
        assert "Delete old key" not in card.buttons
