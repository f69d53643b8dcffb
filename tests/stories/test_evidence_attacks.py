"""Attempts to make evidence say more than it proves, to have a key in use deleted, or to stop a rotation for good."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from bot.aisix.client import http_client
from bot.rotation.evidence import Verdict
from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.service import RotationService
from sandbox.aisix import Switches
from sandbox.caller import Caller, Callers, question
from sandbox.slack import Message
from tests.support.stage import KEY, NEW_SECRET, OLD_SECRET, WRONG_SECRET, Stage, stage_of

pytestmark = pytest.mark.rest

WAITING = "waiting for an approver"
ENDS = (State.AWAITING_APPROVAL, State.BLOCKED)
SHORT = {"PROJECTION_TIMEOUT": "1.5", "VERIFY_TIMEOUT": "1.5"}


@asynccontextmanager
async def set_up(redis_url: str, *, overrides: dict[str, str] | None = None, **switches: Any) -> AsyncIterator[Stage]:
    """Set the stage with *switches* thrown, and the bot on it."""
    async with stage_of(redis_url, switches=Switches(**switches)) as stage:
        stage.overrides |= {**SHORT, **(overrides or {})}
        async with stage.bot():
            yield stage


async def run_into(stage: Stage, words: str, secret: str = NEW_SECRET, timeout: float = 30) -> Message:
    """Rotate until the card says *words*."""
    card = await stage.ask()
    await stage.give(card, secret)
    return await stage.says(card, words, timeout=timeout)


def model_of(stage: Stage, alias: str, environment: str = "production") -> Any:
    here = stage.aisix.environment(environment).id
    return next(m for m in stage.aisix.models.values() if m.display_name == alias and m.environment_id == here)


def old_key_is_there(stage: Stage) -> bool:
    return any(key.display_name == KEY for key in stage.aisix.provider_keys.values())


def moves(stage: Stage) -> list[Any]:
    return [c for c in stage.aisix.calls if c.method == "PATCH" and "/models/" in c.path]


def left_over(stage: Stage) -> list[str]:
    return [m.display_name for m in stage.aisix.models.values() if m.display_name.startswith("keyturn-")]


# --- answers that somebody else gives under the name of a throw-away ---


async def test_a_wildcard_on_the_old_key_does_not_pass_the_rehearsal_of_a_wrong_secret(redis_url: str) -> None:
    async with stage_of(redis_url) as stage:
        key = stage.aisix.add_key("Catch-all", secret="sk-catch-all-0123456789abcdef", environments=["production"])
        stage.aisix.add_model("production", "*", key=key, upstream="gpt-4o")
        for replica in stage.aisix.replicas("production"):
            replica.lag = 0.8
        stage.overrides |= SHORT
        async with stage.bot():
            card = await stage.ask("Catch-all")
            await stage.give(card, WRONG_SECRET)
            await stage.says(card, "stopped:")

            assert "the new secret works" not in stage.thread(card), "the wildcard answered, on the old key"


async def test_a_wildcard_on_the_old_key_does_not_answer_for_a_barrier(redis_url: str) -> None:
    async with stage_of(redis_url, switches=Switches(status_urls=False)) as stage:
        stage.aisix.add_model("production", "*", key=stage.key_named(KEY), upstream="gpt-4o")
        straggler = stage.aisix.replicas("production")[1]
        stage.aisix.faults.before("PATCH", "/models/", lambda: setattr(straggler, "lag", None))
        stage.overrides |= SHORT
        async with stage.bot():
            card = await stage.ask()
            await stage.give(card)
            await stage.slack.until(
                lambda: "stopped:" in card.plain or WAITING in card.plain, timeout=60, what="the end"
            )

            assert "Delete old key" not in card.buttons


# --- a wrong secret where models can be created ---


async def test_one_environment_that_bars_throwaways_does_not_hide_a_refusal_in_another(redis_url: str) -> None:
    async with set_up(redis_url) as stage:
        for caller in stage.aisix.environment("staging").callers.values():
            caller.denied.append("keyturn-*")
        await run_into(stage, "stopped:", WRONG_SECRET)

        assert moves(stage) == []


async def test_one_environment_that_refuses_models_does_not_end_the_rehearsal_in_another(redis_url: str) -> None:
    async with set_up(redis_url) as stage:
        staging = stage.aisix.environment("staging").id
        stage.aisix.faults.fail("POST", f"/environments/{staging}/models", 403, times=None)
        await run_into(stage, "stopped:", WRONG_SECRET)

        assert moves(stage) == []


async def test_an_outage_of_the_provider_at_the_baseline_does_not_spare_a_wrong_secret_the_rehearsal(
    redis_url: str,
) -> None:
    async with set_up(redis_url) as stage:
        stage.aisix.upstream.set(OLD_SECRET, 503)
        await run_into(stage, "stopped:", WRONG_SECRET)

        assert moves(stage) == []


async def test_what_joined_the_plan_after_the_rehearsal_is_rehearsed_before_it_is_moved(redis_url: str) -> None:
    async with set_up(redis_url) as stage:
        stage.aisix.upstream.models_for(NEW_SECRET, {"gpt-4o", "text-embedding-3-small"})
        card = await stage.ask()
        key = stage.key_named(KEY)
        made: list[Any] = []

        def bind() -> None:
            if not made:
                made.append(stage.aisix.add_model("production", "late", key=key, upstream="gpt-9"))

        stage.aisix.faults.before("DELETE", "/models/", bind)  # the rehearsal's own end
        await stage.give(card)
        await stage.says(card, "stopped: someone else changed AISIX")
        await stage.press("Try again", card)
        await stage.says(card, "stopped: the new account lacks a model")

        assert [c for c in moves(stage) if made[0].id in c.path] == []


# --- the way back once the delete has been asked for ---


async def test_after_a_delete_that_may_still_come_true_no_state_offers_the_way_back(redis_url: str) -> None:
    async with set_up(redis_url, overrides={"PATIENCE": "1", "CONTROL_PLANE_TIMEOUT": "0.5"}) as stage:
        card = await run_into(stage, WAITING)
        stage.aisix.faults.hang("DELETE", f"/provider_keys/{stage.key_named(KEY).id}", times=100)
        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.says(card, "stopped: no usable answer")
        await stage.press("Try again", card)
        await stage.says(card, WAITING)

        assert "Roll back" not in card.buttons


async def test_a_secret_refused_after_the_delete_was_asked_for_does_not_lead_back_to_the_old_key(
    redis_url: str,
) -> None:
    overrides = {"PATIENCE": "1", "CONTROL_PLANE_TIMEOUT": "0.5"}
    async with set_up(redis_url, overrides=overrides) as stage:
        card = await run_into(stage, WAITING)
        stage.aisix.faults.hang("DELETE", f"/provider_keys/{stage.key_named(KEY).id}", times=100)
        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.says(card, "stopped: no usable answer")
        key = stage.key_named(KEY)
        stage.aisix.add_model("staging", "late", key=key, upstream="gpt-4o")
        await stage.press("Try again", card)
        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.says(card, "stopped: something uses the old key")
        stage.aisix.upstream.refuse(NEW_SECRET)
        await stage.press("Try again", card)
        await stage.says(card, "stopped: the new secret was refused")
        before = [m.id for m in stage.aisix.models.values() if m.provider_key_id == key.id]
        await stage.press("Another secret", card)
        await stage.says(card, "waiting for the new secret")

        after = [m.id for m in stage.aisix.models.values() if m.provider_key_id == key.id]
        assert set(after) <= set(before), "put on a key that may be gone at any moment"


async def test_a_delete_that_was_stopped_is_not_sent_later_on_what_was_seen_before(redis_url: str) -> None:
    async with set_up(redis_url, overrides={"PATIENCE": "1", "READ_BACK": "0.5"}) as stage:
        card = await run_into(stage, WAITING)
        stage.aisix.faults.fail("DELETE", "/provider_keys", 500, times=None)
        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.says(card, "stopped:")
        stage.aisix.upstream.refuse(NEW_SECRET)
        stage.aisix.faults.clear()
        await stage.press("Try again", card)
        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.slack.until(
            lambda: "stopped: the new secret was refused" in card.plain or not old_key_is_there(stage),
            what="the last look or the delete",
        )

        assert old_key_is_there(stage)


# --- between the approver's look and the click ---


async def test_counters_that_cannot_be_read_at_the_click_are_not_taken_as_read(redis_url: str) -> None:
    async with set_up(redis_url, overrides={"REQUIRE_PROOF": "true"}) as stage:
        card = await stage.ask()
        straggler = stage.aisix.replicas("production")[1]
        before = straggler.projection.snapshot
        await stage.give(card)
        await stage.says(card, WAITING)
        # it starts again from an old file, cut off, and nobody can look at it
        straggler.lag, straggler.projection.snapshot = None, before
        straggler.status_available = straggler.metrics_available = False

        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.slack.until(
            lambda: not old_key_is_there(stage) or "stopped:" in card.plain or "Not deleted" in stage.thread(card),
            timeout=60,
            what="the delete, or a void",
        )

        assert old_key_is_there(stage)


async def test_a_replica_that_began_anew_with_an_old_file_since_the_proof_has_to_prove_it_again(
    redis_url: str,
) -> None:
    async with set_up(redis_url, overrides={"WAVES": "rest"}) as stage:
        stage.aisix.remove(model_of(stage, "support-embed"), settled=True)
        card = await stage.ask()
        straggler = stage.aisix.replicas("production")[1]
        old_file = straggler.projection.snapshot
        await stage.give(card)
        await stage.says(card, WAITING)
        straggler.lag, straggler.projection.snapshot = None, old_file
        straggler.restart()
        await ask_as_application(stage, "unrelated")
        while last_asked(stage) != straggler.proxy.number:  # the one probe of the last look goes to the other one
            await ask_as_application(stage, "unrelated")

        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.slack.until(
            lambda: not old_key_is_there(stage) or "Not deleted" in stage.thread(card) or "stopped:" in card.plain,
            timeout=60,
            what="the delete, or a void",
        )

        assert old_key_is_there(stage)
        told = stage.thread(card)
        assert "requests on the old key" in told or "started again" in told


def last_asked(stage: Stage) -> int:
    """Return the number of the production replica that answered last."""
    return [call.replica for call in stage.aisix.gateway_calls if call.environment == "production"][-1]


async def ask_as_application(stage: Stage, alias: str) -> None:
    url, token = stage.aisix.gateway_url("production"), stage.aisix.app_caller_key("production")
    async with http_client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as http:
        path, body = question(alias, "chat", "Hello")
        await http.post(path, json=body)


BLIND = {"model_create": False, "status_urls": False}


async def accept_all(stage: Stage, card: Message) -> None:
    """Have the approver accept everything that can be, until the delete is offered."""
    approver = stage.slack.person("U_APPROVER")
    while "Delete old key" not in card.buttons:
        version = (await stage.record()).version
        await stage.press("Accept unproved", card, who="U_APPROVER")
        await stage.slack.until(lambda: approver.modal, what="the form")
        view = approver.modal
        options = next(b["element"]["options"] for b in view["blocks"] if "options" in b.get("element", {}))
        await approver.submit({"models": [o["text"]["text"] for o in options], "reason": "asked by hand"})
        await stage.recorded(lambda r, v=version: r.version > v and r.state in ENDS)
        await stage.slack.until(lambda: {"Delete old key", "Accept unproved"} & set(card.buttons), what="the next card")


async def test_models_accepted_while_they_answered_are_asked_about_again_when_they_do_not(redis_url: str) -> None:
    async with set_up(redis_url, overrides={"VERIFY_TIMEOUT": "0.5", "WAVES": "rest"}, **BLIND) as stage:
        card = await run_into(stage, "stopped: the new secret is not proved")
        await accept_all(stage, card)
        stage.aisix.upstream.set(NEW_SECRET, 500)
        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.slack.until(
            lambda: not old_key_is_there(stage) or "stopped:" in card.plain or "Not deleted" in stage.thread(card),
            what="the delete, or a void",
        )

        assert old_key_is_there(stage)


# --- evidence of nothing ---


async def test_an_environment_of_which_no_model_is_asked_proves_nothing(redis_url: str) -> None:
    async with stage_of(redis_url) as stage:
        gateways = json.loads(stage.aisix.settings()["AISIX_GATEWAYS"])
        for gateway in gateways.values():
            gateway["probes"] = {"chat-large": "skip", "support-embed": "skip"}
        stage.overrides["AISIX_GATEWAYS"] = json.dumps(gateways)
        async with stage.bot():
            card = await stage.ask()
            await stage.give(card, WRONG_SECRET)
            await stage.slack.until(
                lambda: "stopped:" in card.plain or WAITING in card.plain, timeout=60, what="the end"
            )

            assert "Delete old key" not in card.buttons


# --- ways in which a rotation gets stuck ---


async def test_a_model_that_falters_during_the_soak_is_verified_anew_without_status_addresses(redis_url: str) -> None:
    overrides = {"SOAK": "1", "LOOK_INTERVAL": "0.3", "VERIFY_TIMEOUT": "4", "PROJECTION_TIMEOUT": "5"}
    async with set_up(redis_url, overrides=overrides, status_urls=False) as stage:
        card = await stage.ask()
        await stage.give(card)
        await stage.recorded(lambda r: "verify" in r.done)
        stage.aisix.upstream.set(NEW_SECRET, 429)
        await stage.recorded(lambda r: "verify" not in r.done)
        stage.aisix.upstream.accept(NEW_SECRET)

        await stage.says(card, WAITING)


async def test_a_planned_model_deleted_before_the_secret_is_given_is_said_and_can_be_gone_on_from(
    redis_url: str,
) -> None:
    async with set_up(redis_url) as stage:
        card = await stage.ask()
        stage.aisix.remove(model_of(stage, "support-embed"), settled=True)
        await stage.give(card)
        await stage.says(card, "stopped:")
        await stage.press("Try again", card)

        await stage.says(card, WAITING)


async def test_a_planned_model_deleted_after_the_cut_over_is_said_and_can_be_gone_on_from(redis_url: str) -> None:
    async with set_up(redis_url, overrides={"WAVES": "rest"}) as stage:
        card = await stage.ask()
        embed = model_of(stage, "support-embed")
        await stage.give(card)
        await stage.recorded(lambda r: "cut-over" in r.done)
        stage.aisix.remove(embed, settled=True)
        for _ in range(3):
            await stage.slack.until(
                lambda: "stopped:" in card.plain or WAITING in card.plain, timeout=60, what="an end"
            )
            if WAITING in card.plain:
                break
            version = (await stage.record()).version
            await stage.press("Try again", card)
            await stage.recorded(lambda r, v=version: r.version > v + 1 and r.state in ENDS)

        await stage.says(card, WAITING)


async def test_a_replacement_deleted_by_a_person_amid_the_verification_is_said(redis_url: str) -> None:
    async with set_up(redis_url, overrides={"WAVES": "rest"}) as stage:
        card = await stage.ask()
        await stage.give(card)
        rotation = await stage.recorded(lambda r: "cut-over" in r.done)
        stage.aisix.remove(stage.aisix.provider_keys[rotation.replacement_id], settled=True)
        await stage.says(card, "stopped:")
        if "the replacement is gone" not in card.plain and "a key is gone" not in card.plain:
            await stage.press("Try again", card)

        await stage.says(card, "someone deleted it")


async def test_a_replica_that_restarts_after_the_barrier_does_not_put_a_proof_out_of_reach(redis_url: str) -> None:
    overrides = {"REQUIRE_PROOF": "true", "WAVES": "rest", "VERIFY_TIMEOUT": "2"}
    async with set_up(redis_url, overrides=overrides) as stage:
        card = await stage.ask()
        straggler = stage.aisix.replicas("production")[1]
        await stage.give(card)
        await stage.recorded(lambda r: "project" in r.done)
        straggler.restart()
        await stage.slack.until(lambda: "stopped:" in card.plain or WAITING in card.plain, timeout=60, what="an end")
        if "stopped:" in card.plain:
            await stage.press("Try again", card)

        await stage.says(card, WAITING)


# --- throw-aways left behind ---


async def test_a_barrier_whose_creation_comes_late_is_removed_all_the_same(redis_url: str) -> None:
    async with set_up(redis_url, overrides={"CONTROL_PLANE_TIMEOUT": "0.5", "PROJECTION_TIMEOUT": "15"}) as stage:
        stage.aisix.faults.hang("POST", "/models")
        card = await run_into(stage, WAITING)
        stage.aisix.faults.release()
        await stage.aisix.until(lambda: left_over(stage), what="the late creation")
        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.thread_says(card, "Receipt")

        assert left_over(stage) == []


@pytest.mark.parametrize("secret", [NEW_SECRET, WRONG_SECRET])
async def test_a_wrong_secret_or_a_right_one_fails_no_request_of_callers(redis_url: str, secret: str) -> None:
    async with set_up(redis_url) as stage:
        url, token = stage.aisix.gateway_url("production"), stage.aisix.app_caller_key("production")
        caller = Caller(url, token, "chat-large", rate=20)
        async with Callers([caller]):
            await run_into(stage, WAITING if secret == NEW_SECRET else "stopped:", secret)

        assert caller.failed == 0
        assert Verdict.REJECTED not in {
            f.current.verdict for f in (await stage.record()).findings.values() if f.current
        }


async def test_a_roll_back_after_a_person_deleted_the_replacement_puts_callers_back_on_the_old_key(
    redis_url: str,
) -> None:
    async with set_up(redis_url, overrides={"WAVES": "rest"}) as stage:
        card = await stage.ask()
        await stage.give(card)
        await stage.says(card, WAITING)
        rotation = await stage.record()
        stage.aisix.remove(stage.aisix.provider_keys[rotation.replacement_id], settled=True)
        await stage.press("Roll back", card)
        await stage.says(card, "rolled back")

        assert {m.provider_key_id for m in stage.aisix.models.values() if m.display_name == "chat-large"} == {
            stage.key_named(KEY).id
        }


async def test_a_creation_that_was_answered_with_a_conflict_is_no_reason_to_skip_the_rehearsal(redis_url: str) -> None:
    async with set_up(redis_url) as stage:
        stage.aisix.faults.fail("POST", "/models", 409, after_effect=True)
        await run_into(stage, "stopped:", WRONG_SECRET)

        assert moves(stage) == []


async def test_a_clock_of_the_web_half_that_is_ahead_does_not_have_every_model_asked_without_end(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    approve = RotationService.approve

    async def ahead(self: RotationService, *args: Any, **more: Any) -> Rotation:
        now = self._now
        self._now = lambda: now() + timedelta(seconds=5)
        try:
            return await approve(self, *args, **more)
        finally:
            self._now = now

    monkeypatch.setattr(RotationService, "approve", ahead)
    async with set_up(redis_url) as stage:
        card = await run_into(stage, WAITING)
        before = len(stage.aisix.gateway_calls)
        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.thread_says(card, "Receipt")

        assert len(stage.aisix.gateway_calls) - before < 60
