"""Whether Redis serves what the bot does is tried, and what Redis says against it is put into words."""

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis._parsers.base import BaseParser
from redis.asyncio import Redis

from bot.rotation.errors import Unanswerable
from bot.settings import WrongSettings
from bot.storage import scripts
from bot.storage.connection import connected
from bot.storage.outage import ALLOWED, AWAY, UNSURE, answering, trouble_of, wrong_with
from bot.storage.trial import JOBS, KEYS, SCRIPTS, Trial
from tests.bot.values import NAMESPACE
from tests.support.documents import read
from tests.support.refusing import OPTIONS, REFUSES
from tests.support.stage import free_port
from tests.support.valkey import valkey_in

TELL = "so nothing was changed. Try again in a minute. If it stays like that, tell the people who run Keyturn: "


async def said_of(redis: Redis) -> tuple[str, str]:
    """Return what the check and a start say, and what `/readyz` and who clicks are told."""
    trial = Trial(redis, NAMESPACE)
    with pytest.raises(WrongSettings) as wrong:
        await trial.insist()
    with pytest.raises(Unanswerable) as away:
        await trial.passed()
    return str(wrong.value), str(away.value)


# --- what it tries ---


async def test_the_trial_touches_no_key_of_the_bot_and_leaves_none_even_if_many_run_at_once(redis):
    own = {*map(NAMESPACE.key, KEYS), *(f"saq:{NAMESPACE.queue}:{kind}" for kind in JOBS)}
    await redis.mset(dict.fromkeys(own, "what the bot has there"))
    await asyncio.gather(*(Trial(redis, NAMESPACE).insist() for _ in range(8)))

    assert {*await redis.keys("*")} == own


def test_the_trial_runs_every_script():
    assert {script for script, _, _ in SCRIPTS} == {
        text for name, text in vars(scripts).items() if name.isupper() and not name.startswith("_") and "call(" in text
    }


async def test_while_redis_hangs_all_who_ask_meanwhile_are_told_by_one_trial():
    asked: list[bytes] = []

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while sent := await reader.read(1000):
            asked.append(sent)
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, connected(SecretStr(url), 0.5) as redis:
        trial = Trial(redis, NAMESPACE)
        for askers in (1, 5):
            found = await asyncio.gather(*(trial.passed() for _ in range(askers)), return_exceptions=True)
            assert [type(each) for each in found] == [Unanswerable] * askers
    assert len(asked) == 4, "two trials, each with a read that waits and a write"


async def test_a_good_trial_counts_for_a_second_and_a_failed_one_does_not(redis, monkeypatch):
    trial = Trial(redis, NAMESPACE)
    await asyncio.gather(trial.passed(), trial.passed())
    before = (await redis.info("commandstats"))["cmdstat_exec"]["calls"]
    await trial.passed()
    assert (await redis.info("commandstats"))["cmdstat_exec"]["calls"] == before

    await redis.config_set("maxmemory", "1")
    loop, clock = asyncio.get_running_loop(), asyncio.get_running_loop().time
    monkeypatch.setattr(loop, "time", lambda: clock() + 1)
    try:
        with pytest.raises(Unanswerable):
            await trial.passed()
    finally:
        await redis.config_set("maxmemory", "0")
    await trial.passed()


BARRED = [
    "-blmove", "-evalsha", "-script", "-@transaction", "-watch", "-publish", "-set", "-hset", "-rename", "-time",
    "-pexpire", "resetchannels",
    "resetkeys ~keyturn:*", "resetkeys ~saq:*", "resetkeys %R~*", "resetkeys ~keyturn:T1* ~saq:*",
]  # fmt: skip


@pytest.mark.parametrize("barred", ["", *BARRED])
async def test_a_user_of_redis_who_may_not_do_all_that_the_bot_does_is_told_what_to_allow(redis, redis_url, barred):
    await redis.execute_command("ACL", "SETUSER", "bot", "reset", "on", ">p", *f"{ALLOWED} {barred}".split())
    async with Redis.from_url(redis_url.replace("://", "://bot:p@"), decode_responses=True) as limited:
        if not barred:
            await Trial(limited, NAMESPACE).insist()
            return
        wrong, away = await said_of(limited)

    assert wrong.startswith("REDIS_URL does not work: its server does not allow Keyturn's user all that")
    assert wrong.endswith(f"(NOPERM). Allow the user of REDIS_URL `{ALLOWED}`.")
    assert TELL in away


