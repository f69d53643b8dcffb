"""Redis answers PING and refuses writes: the check, a start, `/readyz` and who clicks say why; then all goes on."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from bot import start
from bot.app import parts
from bot.settings import WrongSettings, read_settings
from bot.storage.trial import Trial
from tests.support.process import until_answer
from tests.support.refusing import OPTIONS, REFUSES, Change, Refusal, admit, between
from tests.support.stage import Stage, free_port
from tests.support.valkey import valkey_in


@pytest.fixture
async def redis_url(tmp_path: Path) -> AsyncIterator[str]:
    """A server of its own, which may be kept from serving."""
    async with valkey_in(tmp_path, *OPTIONS) as server:
        yield server.url


@pytest.fixture
async def admin(redis_url: str) -> AsyncIterator[Any]:
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        await admit(client)
        yield client


@pytest.fixture
async def limited(bare_stage: Stage, admin: Any) -> AsyncIterator[Stage]:
    """The stage with a bot that is such a user."""
    assert admin
    bare_stage.overrides |= {
        "REDIS_URL": bare_stage.redis_url.replace("://", "://bot:p@"),
        "REDIS_TIMEOUT": "2",
        "PORT": str(free_port()),
    }
    async with bare_stage.bot():
        yield bare_stage


def acl(*words: str) -> Change:
    return lambda admin: admin.execute_command("ACL", *words)


OF_THE_USER = {
    "NOPERM": Refusal("does not allow Keyturn's user", between(acl("SETUSER", "bot", "-evalsha"), admit)),
    "WRONGPASS": Refusal("refuses the user or the password", between(acl("DELUSER", "bot"), admit)),
}
REFUSED = REFUSES | OF_THE_USER


@pytest.mark.parametrize("word", REFUSED)
async def test_while_redis_takes_no_write_the_check_the_start_readyz_and_clicks_say_why(
    limited: Stage, admin: Any, word: str
) -> None:
    card, readyz = await limited.ask(), f"http://127.0.0.1:{limited.overrides['PORT']}/readyz"
    await limited.is_linked()
    async with REFUSED[word].during(admin):
        await everybody_is_told(limited, readyz, f"({word})", REFUSED[word].said)

    await until_answer(readyz, 200)
    await limited.press("Cancel", card)
    await limited.says(card, "cancelled")


async def everybody_is_told(stage: Stage, readyz: str, *words: str) -> None:
    """Look at every cell: checked, started, running, clicked."""
    settings = read_settings(None, stage.environ)
    found = [each.said for each in await start.checked(settings, lambda _: None) if each.about == "Redis"]
    with pytest.raises(WrongSettings) as refused:
        async with parts(settings):
            raise AssertionError
    running = await until_answer(readyz, 503)
    await stage.slack.person("U_REQUESTER").command("Other key")
    clicked = await stage.told("U_REQUESTER", words[0])

    for sentence in (*found, str(refused.value), running, clicked):
        assert all(word in sentence for word in words), sentence
    assert len(found) == 1
    assert found[0] == str(refused.value)
    assert "tell the people who run Keyturn" in clicked


OURS = {"acl", "auth", "client", "config", "flushall", "hello", "info", "keys", "select"}
"""What the tests and the connections send."""


async def test_the_trial_tries_every_command_of_a_rotation_and_the_guides_rights_are_enough(
    limited: Stage, admin: Any
) -> None:
    await admin.config_resetstat()
    await admin.execute_command("ACL", "LOG", "RESET")
    card = await limited.ask()
    await limited.give(card)
    await limited.press("Delete old key", card, who="U_APPROVER")
    await limited.thread_says(card, "Receipt")
    used = await commands(admin)
    await admin.config_resetstat()
    await Trial(admin, limited.namespace).insist()
    tried = await commands(admin)

    assert used - tried == set()
    assert len(used) > 20
    assert await admin.execute_command("ACL", "LOG") == []


async def commands(admin: Any) -> set[str]:
    names = {name.removeprefix("cmdstat_") for name in await admin.info("commandstats")}
    return {name for name in names if name.partition("|")[0] not in OURS}
