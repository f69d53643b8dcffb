"""The secret that is in use already is refused at the field, where the bot can tell; it keeps little for that."""

from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.support.process import bot_process, ran
from tests.support.stage import KEY, NEW_SECRET, OLD_SECRET, WRONG_SECRET, Stage

PEPPER = "pepper-CANARY-0123456789"
NEWER_SECRET = "sk-newer-CANARY0123456789abcdef"


@pytest.fixture
def peppered(bare_stage: Stage) -> Stage:
    bare_stage.overrides["FINGERPRINT_PEPPER"] = PEPPER
    bare_stage.aisix.upstream.accept(NEWER_SECRET)
    return bare_stage


async def rotated(stage: Stage, asked: str = KEY, secret: str = NEW_SECRET) -> Any:
    """A rotation up to its deleted key; return its record."""
    card = await stage.ask(asked)
    await stage.give(card, secret)
    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.says(card, "old key deleted")
    return await stage.record()


async def kept(stage: Stage) -> dict[str, str]:
    """Return the fingerprints in Redis; none is in a record that waits for nothing."""
    assert stage.built is not None
    for rotation in await stage.built.store.recent(9):
        assert rotation.replacement is None or rotation.replacement.fingerprint is None
    async with Redis.from_url(stage.redis_url, decode_responses=True) as redis:
        return dict(await redis.hgetall(stage.namespace.key("fingerprints")))


def creations(stage: Stage) -> list[Any]:
    return [call for call in stage.aisix.calls if call.method == "POST" and call.path.endswith("/provider_keys")]


async def test_the_secret_in_use_is_refused_at_the_field_and_another_one_is_taken(peppered: Stage) -> None:
    async with peppered.bot():
        first = await rotated(peppered)
        assert not first.same_secret_checked, "the old key was made by somebody else"
        card = await peppered.ask(first.replacement_id)

        refused = await peppered.give(card, f"  {NEW_SECRET}\n")

        assert not refused.closed
        assert list(refused.errors) == ["secret"]
        assert refused.errors["secret"].startswith("This is the secret that is in use already: it would pass every")
        assert len(creations(peppered)) == 1
        assert (await peppered.record()).attempt == 0

        assert (await peppered.slack.person("U_REQUESTER").submit({"secret": NEWER_SECRET})).closed
        await peppered.says(card, "waiting for an approver")
        second = await peppered.record()
        assert second.same_secret_checked
        assert set(await kept(peppered)) == {first.replacement_id, second.replacement_id}

        await peppered.press("Delete old key", card, who="U_APPROVER")
        await peppered.says(card, "old key deleted")
        assert set(await kept(peppered)) == {second.replacement_id}


async def test_without_a_pepper_nothing_is_kept_and_the_same_secret_passes_unknown(stage: Stage) -> None:
    first = await rotated(stage)
    card = await stage.ask(first.replacement_id)

    await stage.give(card)
    await stage.says(card, "waiting for an approver")

    assert not (await stage.record()).same_secret_checked
    assert await kept(stage) == {}


async def test_the_secret_of_another_key_is_let_be(peppered: Stage) -> None:
    async with peppered.bot():
        await rotated(peppered)

        second = await rotated(peppered, "Other key")

        assert second.replacement_id in await kept(peppered)


async def test_another_secret_has_to_be_told_apart_anew_and_a_refused_one_is_forgotten(peppered: Stage) -> None:
    async with peppered.bot():
        first = await rotated(peppered)
        card = await peppered.ask(first.replacement_id)
        await peppered.give(card, WRONG_SECRET)
        await peppered.says(card, "stopped: the new secret was refused")
        assert (await peppered.record()).same_secret_checked
        await peppered.press("Another secret", card)
        await peppered.says(card, "waiting for the new secret")
        assert not (await peppered.record()).same_secret_checked
        assert set(await kept(peppered)) == {first.replacement_id}

        person = peppered.slack.person("U_REQUESTER")
        await peppered.slack.until(lambda: person.modal, what="the form")
        refused = await person.submit({"secret": NEW_SECRET})
        await person.submit({"secret": NEWER_SECRET})
        await peppered.says(card, "waiting for an approver")

        assert list(refused.errors) == ["secret"]
        second = await peppered.record()
        assert second.same_secret_checked
        assert set(await kept(peppered)) == {first.replacement_id, second.replacement_id}


