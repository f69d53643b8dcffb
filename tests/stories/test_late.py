"""A click that Slack has called failed deletes nothing and accepts nothing, whatever the bot's own clock says."""

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.rotation.states import State
from tests.support.process import bot_process
from tests.support.stage import Stage, stage_of


def delayed(stage: Stage, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Have whatever is pressed from now on bear the time of so many seconds ago."""
    genuine = stage.slack._deliver  # noqa: SLF001 - as a network would have it

    async def late(kind: str, payload: dict[str, Any]) -> Any:
        actions = [
            action | {"action_ts": f"{float(action['action_ts']) - seconds:.6f}"}
            for action in payload.get("actions", ())
        ]
        return await genuine(kind, payload | ({"actions": actions} if actions else {}))

    monkeypatch.setattr(stage.slack, "_deliver", late)


@pytest.mark.parametrize("clock", [timedelta(0), timedelta(minutes=10), timedelta(minutes=-10)])
async def test_a_late_click_on_delete_is_refused_and_the_next_one_counts_whatever_our_clock_says(
    bare_stage: Stage, monkeypatch: pytest.MonkeyPatch, clock: timedelta
) -> None:
    bare_stage.began = datetime.now(UTC) + clock
    async with bare_stage.bot():
        card = await bare_stage.ask()
        await bare_stage.give(card)
        await bare_stage.says(card, "waiting for an approver")
        with monkeypatch.context() as patch:
            delayed(bare_stage, patch, 70)
            await bare_stage.press("Delete old key", card, who="U_APPROVER")

        said = await bare_stage.told("U_APPROVER", "so it did not count. Look at the card, then press again.")
        assert "s after you pressed it" in said
        assert await bare_stage.state() is State.AWAITING_APPROVAL
        await bare_stage.press("Delete old key", card, who="U_APPROVER")
        await bare_stage.says(card, "old key deleted")


@pytest.mark.parametrize("mode", ["socket", "http"])
async def test_a_form_that_is_sent_while_the_bot_is_frozen_does_not_count_when_it_goes_on(
    redis_url: str, tmp_path: Path, mode: str
) -> None:
    async with stage_of(redis_url, mode=mode) as stage:
        stage.overrides |= {"CLICK_MAX_AGE": "2", "PROJECTION_TIMEOUT": "1", "VERIFY_TIMEOUT": "1"}
        stage.aisix.switches.model_create = stage.aisix.switches.status_urls = False
        stage.aisix.switches.tell_replicas = False
        approver = stage.slack.person("U_APPROVER")
        async with bot_process(stage.environ, tmp_path) as bot:
            card = await stage.ask()
            await stage.give(card)
            await stage.press("Accept unproved", card, who="U_APPROVER")
            await stage.slack.until(lambda: approver.modal, what="the form")
            stage.slack.ack_within, shown = 4, card.plain
            os.kill(bot.pid, signal.SIGSTOP)  # what Slack sends meanwhile waits for it
            answer = await approver.submit({"causes": ["chat-large in production"], "reason": "I saw it answer"})
            os.kill(bot.pid, signal.SIGCONT)
            assert answer.error == "operation_timeout"

            await stage.slack.until(lambda: "did not count" in told(stage), what="the refusal")

            assert "so it did not count. Look at the card, then press again." in told(stage)
            assert card.plain == shown


def told(stage: Stage) -> str:
    """Return what only the approver has been told."""
    direct = [message.plain for message in stage.slack.direct_messages("U_APPROVER")]
    return " ".join([*direct, *(each["text"] for each in stage.slack.person("U_APPROVER").ephemerals)])
