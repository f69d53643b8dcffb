"""Green lights that prove nothing, as people see them; every trap is in tests/bot/test_traps.py, without sockets.

The environment with the trap is production, with two replicas; its models are `chat-large` and `support-embed`.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from bot.rotation.evidence import Verdict
from bot.rotation.stops import StopKind
from sandbox.aisix import Switches
from sandbox.caller import Caller, Callers
from sandbox.slack import Message
from tests.support.stage import KEY, Stage, stage_of


@asynccontextmanager
async def trap(redis_url: str, *, overrides: dict[str, str] | None = None, **switches: Any) -> AsyncIterator[Stage]:
    """Set the stage with *switches* thrown, and the bot on it."""
    async with stage_of(redis_url, switches=Switches(**switches)) as stage:
        stage.overrides |= {"PROJECTION_TIMEOUT": "1.5", "VERIFY_TIMEOUT": "1.5", **(overrides or {})}
        async with stage.bot():
            yield stage


async def run_into(stage: Stage, words: str) -> Message:
    """Rotate until the card says *words*."""
    card = await stage.ask()
    await stage.give(card)
    return await stage.says(card, words)


def nothing_is_deleted(stage: Stage, card: Message) -> bool:
    """Tell whether the old key is there, and not even offered for deletion."""
    return stage.key_named(KEY) is not None and "Delete old key" not in card.buttons


# --- replicas that do not have the change ---


async def test_g1_a_lagging_replica_serves_with_the_old_key(redis_url: str) -> None:
    async with trap(redis_url) as stage:
        card, one = await stage.ask(), stage.aisix.replicas("production")[1]
        stage.aisix.faults.before("PATCH", "/models/", lambda: setattr(one, "lag", 60))
        await stage.give(card)
        await stage.says(card, "stopped: the gateway has not taken the change")

        assert nothing_is_deleted(stage, card)
        assert "This says nothing against the new secret" in card.plain
        assert (await stage.record()).stop.kind is StopKind.PROJECTION


async def test_g1_a_balancer_that_would_keep_a_caller_at_one_replica_by_a_cookie_hides_no_other(redis_url: str) -> None:
    async with trap(redis_url, status_urls=False, balancing="cookies") as stage:
        card, one = await stage.ask(), stage.aisix.replicas("production")[0]
        stage.aisix.faults.before("PATCH", "/models/", lambda: setattr(one, "lag", 60))
        await stage.give(card)
        await stage.says(card, "stopped: the gateway has not taken the change")

        assert nothing_is_deleted(stage, card)


# --- gateways that say one thing and do another ---

VERTEX_OLD = json.dumps({"project": "p", "region": "eu", "access_token": "ya29.old"})
VERTEX_NEW = json.dumps({"project": "p", "region": "eu", "access_token": "ya29.new"})


async def test_g6_an_old_gateway_goes_on_with_a_token_of_the_old_secret(redis_url: str) -> None:
    async with trap(redis_url, token_cache_bug=True) as stage:
        key = stage.aisix.add_key("Vertex", provider="google-vertex", secret=VERTEX_OLD, environments=["production"])
        stage.aisix.add_model("production", "gemini", key=key, upstream="gemini-2.5")
        stage.aisix.upstream.accept(VERTEX_NEW)
        card = await stage.ask("Vertex")
        await stage.give(card, VERTEX_NEW)
        await stage.says(card, "stopped:")

        assert [found.current.verdict for found in (await stage.record()).findings.values()] == [Verdict.INVALID]
        assert "AISIX/0.4.2 may use a token of the old secret until" in card.plain
        assert "Delete old key" not in card.buttons


async def test_the_requests_of_callers_do_not_stand_in_for_those_of_a_replica_that_is_not_told(redis_url: str) -> None:
    async with trap(redis_url, status_urls_told=1) as stage:
        url, token = stage.aisix.gateway_url("production"), stage.aisix.app_caller_key("production")
        async with Callers([Caller(url, token, "chat-large", rate=60)]):
            card = await run_into(stage, "stopped: a replica is not in the settings")

        assert nothing_is_deleted(stage, card)


# --- status addresses and counters that are not what they seem ---


async def test_a_status_address_of_a_balancer_is_named_and_the_old_key_is_not_blamed(redis_url: str) -> None:
    proof = {"REQUIRE_PROOF": "true", "VERIFY_TIMEOUT": "2"}
    async with trap(redis_url, overrides=proof, status_addresses="shared") as stage:
        busy = stage.aisix.replicas("production")[0]
        chat, key = {"model": "chat-large", "messages": []}, stage.aisix.app_caller_key("production")
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as http:
            for _ in range(32):
                assert (await http.post(f"{busy.url}/v1/chat/completions", json=chat)).is_success

        card = await run_into(stage, "stopped:")

        assert "shows another replica at each look" in card.plain
        assert "with the old key" not in stage.thread(card) + card.plain
        assert nothing_is_deleted(stage, card)


# --- people in a hurry ---


async def test_roll_back_counts_however_fast_the_rotation_moves(stage: Stage) -> None:
    for number in range(40):
        stage.aisix.add_model("production", f"more-{number}", key=stage.key_named(KEY), upstream="gpt-4o")
    card = await stage.ask()
    await stage.give(card)

    await stage.press("Roll back", card)

    await stage.says(card, "rolled back")
    assert stage.key_named(KEY).id in stage.keys_in_use()
    assert stage.slack.person("U_REQUESTER").ephemerals == []
