"""Many models: the speed of the cut-over, and few enough calls to Slack."""

import pytest

from tests.support.stage import KEY, Stage

pytestmark = pytest.mark.rest


def add_models(stage: Stage, environment: str, many: int) -> None:
    key = stage.key_named(KEY)
    for number in range(many):
        stage.aisix.add_model(environment, f"model-{number:03}", key=key, upstream="gpt-4o")


@pytest.mark.timeout(180)
async def test_models_are_moved_side_by_side_and_looked_at_by_the_list(bare_stage: Stage) -> None:
    add_models(bare_stage, "production", 48)
    add_models(bare_stage, "staging", 49)
    bare_stage.overrides |= {"WAVES": "rest", "CONTROL_PLANE_CONCURRENCY": "16", "CONTROL_PLANE_TIMEOUT": "60"}
    async with bare_stage.bot():
        card, aisix = await bare_stage.ask(), bare_stage.aisix
        aisix.faults.hang("PATCH", "/models/", times=16)  # nothing but calls at the same time gets these answered
        await bare_stage.give(card)
        await aisix.until(lambda: aisix.gate.under_way == 16, timeout=60, what="16 models moved at the same time")
        aisix.faults.release()
        await bare_stage.says(card, "waiting for an approver", timeout=80)

        assert aisix.most_calls_at_once == 16
        assert len({call.path for call in aisix.calls if call.method == "PATCH"}) == 100
        rows = {f"/api/environments/{m.environment_id}/models/{m.id}" for m in aisix.models.values()}
        assert not [call for call in aisix.calls if call.method == "GET" and call.path in rows]


@pytest.mark.timeout(300)
async def test_500_models_are_all_on_the_card_or_in_the_thread_within_slacks_limits(bare_stage: Stage) -> None:
    add_models(bare_stage, "production", 500)
    bare_stage.overrides |= {"PROBES": "1", "SLACK_EDITS_PER_MINUTE": "45"}
    async with bare_stage.bot():
        card = await bare_stage.ask()
        assert "503 models in 2 environments" in card.plain
        await bare_stage.give(card)
        await bare_stage.says(card, "waiting for an approver", timeout=150)
        await bare_stage.press("Delete old key", card, who="U_APPROVER")
        await bare_stage.thread_says(card, "Receipt", timeout=100)

        everything = card.plain + bare_stage.thread(card)
        assert all(f"model-{number:03}" in everything for number in range(500))
        calls = bare_stage.slack.calls
        edits = [call.at for call in calls if call.method == "chat.update"]
        assert all(sum(begin <= at < begin + 60 for at in edits) <= 50 for begin in edits)  # what Slack allows
        assert [call.method for call in calls].count("chat.postMessage") <= 20


async def test_edits_stay_within_the_budget_and_the_last_state_arrives(bare_stage: Stage) -> None:
    bare_stage.overrides["SLACK_EDITS_PER_MINUTE"] = "20"
    async with bare_stage.bot():
        card = await bare_stage.ask()
        await bare_stage.give(card)
        await bare_stage.press("Delete old key", card, who="U_APPROVER")
        await bare_stage.says(card, "old key deleted", timeout=80)

        edits = [call for call in bare_stage.slack.calls if call.method == "chat.update"]
        assert len(edits) <= 22
