"""Once every model is verified: the soak, accepting what stays unproved, and the watch after the delete."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.rotation.evidence import Verdict
from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.steps.outcomes import Wait
from bot.steps.watch import watch
from sandbox.aisix import GatewayCall, Switches
from sandbox.caller import Caller, Callers
from sandbox.slack import Message
from tests.support.stage import KEY, NEW_SECRET, Stage, stage_of

pytestmark = pytest.mark.rest


async def waiting(stage: Stage) -> Message:
    card = await stage.ask()
    await stage.give(card)
    return await stage.says(card, "waiting for an approver")


# --- the soak ---


async def test_the_approver_is_asked_only_after_all_stayed_well_for_the_soak(bare_stage: Stage) -> None:
    bare_stage.overrides |= {"SOAK": "1.5", "LOOK_INTERVAL": "0.5"}
    async with bare_stage.bot():
        await waiting(bare_stage)

        rotation = await bare_stage.record()
        probed = [c for c in bare_stage.aisix.gateway_calls if c.alias == "chat-large" and c.environment == "staging"]
        assert (rotation.asked_at - rotation.well_since).total_seconds() >= 1.5
        assert probed[-1].at >= rotation.verified_at.timestamp() + 0.5, "asked again in the soak"


async def test_a_model_that_falters_during_the_soak_lets_it_begin_anew(bare_stage: Stage) -> None:
    bare_stage.overrides |= {"SOAK": "1.5", "LOOK_INTERVAL": "0.3", "VERIFY_TIMEOUT": "20"}
    async with bare_stage.bot():
        card = await bare_stage.ask()
        await bare_stage.give(card)
        await bare_stage.recorded(lambda r: "verify" in r.done)
        bare_stage.aisix.upstream.set(NEW_SECRET, 429)
        faltered = await bare_stage.recorded(lambda r: "verify" not in r.done)
        bare_stage.aisix.upstream.accept(NEW_SECRET)
        await bare_stage.says(card, "waiting for an approver")

        rotation = await bare_stage.record()
        assert rotation.well_since > faltered.verified_at
        assert (rotation.asked_at - rotation.well_since).total_seconds() >= 1.4
        assert [line async for line in bare_stage.built.store.trail() if "did not stay well: `chat-large`" in line]


async def test_a_count_on_the_old_key_after_the_verification_lets_the_soak_begin_anew(stage: Stage) -> None:
    key, counted = stage.key_named(KEY), []

    def count() -> None:
        """Count a request through a router once no model is on the old key any more: when a barrier is removed."""
        if key.id not in stage.keys_in_use() and not counted:
            first = next(iter(stage.aisix.replicas("production")))
            first.dispatcher.metrics.count_one_more(key.id, model="chat-any")
            counted.append(first)

    stage.aisix.faults.before("DELETE", "/models/", count, times=None)
    card = await waiting(stage)
    rotation = await stage.record()

    assert counted
    assert rotation.well_since > rotation.verified_at
    assert "last request on it" in card.plain


# --- accepting what stays unproved ---


async def unproved(stage: Stage) -> Message:
    """Stop where nothing shows which key serves: no model can be created, and no status address is told."""
    card = await stage.ask()
    await stage.give(card)
    return await stage.says(card, "stopped: the new secret is not proved")


BLIND = {"model_create": False, "status_urls": False}


async def test_an_approver_accepts_unproved_models_by_name_and_with_a_reason(redis_url: str) -> None:
    async with stage_of(redis_url, switches=Switches(**BLIND)) as stage:
        stage.overrides |= {"VERIFY_TIMEOUT": "0.5", "WAVES": "rest"}
        async with stage.bot():
            card = await unproved(stage)
            while "Delete old key" not in card.buttons:
                await accept(stage, card, "asked each of them by hand")
            rotation = await stage.record()
            assert {f.accepted.reason for f in rotation.findings.values()} == {"asked each of them by hand"}

            await stage.press("Delete old key", card, who="U_APPROVER")
            await stage.thread_says(card, "Receipt")

            assert "asked each of them by hand" in stage.thread(card)


async def accept(stage: Stage, card: Message, reason: str) -> None:
    """Have the approver accept everything that can be accepted now, and wait for what comes of it."""
    approver, version = stage.slack.person("U_APPROVER"), (await stage.record()).version
    await stage.press("Accept unproved", card, who="U_APPROVER")
    await stage.slack.until(lambda: approver.modal, what="the form")
    models = [option["text"]["text"] for option in stage_options(approver.modal)]
    result = await approver.submit({"models": models, "reason": reason})
    assert not result.errors
    await stage.recorded(lambda r: r.version > version and r.state in (State.AWAITING_APPROVAL, State.BLOCKED))
    await stage.slack.until(
        lambda: "Delete old key" in card.buttons or "Accept unproved" in card.buttons, what="the next card"
    )


def stage_options(view: Any) -> list[Any]:
    return next(block["element"]["options"] for block in view["blocks"] if "options" in block.get("element", {}))


async def test_a_model_that_is_refused_later_does_not_stay_accepted(redis_url: str) -> None:
    async with stage_of(redis_url, switches=Switches(**BLIND)) as stage:
        stage.overrides |= {"VERIFY_TIMEOUT": "0.5", "WAVES": "rest"}
        async with stage.bot():
            card = await unproved(stage)
            while "Delete old key" not in card.buttons:
                await accept(stage, card, "asked each of them by hand")
            stage.aisix.upstream.refuse(NEW_SECRET)
            await stage.press("Delete old key", card, who="U_APPROVER")

            await stage.says(card, "stopped: the new secret was refused")

            assert stage.key_named(KEY)


# --- the watch ---


async def test_after_the_delete_it_is_watched_and_the_receipt_is_updated_at_the_end(bare_stage: Stage) -> None:
    bare_stage.overrides["WATCH"] = "1.5"
    async with bare_stage.bot():
        card = await waiting(bare_stage)
        await bare_stage.press("Delete old key", card, who="U_APPROVER")
        await bare_stage.thread_says(card, "Receipt")
        watching = await bare_stage.record()
        assert watching.state is State.RUNNING
        assert card.buttons == []

        ended = await bare_stage.recorded(lambda r: r.state is State.COMPLETED)

        assert (ended.ended_at - ended.deleted_at).total_seconds() >= 1.5
        assert ended.watched >= 2
        assert ended.troubles == ()
        await bare_stage.thread_says(card, "no problems")


async def test_a_credential_that_dies_after_the_delete_is_told_with_what_still_helps(bare_stage: Stage) -> None:
    bare_stage.overrides["WATCH"] = "30"
    async with bare_stage.bot():
        card = await waiting(bare_stage)
        bare_stage.aisix.on_change(lambda event: _refuse_once_deleted(bare_stage, event))
        await bare_stage.press("Delete old key", card, who="U_APPROVER")

        rotation = await bare_stage.recorded(lambda r: r.troubles)

        assert any("does not answer" in trouble.sentence for trouble in rotation.troubles)
        await bare_stage.thread_says(card, "There is no way back to the old key")


def _refuse_once_deleted(stage: Stage, _: Any) -> None:
    if not any(key.display_name == KEY for key in stage.aisix.provider_keys.values()):
        stage.aisix.upstream.refuse(NEW_SECRET)


async def test_it_is_watched_at_growing_intervals_and_a_few_requests_a_look(stage: Stage) -> None:
    await waiting(stage)
    clock = [datetime.now(UTC)]
    limits = replace(stage.built.world.limits, watch=timedelta(hours=1))
    world = replace(stage.built.world, limits=limits, now=lambda: clock[0])
    rotation, before = (await stage.record()).but(deleted_at=clock[0]), len(stage.aisix.gateway_calls)
    pauses: list[timedelta] = []
    while isinstance(outcome := await watch(rotation, world), Wait):
        rotation = outcome.rotation
        pauses.append(outcome.retry_in)
        clock[0] += outcome.retry_in

    assert sum(pauses, timedelta()) == limits.watch
    assert pauses[:4] == [timedelta(seconds=seconds) for seconds in (5, 10, 20, 40)]
    assert pauses[:-1] == sorted(pauses[:-1])
    assert max(pauses) == timedelta(minutes=10)
    assert len(stage.aisix.gateway_calls) - before == 3 * (len(pauses) + 1)  # one for each kind of model


async def test_a_throw_away_model_whose_creation_comes_after_the_delete_is_removed_in_the_watch(
    bare_stage: Stage,
) -> None:
    bare_stage.overrides |= {"WATCH": "60", "CONTROL_PLANE_TIMEOUT": "1", "PROJECTION_TIMEOUT": "15"}
    async with bare_stage.bot():
        bare_stage.aisix.faults.hang("POST", "/models")
        card = await waiting(bare_stage)
        await bare_stage.press("Delete old key", card, who="U_APPROVER")
        await bare_stage.thread_says(card, "Receipt", timeout=60)
        bare_stage.aisix.faults.release()
        await bare_stage.aisix.until(lambda: left_over(bare_stage), what="the late creation")

        await bare_stage.aisix.until(lambda: not left_over(bare_stage), timeout=60, what="its end")


def left_over(stage: Stage) -> list[str]:
    return [m.display_name for m in stage.aisix.models.values() if m.display_name.startswith("keyturn-")]


async def test_another_secret_can_be_given_while_the_first_rotation_is_watched(bare_stage: Stage) -> None:
    bare_stage.overrides["WATCH"] = "60"
    bare_stage.aisix.upstream.accept("sk-third-0123456789abcdefXYZ")
    async with bare_stage.bot():
        card = await waiting(bare_stage)
        await bare_stage.press("Delete old key", card, who="U_APPROVER")
        await bare_stage.thread_says(card, "Receipt")
        replacement = (await bare_stage.record()).replacement_id

        second = await bare_stage.ask(replacement)
        await bare_stage.give(second, "sk-third-0123456789abcdefXYZ")

        await bare_stage.says(second, "waiting for an approver")


# --- what callers meet ---


def probed_before_the_change_was_there(stage: Stage, rotation: Rotation) -> list[GatewayCall]:
    """The probes of a moved model that a replica answered with the old key: the counters do not tell them apart."""
    moved_at = min(call.at for call in stage.aisix.calls if call.method == "PATCH")
    old = rotation.plan.old_key.id
    asked = [call for call in stage.aisix.gateway_calls if call.caller == "probe" and call.at > moved_at]
    return [call for call in asked if call.key_id == old]


@pytest.mark.parametrize("model_create", [True, False], ids=["with a barrier", "without one"])
async def test_the_requests_of_callers_are_counted_apart_from_the_bots_own(
    redis_url: str,
    model_create: bool,  # noqa: FBT001
) -> None:
    async with (
        stage_of(redis_url, switches=Switches(model_create=model_create, tell_replicas=True)) as stage,
        stage.bot(),
    ):
        url, token = stage.aisix.gateway_url("production"), stage.aisix.app_caller_key("production")
        caller = Caller(url, token, "chat-large", rate=40)
        async with Callers([caller]):
            card = await waiting(stage)
        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.says(card, "old key deleted", timeout=60)  # before that, everything is counted once more

        rotation = await stage.record()
        replaced = [call for call in stage.aisix.gateway_calls if call.key_id == rotation.replacement_id]
        ours, callers = ([call for call in replaced if call.caller == who] for who in ("probe", "app"))
        unsure = len(probed_before_the_change_was_there(stage, rotation))
        assert len(callers) - unsure <= rotation.tally.answered <= len(callers)
        assert unsure == 0 or not model_create, "a barrier is waited for before any model is asked"
        assert rotation.tally.failed == 0
        assert ours
        assert callers
        proved = (
            Verdict.PROVED if model_create else Verdict.LIKELY
        )  # without throw-away models nobody knows which are ours
        assert {v.verdict.verdict for v in rotation.findings.values()} == {proved}


@pytest.mark.parametrize("order", ["staging,production", "production,staging"])
async def test_environments_are_moved_in_the_order_of_the_settings_each_verified_before_the_next(
    bare_stage: Stage, order: str
) -> None:
    bare_stage.overrides["ENVIRONMENT_ORDER"] = order
    async with bare_stage.bot():
        await waiting(bare_stage)

        moves = [c.path.split("/")[3] for c in bare_stage.aisix.calls if c.method == "PATCH" and "/models/" in c.path]
        names = [bare_stage.aisix.environment(env).name for env in moves]
        assert list(dict.fromkeys(names)) == order.split(",")
        rotation = await bare_stage.record()
        first, second = order.split(",")
        seen = {m: rotation.finding(m) for m in rotation.plan.models}
        last_proof = max(f.verdict.at for m, f in seen.items() if m.environment_name == first)
        assert last_proof < min(f.moved_at for m, f in seen.items() if m.environment_name == second)


@pytest.mark.parametrize("model_create", [True, False], ids=["with a barrier", "without one"])
async def test_where_nobody_calls_no_request_is_said_to_be_a_callers(redis_url: str, model_create: bool) -> None:  # noqa: FBT001
    async with (
        stage_of(redis_url, switches=Switches(model_create=model_create, tell_replicas=True)) as stage,
        stage.bot(),
    ):
        await waiting(stage)

        assert (await stage.record()).tally.answered == 0
