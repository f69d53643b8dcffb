"""Several keys, one after the other, over real sockets: from the form to the end of the batch."""

import pytest

from handlers.several import SEVERAL
from sandbox.slack import Message
from tests.support.stage import Stage, stage_of


async def message_with(stage: Stage, words: str, *, not_in: tuple[Message, ...] = ()) -> Message:
    """Wait for a message of the channel that says *words*."""

    def found() -> list[Message]:
        return [one for one in stage.slack.messages("C_OPS") if words in one.plain and one not in not_in]

    await stage.slack.until(found, timeout=60, what=f"{words!r} in the channel")
    return found()[0]


@pytest.mark.timeout(300)
async def test_a_batch_stops_at_a_refusal_and_goes_on_by_a_click(
    redis_url: str,
) -> None:
    overrides = {"ONE_APPROVAL_FOR_A_BATCH": "true"}
    async with stage_of(redis_url, overrides=overrides) as stage, stage.bot():
        person = stage.slack.person("U_REQUESTER")
        await person.command(SEVERAL, channel="C_OPS")
        await stage.slack.until(lambda: person.modal, what="the form")
        await person.submit({"provider": "openai"})
        batch = await message_with(stage, "2 keys: ")
        first = await message_with(stage, "waiting for the new secret", not_in=(batch,))
        await stage.says(batch, "1 waiting, 1 under way")
        await stage.says(first, "one of 2 in a batch")
        assert len(stage.slack.messages("C_OPS")) == 2, "the second key waits"

        await stage.give(first)
        await stage.press("Approve all ready", batch, who="U_APPROVER")
        await stage.told("U_APPROVER", "Approved: ")
        second = await message_with(stage, "waiting for the new secret", not_in=(batch, first))
        await stage.says(batch, "1 under way, 1 done")

        await stage.press("Cancel", second)
        await stage.says(batch, "The batch waits: ")
        await stage.press("Go on", batch, who="U_APPROVER")
        await stage.says(batch, "Ended ")

        assert len(stage.slack.messages("C_OPS")) == 3
        assert len(stage.aisix.provider_keys) == 2
