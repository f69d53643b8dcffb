"""Green lights that prove nothing, one test a trap (facts/aisix.md 9): the verdict is right, and nothing is deleted.

The environment with the trap is production, with two replicas; its models are `chat-large` and `support-embed`.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import httpx
import pytest

from bot.rotation.evidence import Verdict
from bot.rotation.record import Approval
from bot.rotation.stops import StopKind
from bot.steps.outcomes import Again, Done
from bot.steps.project import AT_ONCE
from sandbox.aisix import Switches
from sandbox.caller import Caller, Callers
from sandbox.slack import Message
from tests.support.stage import KEY, NEW_SECRET, OLD_SECRET, Stage, stage_of


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
    standing = {m: rotation.finding(m).standing for m in rotation.plan.models}
    return {(m.alias, m.environment_name): seen.verdict for m, seen in standing.items() if seen}


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


@pytest.mark.parametrize("status_urls", [True, False], ids=["seen at its status address", "met by the barrier"])
async def test_g1_a_lagging_replica_serves_with_the_old_key(redis_url: str, status_urls: bool) -> None:  # noqa: FBT001
    async with trap(redis_url, status_urls=status_urls) as stage:
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


@pytest.mark.parametrize("status_urls", [True, False], ids=["seen at its status address", "met by the barrier"])
async def test_g18_a_replica_that_is_cut_off_from_the_control_plane(redis_url: str, status_urls: bool) -> None:  # noqa: FBT001
    async with trap(redis_url, status_urls=status_urls) as stage:
        card = await stage.ask()
        stage.aisix.faults.before("PATCH", "/models/", lambda: setattr(straggler(stage), "lag", None))
        await stage.give(card)
        await stage.says(card, "stopped: the gateway has not taken the change")

        assert nothing_is_deleted(stage, card)
        assert (await stage.record()).stop.kind is StopKind.PROJECTION
        assert not PASSED & {v for m, v in (await verdicts(stage)).items() if m in (CHAT, EMBED)}


async def test_g1_a_replica_that_rejects_the_row_serves_its_last_good_one_without_an_error(redis_url: str) -> None:
    async with trap(redis_url) as stage:
        model = next(m for m in stage.aisix.models.values() if m.display_name == "support-embed")
        straggler(stage).reject_rows = {model.id}

        card = await run_into(stage, "stopped: the gateway has not taken the change")

        assert (await verdicts(stage))[EMBED] is Verdict.INVALID
        assert "has rejected the change and serves its last good configuration" in card.plain
        assert nothing_is_deleted(stage, card)


async def test_g1_a_replica_that_drops_the_change_and_says_nothing_is_seen_by_its_counters(redis_url: str) -> None:
    async with trap(redis_url) as stage:
        model = next(m for m in stage.aisix.models.values() if m.display_name == "support-embed")
        straggler(stage).reject_rows = {model.id}
        straggler(stage).status_available = False

        card = await run_into(stage, "stopped: the gateway has not taken the change")

        assert (await verdicts(stage))[EMBED] is Verdict.INVALID
        assert "with the old key" in card.plain
        assert nothing_is_deleted(stage, card)


# --- answers that somebody else gave ---


async def test_g5_an_answer_from_a_cache_is_invalid(redis_url: str) -> None:
    async with trap(redis_url, cache_ignores_no_cache=True) as stage:
        stage.aisix.add_cache_policy("production", "similar", embedding_model=_embedding(stage))
        stage.aisix.environment("production").cache = "semantic"

        card = await run_into(stage, "stopped:")

        assert "answered from a cache, so the credential was not used" in card.plain
        assert "No model has been moved" in card.plain
        assert nothing_is_deleted(stage, card)


async def test_g5_a_cache_that_begins_to_hit_after_the_rehearsal_is_invalid_too(redis_url: str) -> None:
    async with trap(redis_url, cache_ignores_no_cache=True) as stage:
        card = await stage.ask()
        environment = stage.aisix.environment("production")
        stage.aisix.faults.before("PATCH", "/models/", lambda: setattr(environment, "cache", "semantic"))
        await stage.give(card)
        await stage.says(card, "stopped: the new secret is not proved")

        assert nothing_is_deleted(stage, card)
        assert "Accept unproved" not in card.buttons
        assert "answered from a cache, so the credential was not used" in card.plain
        assert not PASSED & {v for m, v in (await verdicts(stage)).items() if m == CHAT}


def _embedding(stage: Stage) -> Any:
    return next(m for m in stage.aisix.models.values() if m.kind == "embedding")


async def test_g2_an_answer_of_a_fallback_is_invalid(redis_url: str) -> None:
    async with stage_of(redis_url) as stage:
        backup = next(m for m in stage.aisix.models.values() if m.display_name == "unrelated")
        chat = next(m for m in stage.aisix.models.values() if m.display_name == "chat-large" and _in(stage, m))
        stage.aisix.add_model("production", "chat-safe", kind="routing", targets=[backup, chat], strategy="failover")
        _probe_under(stage, {"chat-large": "chat chat-safe"})
        stage.overrides |= {"PROJECTION_TIMEOUT": "1.5", "VERIFY_TIMEOUT": "1.5"}
        async with stage.bot():
            card = await run_into(stage, "stopped: the new secret is not proved")

            assert (await verdicts(stage))[CHAT] is Verdict.INVALID
            assert "Accept unproved" not in card.buttons
            assert "answered by another target, so the credential was not used" in card.plain
            assert nothing_is_deleted(stage, card)


def _in(stage: Stage, model: Any) -> bool:
    return bool(model.environment_id == stage.aisix.environment("production").id)


def _probe_under(stage: Stage, probes: dict[str, str]) -> None:
    gateways = json.loads(stage.aisix.settings()["AISIX_GATEWAYS"])
    gateways[stage.aisix.environment("production").id]["probes"] = probes
    stage.overrides["AISIX_GATEWAYS"] = json.dumps(gateways)


async def test_g2_and_g8_the_cooldown_of_a_router_does_not_hide_that_a_model_is_refused(redis_url: str) -> None:
    async with trap(redis_url, model_create=False) as stage:
        stage.aisix.upstream.models_for(NEW_SECRET, {"text-embedding-3-small"})

        card = await run_into(stage, "stopped: the new account lacks a model")

        assert (await verdicts(stage))[CHAT] is Verdict.REJECTED
        assert nothing_is_deleted(stage, card)


@pytest.mark.parametrize("seen", ["at once", "by its cooldown"])
async def test_g2_and_g8_a_router_that_avoids_a_model_is_no_proof_of_it(redis_url: str, seen: str) -> None:
    async with stage_of(redis_url, switches=Switches(model_create=False, cooldown=30)) as stage:
        backup, chat = (_production(stage, alias) for alias in ("unrelated", "chat-large"))
        stage.aisix.remove(next(m for m in stage.aisix.models.values() if not _in(stage, m)), settled=True)
        falls_back = {"fallback_on_statuses": [429]} if seen == "at once" else {}
        stage.aisix.add_model(
            "production", "chat-safe", kind="routing", targets=[chat, backup], strategy="failover", **falls_back
        )
        _probe_under(stage, {"chat-large": "chat chat-safe", "support-embed": "skip"})
        stage.overrides |= {"PROJECTION_TIMEOUT": "1.5", "VERIFY_TIMEOUT": "1.5"}
        stage.aisix.upstream.set(NEW_SECRET, 429)
        async with stage.bot():
            card = await run_into(stage, "stopped: the new secret is not proved")

            assert (await verdicts(stage))[CHAT] is Verdict.INVALID
            assert "Accept unproved" not in card.buttons
            assert "answered by another target, so the credential was not used" in card.plain
            assert nothing_is_deleted(stage, card)


def _production(stage: Stage, alias: str) -> Any:
    return next(m for m in stage.aisix.models.values() if m.display_name == alias and _in(stage, m))


async def test_g3_a_semantic_router_that_takes_its_default_route_hides_a_dead_embedding_model(redis_url: str) -> None:
    async with trap(redis_url) as stage:
        stage.aisix.upstream.models_for(NEW_SECRET, {"gpt-4o"})
        chat = next(m for m in stage.aisix.models.values() if m.display_name == "chat-large" and _in(stage, m))
        stage.aisix.add_model(
            "production", "support", kind="semantic", embedding_model=_embedding(stage), routes=[chat], default=chat
        )

        card = await run_into(stage, "stopped: the new account lacks a model")

        assert "the upstream does not offer this model to the credential" in card.plain
        assert "No model has been moved; callers notice nothing." in card.plain
        assert nothing_is_deleted(stage, card)


async def test_g4_an_ensemble_that_needs_one_answer_hides_a_panel_model_that_fails(redis_url: str) -> None:
    async with trap(redis_url) as stage:
        key = stage.key_named(KEY)
        stage.aisix.upstream.models_for(NEW_SECRET, {"gpt-4o", "text-embedding-3-small"})
        other = next(m for m in stage.aisix.models.values() if m.display_name == "unrelated")
        panel = stage.aisix.add_model("production", "panel-2", key=key, upstream="gpt-4.1")
        stage.aisix.add_model(
            "production", "council", kind="ensemble", panel=[other, panel], judge=other, min_responses=1
        )

        card = await run_into(stage, "stopped: the new account lacks a model")

        assert "the upstream does not offer this model to the credential" in card.plain
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

        assert (await verdicts(stage))["gemini", "production"] is Verdict.INVALID
        assert "AISIX/0.4.2 may use a token of the old secret until" in card.plain
        assert "Delete old key" not in card.buttons


async def test_counters_that_are_missing_leave_it_likely_by_the_barrier(redis_url: str) -> None:
    async with trap(redis_url) as stage:
        for replica in stage.aisix.all_replicas():
            replica.metrics_available = False

        await run_into(stage, "waiting for an approver")

        assert set((await verdicts(stage)).values()) == {Verdict.LIKELY}


@pytest.mark.parametrize("status_urls", [True, False])
async def test_where_a_proof_is_required_likely_is_not_enough(redis_url: str, status_urls: bool) -> None:  # noqa: FBT001
    async with trap(redis_url, overrides={"REQUIRE_PROOF": "true"}, status_urls=status_urls) as stage:
        for replica in stage.aisix.all_replicas():
            replica.metrics_available = False

        card = await run_into(stage, "stopped:")

        assert "shows no counters" in card.plain or "REQUIRE_PROOF is set" in card.plain
        assert set((await verdicts(stage)).values()) <= {Verdict.LIKELY}
        assert nothing_is_deleted(stage, card)


async def test_counters_that_are_missing_where_no_model_can_be_created_leave_a_200_that_proves_nothing(
    redis_url: str,
) -> None:
    async with trap(redis_url, model_create=False) as stage:
        for replica in stage.aisix.all_replicas():
            replica.metrics_available = False

        card = await run_into(stage, "stopped: the new secret is not proved")

        assert set((await verdicts(stage)).values()) == {Verdict.INCONCLUSIVE}
        assert nothing_is_deleted(stage, card)


async def test_where_a_proof_is_required_and_can_be_had_the_rotation_goes_on(redis_url: str) -> None:
    async with trap(redis_url, overrides={"REQUIRE_PROOF": "true"}) as stage:
        await run_into(stage, "waiting for an approver")

        assert set((await verdicts(stage)).values()) == {Verdict.PROVED}


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


async def test_a_replica_whose_status_address_is_not_in_the_settings_stops_the_rotation(redis_url: str) -> None:
    async with trap(redis_url, status_urls_told=1) as stage:
        card = await run_into(stage, NOT_IN_SETTINGS)

        assert Verdict.PROVED not in (await verdicts(stage)).values()
        assert "Add its status address to AISIX_GATEWAYS" in card.plain
        assert nothing_is_deleted(stage, card)


async def test_the_requests_of_callers_do_not_stand_in_for_those_of_a_replica_that_is_not_told(redis_url: str) -> None:
    async with trap(redis_url, status_urls_told=1) as stage:
        url, token = stage.aisix.gateway_url("production"), stage.aisix.app_caller_key("production")
        async with Callers([Caller(url, token, "chat-large", rate=60)]):
            card = await run_into(stage, NOT_IN_SETTINGS)

        assert nothing_is_deleted(stage, card)


async def test_a_replica_that_is_not_in_the_settings_and_lacks_the_change_stops_the_rotation_at_its_first_404(
    redis_url: str,
) -> None:
    async with trap(redis_url, overrides=PATIENT, status_urls_told=1) as stage:
        calls: list[int] = []

        def cut_off() -> None:
            straggler(stage).lag = None
            calls.append(len(stage.aisix.gateway_calls))

        stage.aisix.faults.before("PATCH", "/models/", cut_off)
        card = await run_into(stage, NOT_IN_SETTINGS)

        unknown = [call for call in stage.aisix.gateway_calls[calls[0] :] if call.status == HTTPStatus.NOT_FOUND]
        assert "it does not have the change, and every listed replica has it" in card.plain
        assert 1 <= len(unknown) <= AT_ONCE
        assert nothing_is_deleted(stage, card)


async def test_a_replica_that_the_settings_count_and_do_not_list_is_not_proved_by_the_others(redis_url: str) -> None:
    async with trap(redis_url, status_urls_told=1, tell_replicas=True, model_create=False) as stage:
        url, token = stage.aisix.gateway_url("production"), stage.aisix.app_caller_key("production")
        chat, embed = Caller(url, token, "chat-large", 60), Caller(url, token, "support-embed", 60, "embeddings")
        async with Callers([chat, embed]):
            card = await run_into(stage, "stopped: the new secret is not proved")

        assert set((await verdicts(stage)).values()) == {Verdict.INCONCLUSIVE}
        assert nothing_is_deleted(stage, card)


@pytest.mark.parametrize(
    ("told", "callers"),
    [(1, "many"), (2, "none")],
    ids=["one of two is told, callers ask", "both are told, nobody asks"],
)
async def test_without_a_barrier_nothing_is_proved_until_the_settings_say_how_many_replicas_there_are(
    redis_url: str, told: int, callers: str
) -> None:
    async with trap(redis_url, status_urls_told=told, model_create=False) as stage:
        url, token = stage.aisix.gateway_url("production"), stage.aisix.app_caller_key("production")
        chat, embed = Caller(url, token, "chat-large", 60), Caller(url, token, "support-embed", 60, "embeddings")
        async with Callers([chat, embed] if callers == "many" else []):
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


# --- tenants where little can be seen ---


async def test_where_no_model_can_be_created_and_no_counter_be_seen_a_200_proves_nothing(redis_url: str) -> None:
    async with trap(redis_url, model_create=False, status_urls=False) as stage:
        card = await run_into(stage, "stopped: the new secret is not proved")

        assert (await verdicts(stage))["chat-large", "production"] is Verdict.INCONCLUSIVE
        assert "with which key is unknown" in card.plain
        assert nothing_is_deleted(stage, card)


async def test_where_no_model_can_be_created_the_first_wave_is_one_model(redis_url: str) -> None:
    async with trap(redis_url, overrides={"WAVES": "rest"}, model_create=False) as stage:
        key = stage.key_named(KEY)
        for number in range(6):
            stage.aisix.add_model("production", f"more-{number}", key=key, upstream="gpt-4o")
        stage.aisix.upstream.refuse(NEW_SECRET)

        card = await run_into(stage, "stopped: the new secret was refused")

        assert "1 of 9 models" in card.plain
        assert (await stage.record()).unrehearsed


# --- between the approver's look and the click ---


async def waiting(stage: Stage) -> Message:
    return await run_into(stage, "waiting for an approver")


async def test_g10_a_model_bound_to_the_old_key_at_the_worst_moment_stops_the_delete(stage: Stage) -> None:
    card = await waiting(stage)
    key = stage.key_named(KEY)
    stage.aisix.faults.before(
        "DELETE",
        "/provider_keys",
        lambda: stage.aisix.add_model("staging", "late", key=key, upstream="gpt-4o") and None,
    )
    stage.aisix.faults.rate_limit("DELETE", "/provider_keys")

    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.says(card, "stopped: something uses the old key")

    assert "late in staging" in card.plain
    assert (await stage.record()).stop.kind is StopKind.DRIFT
    assert set((await verdicts(stage)).values()) == {Verdict.PROVED}, "of those that it has moved"
    assert nothing_is_deleted(stage, card)


async def test_a_count_on_the_old_key_after_the_approver_looked_voids_the_approval(stage: Stage) -> None:
    card = await waiting(stage)
    straggler(stage).dispatcher.metrics.count_one_more(stage.key_named(KEY).id)

    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.thread_says(card, "has counted 1 request on the old key since the change")

    assert stage.key_named(KEY)
    assert (await stage.record()).voids[0].by == ("U_APPROVER",)
    await stage.says(card, "waiting for an approver")


async def test_an_alias_that_reaches_the_models_since_voids_the_approval_and_the_next_one_counts(stage: Stage) -> None:
    card = await waiting(stage)
    chat = next(m for m in stage.aisix.models.values() if m.display_name == "chat-large" and _in(stage, m))
    stage.aisix.add_model("production", "chat-new", kind="routing", targets=[chat])
    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.thread_says(card, "chat-new")
    assert stage.key_named(KEY)

    await stage.press("Delete old key", card, who="U_APPROVER")

    await stage.says(card, "old key deleted")


async def bind(stage: Stage) -> None:
    stage.aisix.add_model("staging", "late", key=stage.key_named(KEY), upstream="gpt-4o")


async def take_over(stage: Stage) -> None:
    stage.aisix.edit(_production(stage, "support-embed"), key=stage.key_named("Other key"))


async def age(stage: Stage) -> None:
    rotation = await stage.record()
    long_ago = {
        id_: f.but(latest=f.latest.but(at=f.latest.at - timedelta(days=2))) for id_, f in rotation.findings.items()
    }
    event = {"by": "keyturn", "what": "aged", "why": ""}
    await stage.built.store.save(rotation.learn(long_ago), event, at=rotation.requested_at)


async def count(stage: Stage) -> None:
    straggler(stage).dispatcher.metrics.count_one_more(stage.key_named(KEY).id)


DIFFERENCES = {
    "a model bound to the old key": (bind, "late in staging refers to the old key"),
    "a reference changed by someone": (take_over, "support-embed in production uses a key that this rotation does not"),
    "evidence that is too old": (age, "The evidence was older than 1 day."),
    "a count on the old key": (count, "has counted 1 request on the old key since the change"),
}


@pytest.mark.parametrize(("differ", "said"), DIFFERENCES.values(), ids=DIFFERENCES)
async def test_where_the_world_differs_at_the_click_it_is_said_verified_again_and_asked_again(
    stage: Stage, differ: Any, said: str
) -> None:
    card = await waiting(stage)
    verified = (await stage.record()).verified_at
    await differ(stage)
    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.slack.until(
        lambda: said in card.plain + stage.thread(card), timeout=60, what=f"{said}; the card says {card.plain}"
    )
    if "Try again" in card.buttons:
        await stage.press("Try again", card)
    await stage.says(card, "waiting for an approver")

    assert nothing_was_asked_to_go(stage)
    assert (await stage.record()).verified_at > verified
    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.says(card, "old key deleted")


async def test_evidence_that_is_too_old_at_the_click_is_gathered_again(stage: Stage) -> None:
    await waiting(stage)
    rotation = await stage.record()
    aged = {id_: f.but(latest=f.latest.but(at=f.latest.at - timedelta(days=2))) for id_, f in rotation.findings.items()}
    approval = Approval(by="U_APPROVER", at=stage.built.world.now(), digest=rotation.digest)

    outcome = await stage.looked_once_more(rotation.learn(aged).but(approvals=(approval,)))

    assert isinstance(outcome, Again)
    assert outcome.rotation.voids[0].changes == ("The evidence was older than 1 day.",)


async def test_an_approval_of_another_card_than_this_counts_for_nothing(stage: Stage) -> None:
    await waiting(stage)
    rotation, world = await stage.record(), stage.built.world
    this, other = (
        Approval(by="U_APPROVER", at=world.now(), digest=digest) for digest in (rotation.digest, "of another card")
    )

    seen = await stage.looked_once_more(rotation.but(approvals=(this,)))
    unseen = await stage.looked_once_more(seen.rotation.but(approvals=(other,)))

    assert isinstance(seen, Done)
    assert isinstance(unseen, Again)
    assert unseen.rotation.voids[0].changes == ("What is known of the models is not what the card showed.",)


def nothing_was_asked_to_go(stage: Stage) -> bool:
    """Tell whether nobody has asked for the delete of the old key."""
    return not [c for c in stage.aisix.calls if c.method == "DELETE" and stage.key_named(KEY).id in c.path]


async def test_evidence_that_grows_old_while_nobody_approves_is_gathered_anew_by_itself(bare_stage: Stage) -> None:
    bare_stage.overrides["EVIDENCE_MAX_AGE"] = "2"
    async with bare_stage.bot():
        card = await waiting(bare_stage)
        first = (await bare_stage.record()).verified_at

        await bare_stage.slack.until(
            lambda: bare_stage.thread(card).count("Approval wanted") == 2, timeout=60, what="it"
        )

        assert (await bare_stage.record()).verified_at > first


# --- the world before the rotation ---


async def test_a_model_that_failed_before_is_said_and_does_not_block(stage: Stage) -> None:
    for secret in (OLD_SECRET, NEW_SECRET):
        stage.aisix.upstream.models_for(secret, {"gpt-4o", "text-embedding-3-small"})
    stage.aisix.add_model("production", "legacy-chat", key=stage.key_named(KEY), upstream="gpt-3")

    card = await waiting(stage)

    assert "as before" in card.plain


# --- status addresses and counters that are not what they seem ---


@pytest.mark.parametrize("labels", ["real", "names", "full"])
@pytest.mark.parametrize("addresses", ["shared", "foreign", "nowhere"])
async def test_metrics_behind_another_address_prove_nothing(redis_url: str, addresses: str, labels: str) -> None:
    told = {"status_addresses": addresses, "metric_labels": labels}
    async with trap(redis_url, overrides={"REQUIRE_PROOF": "true"}, **told) as stage:
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


@pytest.mark.parametrize(
    ("switches", "verdict"),
    [
        ({"balancing": "connections"}, Verdict.PROVED),
        ({"lazy_counters": False}, Verdict.PROVED),
        ({"metric_labels": "full"}, Verdict.PROVED),
        ({"metric_labels": "names"}, Verdict.LIKELY),
        ({"metric_labels": "no_key"}, Verdict.LIKELY),
        ({"gateway_version": "0.4.2"}, Verdict.PROVED),
        ({"gateway_version": "0.3.1"}, Verdict.LIKELY),
        ({"status_urls": False}, Verdict.LIKELY),
        ({"model_create": False, "tell_replicas": True}, Verdict.LIKELY),
    ],
    ids=str,
)
async def test_what_a_gateway_shows_decides_between_proved_and_likely(
    redis_url: str, switches: dict[str, Any], verdict: Verdict
) -> None:
    async with trap(redis_url, overrides=PATIENT, **switches) as stage:
        await run_into(stage, "waiting for an approver")

        assert set((await verdicts(stage)).values()) == {verdict}


@pytest.mark.parametrize("rows", ["ids", "store_key"])
async def test_a_replica_that_rejects_the_replacement_itself_is_seen_however_it_names_the_row(
    redis_url: str, rows: str
) -> None:
    async with trap(redis_url, rejected_rows=rows, model_create=False, tell_replicas=True) as stage:
        model = next(m for m in stage.aisix.models.values() if m.display_name == "support-embed")
        straggler(stage).reject_rows = {model.id}

        card = await run_into(stage, "stopped: the gateway has not taken the change")

        assert (await verdicts(stage))[EMBED] is Verdict.INVALID
        assert nothing_is_deleted(stage, card)


async def test_a_replica_that_restarts_amid_the_proof_has_to_prove_it_again(redis_url: str) -> None:
    async with trap(redis_url, overrides={"REQUIRE_PROOF": "true", "VERIFY_TIMEOUT": "10"}) as stage:
        card = await stage.ask()
        stage.aisix.faults.before("PATCH", "/models/", lambda: straggler(stage).restart())
        await stage.give(card)
        await stage.says(card, "waiting for an approver")

        assert set((await verdicts(stage)).values()) == {Verdict.PROVED}


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