async def test_a_rotation_that_was_rolled_back_leaves_no_fingerprint(peppered: Stage) -> None:
    async with peppered.bot():
        card = await peppered.ask()
        await peppered.give(card)
        await peppered.says(card, "waiting for an approver")
        assert set(await kept(peppered)) == {(await peppered.record()).replacement_id}

        await peppered.press("Roll back", card)
        await peppered.says(card, "rolled back")

        assert await kept(peppered) == {}


async def test_a_replacement_whose_creation_was_never_answered_is_known_all_the_same(peppered: Stage) -> None:
    async with peppered.bot():
        peppered.aisix.faults.drop("POST", "/provider_keys", after_effect=True)
        first = await rotated(peppered)
        card = await peppered.ask(first.replacement_id)

        refused = await peppered.give(card, NEW_SECRET)

        assert list(refused.errors) == ["secret"]


async def test_a_creation_that_never_happened_leaves_no_fingerprint(peppered: Stage) -> None:
    async with peppered.bot():
        peppered.aisix.faults.drop("POST", "/provider_keys", after_effect=False)
        card = await peppered.ask()
        await peppered.give(card)
        await peppered.says(card, "please give it once more")

        assert await kept(peppered) == {}


async def test_a_refused_creation_leaves_no_fingerprint(peppered: Stage) -> None:
    async with peppered.bot():
        peppered.aisix.faults.fail("POST", "/provider_keys", 409)
        card = await peppered.ask()
        await peppered.give(card)
        await peppered.says(card, "the replacement was not created")

        assert await kept(peppered) == {}


async def test_with_another_pepper_the_bot_cannot_tell_and_forgets(peppered: Stage) -> None:
    async with peppered.bot():
        first = await rotated(peppered)
    peppered.overrides["FINGERPRINT_PEPPER"] = PEPPER.swapcase()
    async with peppered.bot():
        card = await peppered.ask(first.replacement_id)
        assert await kept(peppered) == {}

        await peppered.give(card, NEWER_SECRET)
        await peppered.says(card, "waiting for an approver")

        assert not (await peppered.record()).same_secret_checked


async def test_the_fingerprint_of_a_key_that_somebody_deleted_is_forgotten_with_the_next_question(
    peppered: Stage,
) -> None:
    async with peppered.bot():
        first = await rotated(peppered)
        peppered.aisix.remove(peppered.aisix.provider_keys[first.replacement_id])

        await peppered.ask("Other key")

        assert await kept(peppered) == {}


async def test_a_replacement_that_is_not_listed_while_its_rotation_is_under_way_keeps_its_fingerprint(
    peppered: Stage,
) -> None:
    async with peppered.bot():
        card = await peppered.ask()
        await peppered.give(card)
        await peppered.says(card, "waiting for an approver")
        replacement = (await peppered.record()).replacement_id
        peppered.aisix.remove(peppered.aisix.provider_keys[replacement])

        await peppered.ask("Other key")

        assert set(await kept(peppered)) == {replacement}


async def test_neither_pepper_nor_secret_is_in_redis_or_in_the_log(peppered: Stage, tmp_path: Path) -> None:
    async with bot_process(peppered.environ, tmp_path) as bot:
        card = await peppered.ask()
        await peppered.give(card)
        await peppered.says(card, "waiting for an approver")
        async with Redis.from_url(peppered.redis_url) as redis:
            await redis.config_set("rdbcompression", "no")
            stored = b"".join([await redis.dump(key) or b"" async for key in redis.scan_iter()])
        await bot.terminated()

    for canary in (PEPPER, NEW_SECRET, OLD_SECRET):
        assert canary.encode() not in stored
        assert canary not in bot.output


async def test_a_pepper_that_is_too_short_is_said_in_one_sentence_without_it(peppered: Stage, tmp_path: Path) -> None:
    peppered.overrides["FINGERPRINT_PEPPER"] = PEPPER[:15]

    status, said = await ran(peppered.environ, tmp_path, "check")

    assert status == 1
    assert "FINGERPRINT_PEPPER is wrong: it should be at least 16 characters" in said
    assert PEPPER[:15] not in said


async def test_the_check_does_not_show_the_pepper(peppered: Stage, tmp_path: Path) -> None:
    _, said = await ran(peppered.environ, tmp_path, "check")

    assert PEPPER not in said
