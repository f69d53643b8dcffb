"""What becomes of a model that was asked at the wrong endpoint: an approver accepts it by its name."""

from typing import Any

from bot.rotation.evidence import Verdict
from bot.rotation.stops import StopKind
from sandbox.slack import Message
from tests.support.stage import KEY, NEW_SECRET, Stage, stage_of

QUICK = {"PROJECTION_TIMEOUT": "3", "VERIFY_TIMEOUT": "0.5"}
WAITING = "waiting for an approver"


async def rotate(stage: Stage, key: str, secret: str, words: str) -> Message:
    card = await stage.ask(key)
    await stage.give(card, secret)
    return await stage.says(card, words)


async def verdicts(stage: Stage) -> dict[str, Verdict]:
    rotation = await stage.record()
    current = {m.alias: rotation.finding(m).current for m in rotation.plan.models if m.environment_name != "staging"}
    return {alias: seen.verdict for alias, seen in current.items() if seen}


# --- embedding models that call themselves direct ---


def add_direct(stage: Stage, alias: str, **settings: Any) -> None:
    """Add a model of an embedding upstream that calls itself direct."""
    key = stage.key_named(KEY)
    stage.aisix.add_model("production", alias, key=key, upstream="text-embedding-3-small", **settings)


async def test_a_model_that_was_asked_at_the_wrong_endpoint_can_be_accepted_by_name(redis_url: str) -> None:
    async with stage_of(redis_url, overrides=QUICK) as stage, stage.bot():
        add_direct(stage, "embed")

        card = await rotate(stage, KEY, NEW_SECRET, "stopped:")

        rotation = await stage.record()
        assert (rotation.stop.kind, rotation.stop.headline) == (StopKind.UNVERIFIED, "the new secret is not proved")
        assert "cannot be probed: name an endpoint in `probes`" in rotation.stop.sentence
        assert (await verdicts(stage))["embed"] is Verdict.INCONCLUSIVE
        assert "Delete old key" not in card.buttons

        approver = stage.slack.person("U_APPROVER")
        await stage.press("Accept unproved", card, who="U_APPROVER")
        await stage.slack.until(lambda: approver.modal, what="the form")
        await approver.submit({"models": ["embed in production"], "reason": "embeds, and is asked every night"})
        await stage.says(card, WAITING)

        assert {v for alias, v in (await verdicts(stage)).items() if alias != "embed"} == {Verdict.PROVED}
