"""Green lights that prove nothing, as people see them; every trap is in tests/bot/test_traps.py, without sockets.

The environment with the trap is production, with two replicas; its models are `chat-large` and `support-embed`.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

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


async def verdicts(stage: Stage) -> dict[tuple[str, str], Verdict]:
    """Return the verdict on each model that has one, by alias and environment."""
    rotation = await stage.record()
    current = {m: rotation.finding(m).current for m in rotation.plan.models}
    return {(m.alias, m.environment_name): seen.verdict for m, seen in current.items() if seen}


def nothing_is_deleted(stage: Stage, card: Message) -> bool:
    """Tell whether the old key is there, and not even offered for deletion."""
    return stage.key_named(KEY) is not None and "Delete old key" not in card.buttons


def straggler(stage: Stage) -> Any:
    return stage.aisix.replicas("production")[1]


PATIENT = {"PROJECTION_TIMEOUT": "20", "VERIFY_TIMEOUT": "20"}
"""Where it comes to a good end: on a busy machine, or with callers in between, a replica's turn may come late."""

PASSED = {Verdict.PROVED, Verdict.LIKELY}
CHAT, EMBED = ("chat-large", "production"), ("support-embed", "production")


# --- replicas that do not have the change ---


async def test_g1_a_lagging_replica_serves_with_the_old_key(redis_url: str) -> None:
    async with trap(redis_url) as stage:
        card = await stage.ask()
        stage.aisix.faults.before("PATCH", "/models/", lambda: setattr(straggler(stage), "lag", 60))
        await stage.give(card)
        await stage.says(card, "stopped: the gateway has not taken the change")

        assert nothing_is_deleted(stage, card)
        assert "This says nothing against the new secret" in card.plain
        assert (await stage.record()).stop.kind is StopKind.PROJECTION
        assert not PASSED & {v for m, v in (await verdicts(stage)).items() if m in (CHAT, EMBED)}


@pytest.mark.parametrize("behind", [0, 1])
@pytest.mark.parametrize("balancing", ["connections", "cookies"])
async def test_g1_a_balancer_that_would_keep_a_caller_at_one_replica_hides_no_other(
    redis_url: str, balancing: str, behind: int
) -> None:
    async with trap(redis_url, status_urls=False, balancing=balancing) as stage:
        card = await stage.ask()
        one = stage.aisix.replicas("production")[behind]
        stage.aisix.faults.before("PATCH", "/models/", lambda: setattr(one, "lag", 60))
        await stage.give(card)
        await stage.says(card, "stopped: the gateway has not taken the change")

        assert nothing_is_deleted(stage, card)


async def test_g1_a_replica_that_catches_up_is_waited_for(redis_url: str) -> None:
    async with trap(redis_url, overrides={"PROJECTION_TIMEOUT": "10"}) as stage:
        straggler(stage).lag = 1.0

        await run_into(stage, "waiting for an approver")

        assert set((await verdicts(stage)).values()) == {Verdict.PROVED}


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

        assert (await verdicts(stage))["gemini", "production"] is Verdict.INVALID
        assert "AISIX/0.4.2 may use a token of the old secret until" in card.plain
        assert "Delete old key" not in card.buttons


async def test_a_status_address_that_does_not_answer_is_a_finding_and_no_error(redis_url: str) -> None:
    async with stage_of(redis_url) as stage:
        gateways = json.loads(stage.aisix.settings()["AISIX_GATEWAYS"])
        for port, gateway in enumerate(gateways.values(), start=2):
            gateway["status_urls"] = [f"http://127.0.0.1:{port}{number}" for number in range(2)]
        stage.overrides["AISIX_GATEWAYS"] = json.dumps(gateways)
        async with stage.bot():
            await run_into(stage, "waiting for an approver")

            rotation = await stage.record()
            reasons = [rotation.finding(m).verdict.reason for m in rotation.plan.models]
            assert set((await verdicts(stage)).values()) == {Verdict.LIKELY}
            assert all("does not answer" in reason for reason in reasons)


NOT_IN_SETTINGS = "stopped: a replica is not in the settings"


