"""Redis fails over at the worst moments: nothing is lost, nothing is deleted twice, and clicks soon count again."""

import time
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.rotation import audit
from bot.rotation.states import State
from bot.settings import WrongSettings
from bot.storage.connection import connected
from bot.storage.namespace import BEFORE
from bot.storage.trial import Trial
from sandbox.slack import Message
from tests.support.encrypted import CERTIFICATE
from tests.support.failover import Pair, managed, watched, watched_with_tls
from tests.support.process import until_answer
from tests.support.stage import Stage, free_port, stage_of

WITHIN = 30.0
"""Seconds until a click counts again."""


async def dies(pair: Pair) -> None:
    """The primary is killed; Sentinel promotes the other, and makes it a replica when it is back."""
    await pair.in_step()
    gone = pair.primary
    pair.servers[gone].kill()
    await pair.promoted()
    await pair.servers[gone].restart()


async def hangs(pair: Pair) -> None:
    """The primary takes what is sent and answers nothing; it wakes when there is another."""
    await pair.in_step()
    pair.servers[pair.primary].freeze()
    await pair.promoted()


async def is_left_behind(pair: Pair) -> None:
    """The primary hangs, and the name leads to the other from now on."""
    await pair.in_step()
    pair.servers[pair.primary].freeze()
    async with pair.client(pair.other) as redis:
        await redis.replicaof("NO", "ONE")
    pair.primary = pair.other


async def wakes(pair: Pair) -> None:
    """What hung answers again, and follows the other."""
    pair.servers[pair.other].thaw()
    async with pair.client(pair.other) as redis:
        await redis.replicaof("127.0.0.1", pair.ports[pair.primary])


HOW = {"a moved name, with TLS": (managed, Pair.hand_over, is_left_behind), "Sentinel": (watched, dies, hangs)}


@pytest.mark.parametrize("how", HOW)
async def test_a_fail_over_in_the_cut_over_at_the_approval_and_in_the_delete_is_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    serve, abrupt, silent = HOW[how]
    async with serve(tmp_path, monkeypatch) as pair, stage_of(pair.url) as stage:
        stage.overrides |= {"REDIS_TIMEOUT": "2", "PATIENCE": "120", "PORT": str(free_port())}
        async with stage.bot():
            card = await stage.ask()
            stage.aisix.faults.before("PATCH", "/models/", lambda: abrupt(pair))
            await stage.give(card)
            await stage.says(card, "waiting for an approver")

            async def wakes_and_fails_over() -> None:
                await wakes(pair)
                await abrupt(pair)

            await silent(pair)
            stage.aisix.faults.before("DELETE", "/provider_keys/", wakes_and_fails_over)
            assert await until_a_click_counts(stage, card) < WITHIN

            await stage.thread_says(card, "Receipt")
            await stage.says(card, "old key deleted")
            await until_answer(f"http://127.0.0.1:{stage.overrides['PORT']}/readyz", 200)
            await nothing_is_lost(stage, card)


async def until_a_click_counts(stage: Stage, card: Message) -> float:
    """Have the approver press once a second until the card has taken it; return how long that took."""
    began, person = time.monotonic(), stage.slack.person("U_APPROVER")
    while time.monotonic() - began < 2 * WITHIN:
        with suppress(TimeoutError):
            await stage.slack.until(lambda: "Delete old key" not in card.buttons, timeout=1)
            break
        await person.click("Delete old key", card)
    return time.monotonic() - began


async def nothing_is_lost(stage: Stage, card: Message) -> None:
    calls = [call.method for call in stage.aisix.calls if "/provider_keys" in call.path]
    assert (calls.count("POST"), calls.count("DELETE")) == (1, 1)
    assert stage.built
    assert (await stage.record()).state is State.COMPLETED
    trail = audit.verified([line async for line in stage.built.store.trail()])
    audit.check_records(await stage.built.store.versions(audit.last_versions(trail)), trail, trail)
    for words in ("is ready to finish", "Receipt"):
        assert stage.thread(card).count(words) == 1, words


async def test_sentinel_and_redis_are_asked_over_tls_also_after_a_fail_over_and_only_whom_we_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watched_with_tls(tmp_path, monkeypatch) as pair:
        async with connected(SecretStr(pair.url), 2) as redis:
            with pytest.raises(WrongSettings, match=r"through Sentinel .* trusts their certificates"):
                await Trial(redis, BEFORE).insist()

        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        async with connected(SecretStr(pair.url), 2) as redis:
            await Trial(redis, BEFORE).insist()
            await dies(pair)
            await Trial(redis, BEFORE).insist()
