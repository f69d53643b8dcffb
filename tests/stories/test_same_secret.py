"""The secret that is in use already is refused at the field, where the bot can tell; it keeps little for that."""

import pytest
from redis.asyncio import Redis

from bot.rotation.states import State
from tests.support.stage import NEW_SECRET, WRONG_SECRET, Stage, submitted

PEPPER = "pepper-CANARY-0123456789"
NEWER_SECRET = "sk-newer-CANARY0123456789abcdef"


@pytest.fixture
def peppered(bare_stage: Stage) -> Stage:
    bare_stage.overrides["FINGERPRINT_PEPPER"] = PEPPER
    bare_stage.aisix.upstream.accept(NEWER_SECRET)
    return bare_stage


async def kept(stage: Stage) -> set[str]:
    """Return the keys of which Redis has a fingerprint; none is in a record that waits for nothing."""
    assert stage.built is not None
    for rotation in await stage.built.store.recent(9):
        assert rotation.replacement is None or rotation.replacement.fingerprint is None
    async with Redis.from_url(stage.redis_url, decode_responses=True) as redis:
        return set(await redis.hkeys(stage.namespace.key("fingerprints")))


async def test_g13_the_secret_in_use_is_refused_at_the_field_and_another_one_is_taken(peppered: Stage) -> None:
    async with peppered.bot():
        peppered.aisix.faults.drop("POST", "/provider_keys", after_effect=True)
        card = await peppered.ask()
        await peppered.give(card)
        await peppered.press("Delete old key", card, who="U_APPROVER")
        await peppered.says(card, "old key deleted")
        first = await peppered.record()
        assert not first.same_secret_checked, "the old key was made by somebody else"
        card = await peppered.ask(first.replacement_id)

        refused = await peppered.give(card, f"  {NEW_SECRET}\n")

        assert refused.errors["secret"].startswith("This is the secret that is in use already: it would pass every")
        assert (await peppered.record()).attempt == 0

        person = peppered.slack.person("U_REQUESTER")
        assert (await submitted(person, {"secret": WRONG_SECRET})).closed
        await peppered.press("Another secret", card)
        await peppered.slack.until(lambda: person.modal, what="the form")
        await peppered.recorded(lambda rotation: rotation.state is State.AWAITING_SECRET)
        assert list((await submitted(person, {"secret": NEW_SECRET})).errors) == ["secret"]
        assert await kept(peppered) == {first.replacement_id}

        await submitted(person, {"secret": NEWER_SECRET})
        await peppered.press("Delete old key", card, who="U_APPROVER")
        await peppered.says(card, "old key deleted")
        second = await peppered.record()
        assert second.same_secret_checked
        assert await kept(peppered) == {second.replacement_id}