def test_the_guide_gives_the_user_what_is_needed():
    assert f"ACL SETUSER keyturn on ><password> {ALLOWED}\n" in read("docs/install.md")


# --- what a server says ---


@pytest.mark.parametrize("word", REFUSES)
async def test_a_server_that_serves_not_all_that_the_bot_does_is_told_and_fine_again_after_it(tmp_path: Path, word):
    said = f"{REFUSES[word].said} ({word})"
    async with (
        valkey_in(tmp_path, *OPTIONS) as server,
        Redis.from_url(server.url, decode_responses=True) as admin,
        connected(SecretStr(server.url), 2) as redis,
    ):
        async with REFUSES[word].during(admin):
            wrong, away = await said_of(redis)
        await Trial(redis, NAMESPACE).insist()

    assert wrong.startswith(f"REDIS_URL does not work: its server {said}. ")
    assert away.startswith(f"Keyturn's store (Redis) {said}, {TELL}")


@pytest.mark.parametrize(
    ("user", "database", "said"),
    [
        ("bot:wrong@", "", "refuses the user or the password (WRONGPASS)"),
        ("", "", "refuses the user or the password (NOAUTH)"),
        (":own@", "?db=99", "has no database of that number (DB index)"),
    ],
)
async def test_a_refused_login_is_told(redis, redis_url, user, database, said):
    await redis.execute_command("ACL", "SETUSER", "default", "resetpass", ">own")
    try:
        async with Redis.from_url(f"{redis_url.replace('://', f'://{user}')}{database}") as refused:
            wrong, _ = await said_of(refused)
    finally:
        await redis.execute_command("ACL", "SETUSER", "default", "nopass")

    assert wrong.startswith(f"REDIS_URL does not work: its server {said}. ")


async def test_a_cluster_is_refused_in_one_sentence(tmp_path: Path):
    ports = ("--port", str(free_port()), "--cluster-port", str(free_port()))
    options = (*ports, "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf")
    async with valkey_in(tmp_path, *options) as server, Redis.from_url(server.url, decode_responses=True) as redis:
        without_slots, _ = await said_of(redis)
        await redis.execute_command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        async with asyncio.timeout(120):
            while "cluster_state:ok" not in await redis.execute_command("CLUSTER", "INFO"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        with_all_of_them, _ = await said_of(redis)

    for wrong in (without_slots, with_all_of_them):
        assert wrong.startswith("REDIS_URL does not work: its server is a Redis Cluster, which Keyturn can't use (")
        assert wrong.endswith("). Give it one server, or one primary with replicas.")


ERRORS = {
    "MOVED 3999 127.0.0.1:6381": "is a Redis Cluster",
    "ASK 3999 127.0.0.1:6381": "is a Redis Cluster",
    "TRYAGAIN Multiple keys request during rehashing of slot": "is a Redis Cluster",
    "ERR SELECT is not allowed in cluster mode": "is a Redis Cluster",
    "ERR AUTH <password> called without any password configured for the default user.": "refuses the user or the",
    "ERR unknown command 'BLMOVE', with args beginning with: ": "lacks a command that Keyturn needs (unknown command)",
}
"""What a server says, which is hard to have said."""


def test_what_a_server_can_say_is_put_into_words():
    assert {text: trouble_of(BaseParser.parse_error(text)).said.startswith(said) for text, said in ERRORS.items()} == (
        dict.fromkeys(ERRORS, True)
    )
    assert trouble_of(BaseParser.parse_error("ERR something else about READONLY")) is None
    nowhere = Redis.from_url("redis://u:CANARY@host/1")
    said = wrong_with(OSError("redis://:CANARY@host"), nowhere)
    assert said.startswith("REDIS_URL does not answer (OSError): ")
    assert said.endswith(" and this machine has to reach host:6379.")


async def test_a_refused_write_that_may_have_happened_is_not_reported_as_without_effect():
    for sentence, says in ((AWAY, "so nothing was changed"), (UNSURE, "Keyturn cannot tell whether this was recorded")):
        with pytest.raises(Unanswerable) as away:
            async with answering(sentence):
                raise BaseParser.parse_error("READONLY You can't write against a read only replica.")
        assert says in str(away.value)
        assert "(READONLY)" in str(away.value)