async def test_the_requests_of_callers_do_not_stand_in_for_those_of_a_replica_that_is_not_told(redis_url: str) -> None:
    async with trap(redis_url, status_urls_told=1) as stage:
        url, token = stage.aisix.gateway_url("production"), stage.aisix.app_caller_key("production")
        async with Callers([Caller(url, token, "chat-large", rate=60)]):
            card = await run_into(stage, NOT_IN_SETTINGS)

        assert nothing_is_deleted(stage, card)


async def test_a_replica_that_the_settings_count_and_do_not_list_is_not_proved_by_the_others(redis_url: str) -> None:
    async with trap(redis_url, status_urls_told=1, tell_replicas=True, model_create=False) as stage:
        url, token = stage.aisix.gateway_url("production"), stage.aisix.app_caller_key("production")
        chat, embed = Caller(url, token, "chat-large", 60), Caller(url, token, "support-embed", 60, "embeddings")
        async with Callers([chat, embed]):
            card = await run_into(stage, "stopped: the new secret is not proved")

        assert set((await verdicts(stage)).values()) == {Verdict.INCONCLUSIVE}
        assert nothing_is_deleted(stage, card)


async def test_without_throw_away_models_our_test_requests_cannot_be_told_from_callers_so_nothing_is_proved(
    redis_url: str,
) -> None:
    async with trap(redis_url, overrides=PATIENT, tell_replicas=True, model_create=False) as stage:
        url, token = stage.aisix.gateway_url("production"), stage.aisix.app_caller_key("production")
        async with Callers([Caller(url, token, "support-embed", 60, "embeddings")]):
            await run_into(stage, "waiting for an approver")

        rotation = await stage.record()
        assert (await verdicts(stage))[EMBED] is Verdict.LIKELY
        assert all("does not tell our test requests" in f.verdict.reason for f in rotation.findings.values())


# --- between the approver's look and the click ---


async def waiting(stage: Stage) -> Message:
    return await run_into(stage, "waiting for an approver")


async def test_an_alias_that_reaches_the_models_since_voids_the_approval_and_the_next_one_counts(stage: Stage) -> None:
    card = await waiting(stage)
    production = stage.aisix.environment("production").id
    chat = next(
        m for m in stage.aisix.models.values() if m.display_name == "chat-large" and m.environment_id == production
    )
    stage.aisix.add_model("production", "chat-new", kind="routing", targets=[chat])
    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.thread_says(card, "chat-new")
    assert stage.key_named(KEY)

    await stage.press("Delete old key", card, who="U_APPROVER")

    await stage.says(card, "old key deleted")


async def test_evidence_that_grows_old_while_nobody_approves_is_gathered_anew_by_itself(bare_stage: Stage) -> None:
    bare_stage.overrides["EVIDENCE_MAX_AGE"] = "2"
    async with bare_stage.bot():
        card = await waiting(bare_stage)
        first = (await bare_stage.record()).verified_at

        await bare_stage.slack.until(
            lambda: bare_stage.thread(card).count("Approval wanted") == 2, timeout=60, what="it"
        )

        assert (await bare_stage.record()).verified_at > first


# --- status addresses and counters that are not what they seem ---


@pytest.mark.parametrize("addresses", ["shared", "foreign", "nowhere"])
async def test_metrics_behind_another_address_prove_nothing(redis_url: str, addresses: str) -> None:
    async with trap(redis_url, overrides={"REQUIRE_PROOF": "true"}, status_addresses=addresses) as stage:
        card = await run_into(stage, "stopped:")

        found = await verdicts(stage)
        assert Verdict.PROVED not in {found.get(CHAT), found.get(EMBED)}
        assert nothing_is_deleted(stage, card)


async def test_metrics_of_another_environment_do_not_hide_a_replica_on_the_old_key(redis_url: str) -> None:
    async with trap(redis_url, status_addresses="foreign", model_create=False) as stage:
        model = next(m for m in stage.aisix.models.values() if m.display_name == "support-embed")
        straggler(stage).reject_rows = {model.id}

        card = await run_into(stage, "stopped:")

        assert not {Verdict.PROVED, Verdict.LIKELY} & {(await verdicts(stage)).get(EMBED)}
        assert nothing_is_deleted(stage, card)


async def test_a_status_address_of_a_balancer_is_named_and_the_old_key_is_not_blamed(redis_url: str) -> None:
    proof = {"REQUIRE_PROOF": "true", "VERIFY_TIMEOUT": "4"}
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
