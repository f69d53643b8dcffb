"""The shapes in which a key is used, from the impact card to the receipt, while applications ask all the while.

What goes wrong in each of them is in tests/bot: test_traps.py, test_waves.py, test_wildcards.py.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bot.aisix.client import http_client
from sandbox.aisix import Aisix, Switches
from sandbox.caller import Caller, Callers
from sandbox.slack import Message, Slack
from tests.support.stage import IN_WAVES, KEY, NEW_SECRET, OLD_SECRET, Stage

WAITING = "waiting for an approver"


@asynccontextmanager
async def shape(redis_url: str, *environments: str, **switches: Any) -> AsyncIterator[Stage]:
    """Set a stage with one key, allowed everywhere and used nowhere yet."""
    async with Slack() as slack, Aisix(Switches(**switches), dict.fromkeys(environments, 2)) as aisix:
        stage = Stage(slack, aisix, redis_url)
        aisix.add_key(KEY, secret=OLD_SECRET)
        aisix.add_key("Other key", secret="sk-other-0123456789abc")
        aisix.upstream.accept(NEW_SECRET)
        yield stage
        assert slack.complaints == []


def add(stage: Stage, alias: str, upstream: str = "gpt-4o", *, where: str = "production", on: str = KEY) -> Any:
    """Have a person add a model."""
    kind = "embedding" if "embedding" in upstream else "direct"
    return stage.aisix.add_model(where, alias, key=stage.key_named(on), upstream=upstream, kind=kind)


@asynccontextmanager
async def asked(stage: Stage, *aliases: str, embeddings: tuple[str, ...] = ()) -> AsyncIterator[None]:
    """Have applications ask for *aliases* all the while, a last time at the end; none of them may be failed."""
    url, token = stage.aisix.gateway_url("production"), stage.aisix.app_caller_key("production")
    callers = [Caller(url, token, alias, rate=6) for alias in aliases]
    callers += [Caller(url, token, alias, rate=6, endpoint="embeddings") for alias in embeddings]
    async with Callers(callers) as all_of_them:
        yield
        before = {caller: caller.sent for caller in callers}
        await stage.aisix.until(lambda: all(c.ok + c.failed > n + 1 for c, n in before.items()), what="last answers")
    assert all_of_them.failures == []


async def status_of(stage: Stage, alias: str, where: str = "production", path: str = "/v1/chat/completions") -> int:
    """Ask once, as an application does."""
    headers = {"Authorization": f"Bearer {stage.aisix.app_caller_key(where)}"}
    body = {"model": alias, "messages": [{"role": "user", "content": "Hello"}]}
    async with http_client([], base_url=stage.aisix.gateway_url(where), headers=headers) as http:
        return (await http.post(path, json=body)).status_code


async def approve(stage: Stage, card: Message) -> None:
    """Have it deleted, and see that all of the old key is gone and nothing of ours is left over."""
    old, other = stage.key_named(KEY), stage.key_named("Other key")
    rows = [*stage.aisix.models.values(), *stage.aisix.store.passthrough_routes.values()]
    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.thread_says(card, "Receipt")

    assert old.id not in stage.aisix.provider_keys
    assert {row.provider_key_id for row in rows} <= {(await stage.record()).replacement_id, other.id, None}
    assert not any(model.display_name.startswith("keyturn-") for model in stage.aisix.models.values())


THREE = ("development", "staging", "production")


async def test_g9_a_shared_key_is_moved_environment_by_environment_also_where_it_is_not_allowed(redis_url: str) -> None:
    async with shape(redis_url, *THREE) as stage:
        for where in THREE:
            add(stage, "chat", where=where)
            add(stage, "chat-small", "gpt-4o-mini", where=where)
        ids = {name: stage.aisix.environment(name).id for name in THREE}
        stage.aisix.edit(stage.key_named(KEY), allowed_environments=[ids["production"]], settled=True)
        stage.overrides |= {"ENVIRONMENT_ORDER": ",".join(THREE), **IN_WAVES}
        async with stage.bot(), asked(stage, "chat", "chat-small"):
            assert await status_of(stage, "chat", "staging") == 400  # the key is not there: they fail as it is
            card = await stage.ask()
            assert "6 models in 3 environments use this key." in card.plain
            for where in ("development", "staging"):
                assert f"The old key is not allowed in {where}, but 2 models there use it" in card.plain
            await stage.give(card)
            await stage.says(card, WAITING)

            patches = [c.path for c in stage.aisix.calls if c.method == "PATCH" and "/models/" in c.path]
            assert list(dict.fromkeys(path.split("/")[3] for path in patches)) == list(ids.values())
            assert set(stage.key_named("(20").allowed_environments) == {*ids.values()}
            await approve(stage, card)
            assert [await status_of(stage, "chat", where) for where in THREE] == [200, 200, 200]


def used_everywhere(stage: Stage) -> Any:
    """Put the key behind an alias of every kind; return the passthrough route that holds it."""
    chat, judge = add(stage, "chat"), add(stage, "judge", "gpt-4.1")
    embedder, billing = add(stage, "embedder", "text-embedding-3-small"), add(stage, "billing", on="Other key")
    add(stage, "openai/*", "*")
    router = {"embedding_model": embedder, "routes": [billing], "default": chat}
    stage.aisix.add_model("production", "support", kind="semantic", **router)
    stage.aisix.add_model("production", "council", kind="ensemble", panel=[chat, billing], judge=judge)
    stage.aisix.add_cache_policy("production", "similar", embedding_model=embedder)
    stage.aisix.environment("production").cache = "semantic"
    stage.aisix.environment("production").probes = {"openai/*": "openai/o3"}
    return stage.aisix.add_passthrough("production", "files", key=stage.key_named(KEY))


async def test_g16_a_key_behind_every_kind_of_alias_is_rotated_and_no_caller_notices(redis_url: str) -> None:
    async with shape(redis_url, "production") as stage:
        route = used_everywhere(stage)
        async with (
            stage.bot(),
            asked(stage, "chat", "judge", "support", "council", "openai/o3", embeddings=("embedder",)),
        ):
            card = await stage.ask()
            assert "4 models in 1 environment use this key; 3 more aliases depend on them." in card.plain
            assert "support (semantic router, by its embedding model" in card.plain
            assert "similar (semantic cache policy, by its embedding model, production)" in card.plain
            assert "council (ensemble, in its panel" in card.plain
            assert "The passthrough route files in production holds this key. Keyturn doesn't move routes" in card.plain
            await stage.give(card)
            await stage.says(card, "stopped: a route still uses the old key")
            assert "point it at the replacement, then try again" in card.plain
            assert "Delete old key" not in card.buttons
            assert await status_of(stage, "gpt-4o", path="/passthrough/files/chat/completions") == 200

            stage.aisix.edit(route, key=stage.key_named("(20"))
            await stage.press("Try again", card)
            await stage.says(card, WAITING)

            await approve(stage, card)
            assert await status_of(stage, "gpt-4o", path="/passthrough/files/chat/completions") == 200
