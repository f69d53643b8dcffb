"""The shapes in which a key is used, a section each: from the impact card to the receipt, and what goes wrong there.

Every world here is an environment or three with two replicas each, and applications that ask all the while.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from bot.aisix.client import http_client
from bot.rotation.evidence import Verdict
from bot.rotation.record import Rotation
from bot.rotation.states import State
from sandbox.aisix import Aisix, Switches
from sandbox.caller import Caller, Callers
from sandbox.slack import Message, Slack
from tests.support.stage import KEY, NEW_SECRET, OLD_SECRET, Stage

WAITING = "waiting for an approver"
SHORT = {"PROJECTION_TIMEOUT": "1.5", "VERIFY_TIMEOUT": "1.5"}
CHAT, SMALL, EMBEDDING = "gpt-4o", "gpt-4o-mini", "text-embedding-3-small"


@asynccontextmanager
async def shape(redis_url: str, *environments: str, **switches: Any) -> AsyncIterator[Stage]:
    """Set a stage with one key, allowed everywhere and used nowhere yet."""
    names = environments or ("production",)
    async with Slack() as slack, Aisix(Switches(**switches), dict.fromkeys(names, 2)) as aisix:
        stage = Stage(slack, aisix, redis_url, dict(SHORT))
        aisix.add_key(KEY, secret=OLD_SECRET)
        aisix.add_key("Other key", secret="sk-other-0123456789abc")
        aisix.upstream.accept(NEW_SECRET)
        yield stage
        assert slack.complaints == []


def add(
    stage: Stage, alias: str, upstream: str = CHAT, *, where: str = "production", on: str = KEY, **more: Any
) -> Any:
    """Have a person add a model."""
    return stage.aisix.add_model(where, alias, key=stage.key_named(on), upstream=upstream, **more)


@asynccontextmanager
async def asked(
    stage: Stage, *aliases: str, embeddings: tuple[str, ...] = (), where: str = "production"
) -> AsyncIterator:
    """Have applications ask for *aliases* all the while, a last time at the end; none of them may be failed."""
    url, token = stage.aisix.gateway_url(where), stage.aisix.app_caller_key(where)
    callers = [Caller(url, token, alias, rate=6) for alias in aliases]
    callers += [Caller(url, token, alias, rate=6, endpoint="embeddings") for alias in embeddings]
    async with Callers(callers) as all_of_them:
        yield all_of_them
        before = {caller: caller.sent for caller in callers}
        await stage.aisix.until(lambda: all(c.ok + c.failed > n + 1 for c, n in before.items()), what="last answers")
    assert all_of_them.failures == []


async def status_of(stage: Stage, alias: str, where: str = "production", path: str = "/v1/chat/completions") -> int:
    """Ask once, as an application does."""
    headers = {"Authorization": f"Bearer {stage.aisix.app_caller_key(where)}"}
    body = {"model": alias, "messages": [{"role": "user", "content": "Hello"}]}
    async with http_client(base_url=stage.aisix.gateway_url(where), headers=headers) as http:
        return (await http.post(path, json=body)).status_code


async def run_into(stage: Stage, words: str) -> Message:
    """Rotate until the card says *words*."""
    card = await stage.ask()
    await stage.give(card)
    return await stage.says(card, words)


async def approve(stage: Stage, card: Message) -> Rotation:
    """Have it deleted, and see that all of the old key is gone and nothing of ours is left over."""
    old = stage.key_named(KEY)
    users = [row for row in _rows(stage) if row.provider_key_id not in (None, stage.key_named("Other key").id)]
    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.thread_says(card, "Receipt")

    rotation = await stage.record()
    assert rotation.deleted_at
    assert old.id not in stage.aisix.provider_keys
    assert {row.provider_key_id for row in users} <= {rotation.replacement_id}
    assert leftovers(stage) == []
    return rotation


def _rows(stage: Stage) -> list[Any]:
    return [*stage.aisix.models.values(), *stage.aisix.store.passthrough_routes.values()]


def leftovers(stage: Stage) -> list[str]:
    return [model.display_name for model in stage.aisix.models.values() if model.display_name.startswith("keyturn-")]


def nothing_is_deleted(stage: Stage, card: Message) -> bool:
    """Tell whether the old key is there, and not even offered for deletion."""
    return stage.key_named(KEY) is not None and "Delete old key" not in card.buttons


async def verdicts(stage: Stage) -> dict[str, Verdict]:
    """Return the verdict on each model that has one."""
    rotation = await stage.record()
    current = {model.label.replace("`", ""): rotation.finding(model).current for model in rotation.plan.models}
    return {label: seen.verdict for label, seen in current.items() if seen}


async def unproved(stage: Stage) -> dict[str, str]:
    """Return why each of the models is not proved that is not; bad luck among the requests of applications aside."""
    rotation = await stage.record()
    found = {model.label: rotation.finding(model).verdict for model in rotation.plan.models}
    reasons = {m: v.reason if v else "no verdict" for m, v in found.items() if not v or v.verdict is not Verdict.PROVED}
    return {model: reason for model, reason in reasons.items() if UNLUCKY not in reason}


UNLUCKY = "was not reached by a test request"
"""Requests are dealt to the replicas in turn: in one case of a hundred the others' turns hide one from ours."""


def moves(stage: Stage) -> list[str]:
    """Name the environments in which models were pointed at another key, in that order, each once."""
    found = [
        call.path.split("/")[3] for call in stage.aisix.calls if call.method == "PATCH" and "/models/" in call.path
    ]
    return list(dict.fromkeys(stage.aisix.environment(id_).name for id_ in found))


# --- a key that several environments share ---

THREE = ("development", "staging", "production")


@asynccontextmanager
async def shared(
    redis_url: str, allowed: tuple[str, ...] = THREE, order: str = ",".join(THREE)
) -> AsyncIterator[Stage]:
    """A key behind two models in each of three environments, whose list of environments was made narrower since."""
    async with shape(redis_url, *THREE) as stage:
        for where in THREE:
            add(stage, "chat", where=where)
            add(stage, "chat-small", SMALL, where=where)
        ids = [stage.aisix.environment(name).id for name in allowed]
        stage.aisix.edit(stage.key_named(KEY), allowed_environments=ids, settled=True)
        stage.overrides |= {"ENVIRONMENT_ORDER": order, "WAVES": "1,rest"}
        async with stage.bot():
            yield stage


async def test_a_shared_key_is_moved_environment_by_environment_and_no_caller_notices(redis_url: str) -> None:
    async with shared(redis_url) as stage, AsyncExitStack() as stack:
        for where in THREE:
            await stack.enter_async_context(asked(stage, "chat", "chat-small", where=where))
        card = await stage.ask()
        assert "6 models in 3 environments use this key." in card.plain
        await stage.give(card)
        await stage.says(card, WAITING)

        assert await unproved(stage) == {}
        assert moves(stage) == list(THREE)
        await approve(stage, card)


async def test_g9_a_key_used_where_it_is_not_allowed_is_warned_of_and_its_replacement_is_allowed_there(
    redis_url: str,
) -> None:
    async with shared(redis_url, allowed=("production",)) as stage, asked(stage, "chat", "chat-small"):
        assert await status_of(stage, "chat", "staging") == 400  # the key is not there: they fail as it is
        card = await stage.ask()
        for where in ("development", "staging"):
            assert f"The old key is not allowed in {where}, but 2 models there use it" in card.plain
        await stage.give(card)
        await stage.says(card, WAITING)

        assert await unproved(stage) == {}
        assert moves(stage) == list(THREE)
        assert set(stage.key_named("(20").allowed_environments) == {stage.aisix.environment(n).id for n in THREE}
        await approve(stage, card)
        assert [await status_of(stage, "chat", where) for where in THREE] == [200, 200, 200]


async def test_where_the_first_environment_does_not_verify_the_later_ones_are_never_touched(redis_url: str) -> None:
    async with (
        shared(redis_url) as stage,
        asked(stage, "chat", where="staging"),
        asked(stage, "chat", "chat-small"),
    ):
        stage.aisix.faults.before("PATCH", "/models/", lambda: stage.aisix.upstream.refuse(NEW_SECRET))

        card = await run_into(stage, "stopped: the new secret was refused")

        assert moves(stage) == ["development"]
        assert len((await stage.record()).moved) == 1
        assert nothing_is_deleted(stage, card)
        await stage.press("Roll back", card)
        await stage.says(card, "rolled back")
        assert stage.keys_in_use() == {stage.key_named(KEY).id}
        assert await status_of(stage, "chat", "development") == 200


async def test_a_replica_of_the_first_environment_that_lags_keeps_the_later_ones_untouched(redis_url: str) -> None:
    async with shared(redis_url) as stage, asked(stage, "chat", where="staging"), asked(stage, "chat"):
        straggler = stage.aisix.replicas("development")[1]
        stage.aisix.faults.before("PATCH", "/models/", lambda: setattr(straggler, "lag", 60))

        card = await run_into(stage, "stopped: the gateway has not taken the change")

        assert moves(stage) == ["development"]
        assert nothing_is_deleted(stage, card)
        straggler.lag = 0.02
        await stage.press("Try again", card)
        await stage.says(card, WAITING)
        assert await unproved(stage) == {}
        await approve(stage, card)


async def test_g9_what_is_not_allowed_any_more_cannot_go_back_and_that_is_said_until_somebody_allows_it(
    redis_url: str,
) -> None:
    async with shared(redis_url, allowed=("production",), order="production,development") as stage:
        old, development = stage.key_named(KEY), stage.aisix.environment("development").id
        async with asked(stage, "chat-small"):
            stage.aisix.faults.before("PATCH", f"{development}/models/", lambda: take_chat_away(stage))
            card = await run_into(stage, "stopped: the new account lacks a model")
            assert moves(stage) == ["production", "development"]

            await stage.press("Roll back", card)
            await stage.says(card, "stopped: a model could not be moved")
            assert "chat in development" in card.plain
            assert where_left(stage, old) == ["development"]

            stage.aisix.edit(old, allowed_environments=[stage.aisix.environment(name).id for name in THREE])
            await stage.press("Try again", card)
            await stage.says(card, "rolled back")
        assert stage.keys_in_use() == {old.id}
        assert leftovers(stage) == []


def where_left(stage: Stage, old: Any) -> list[str]:
    """Name the environments in which a model of callers is not back on the *old* key."""
    left = [
        m
        for m in stage.aisix.models.values()
        if m.provider_key_id != old.id and m.display_name in ("chat", "chat-small")
    ]
    return [stage.aisix.environment(model.environment_id).name for model in left]


def take_chat_away(stage: Stage) -> None:
    """Have the provider take one model from the new account, in the middle of the rotation."""
    stage.aisix.upstream.models_for(NEW_SECRET, {SMALL})


async def test_g9_a_replacement_that_loses_an_environment_after_the_proof_voids_the_approval(redis_url: str) -> None:
    async with shared(redis_url) as stage, asked(stage, "chat"):
        card = await run_into(stage, WAITING)
        replacement = stage.key_named("(20")
        everywhere = replacement.allowed_environments
        production = stage.aisix.environment("production").id
        stage.aisix.edit(replacement, allowed_environments=[production], settled=True)

        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.says(card, "stopped:")
        assert "does not have the provider key" in card.plain
        assert nothing_is_deleted(stage, card)

        stage.aisix.edit(replacement, allowed_environments=everywhere, settled=True)
        await stage.press("Try again", card)
        await stage.says(card, WAITING)
        assert await unproved(stage) == {}
        await approve(stage, card)


async def test_a_rehearsal_that_takes_its_time_while_every_environment_answers_goes_on(redis_url: str) -> None:
    async with shared(redis_url) as stage:
        upstream = stage.aisix.upstream
        upstream.set(NEW_SECRET, "slow")
        upstream.slow_seconds = 0.6  # three answers take longer than it is waited for one that fails
        stage.aisix.faults.before("PATCH", "/models/", lambda: upstream.set(NEW_SECRET, "ok"))

        await run_into(stage, WAITING)


async def test_an_environment_that_the_key_is_allowed_in_and_not_used_in_is_kept_for_the_replacement(
    redis_url: str,
) -> None:
    async with shape(redis_url, *THREE) as stage:
        add(stage, "chat", where="staging")
        async with stage.bot(), asked(stage, "chat", where="staging"):
            card = await stage.ask()
            assert "1 model in 1 environment uses this key." in card.plain
            assert "allowed in development, staging, production" in card.plain
            await stage.give(card)
            await stage.says(card, WAITING)

            assert moves(stage) == ["staging"]
            assert set(stage.key_named("(20").allowed_environments) == {stage.aisix.environment(n).id for n in THREE}
            await approve(stage, card)


async def test_a_model_that_is_bound_in_an_unused_environment_after_the_approval_is_not_forgotten(
    redis_url: str,
) -> None:
    async with shape(redis_url, *THREE) as stage:
        add(stage, "chat", where="staging")
        async with stage.bot():
            card = await run_into(stage, WAITING)
            add(stage, "late", where="development")
            async with asked(stage, "late", where="development"):
                await stage.press("Delete old key", card, who="U_APPROVER")
                await stage.says(card, "stopped: something uses the old key")
                assert "late in development" in card.plain
                assert nothing_is_deleted(stage, card)

                await stage.press("Try again", card)
                await stage.says(card, WAITING)
                assert (await verdicts(stage))["late in development"] is Verdict.PROVED
                await approve(stage, card)


# --- a wildcard alias ---


@asynccontextmanager
async def wildcard(redis_url: str, probes: dict[str, str], **switches: Any) -> AsyncIterator[Stage]:
    """An environment whose only model is `openai/*`."""
    async with shape(redis_url, **switches) as stage:
        add(stage, "openai/*", "*")
        stage.aisix.environment("production").probes = probes
        yield stage


@pytest.mark.parametrize(
    ("status_urls", "verdict"),
    [(True, Verdict.PROVED), (False, Verdict.LIKELY)],
    ids=["with status addresses", "by the barrier alone"],
)
async def test_a_wildcard_is_rehearsed_and_verified_under_its_concrete_name(
    redis_url: str,
    status_urls: bool,  # noqa: FBT001
    verdict: Verdict,
) -> None:
    probes = {"openai/*": f"openai/{SMALL}"}
    async with (
        wildcard(redis_url, probes, status_urls=status_urls) as stage,
        stage.bot(),
        asked(stage, f"openai/{SMALL}", "openai/o3"),
    ):
        card = await stage.ask()
        assert "1 model in 1 environment uses this key." in card.plain
        assert "openai/*" in card.plain
        await stage.give(card)
        await stage.says(card, WAITING)

        rotation = await stage.record()
        assert await verdicts(stage) == {"openai/* in production": verdict}
        assert rotation.throwaways
        assert {c.model for c in stage.aisix.upstream.calls if c.secret == NEW_SECRET} <= {SMALL, "o3"}
        await approve(stage, card)


@pytest.mark.parametrize("probes", [{f"openai/{SMALL}": "chat"}, {"openai/*": f"responses openai/{SMALL}"}])
async def test_the_concrete_name_may_stand_by_itself_or_with_an_endpoint(
    redis_url: str, probes: dict[str, str]
) -> None:
    async with wildcard(redis_url, probes) as stage, stage.bot():
        await run_into(stage, WAITING)

        assert await verdicts(stage) == {"openai/* in production": Verdict.PROVED}


async def test_a_wildcard_is_probed_under_the_one_name_that_counters_show_in_use(redis_url: str) -> None:
    async with wildcard(redis_url, {}, metric_labels="full") as stage:
        await status_of(stage, f"openai/{SMALL}")
        async with stage.bot():
            card = await run_into(stage, WAITING)

            assert (await verdicts(stage)).keys() == {"openai/* in production"}
            assert {c.model for c in stage.aisix.upstream.calls if c.secret == NEW_SECRET} == {SMALL}
            await approve(stage, card)


async def test_a_wildcard_that_is_in_use_under_two_names_needs_one_in_the_settings(redis_url: str) -> None:
    async with wildcard(redis_url, {}, metric_labels="full") as stage:
        for name in (SMALL, CHAT):
            await status_of(stage, f"openai/{name}")
        async with stage.bot():
            await run_into(stage, "stopped: some models cannot be verified")


async def test_a_wildcard_without_a_concrete_name_stops_and_says_what_to_set(redis_url: str) -> None:
    async with wildcard(redis_url, {}) as stage, asked(stage, f"openai/{SMALL}"):
        async with stage.bot():
            card = await run_into(stage, "stopped: some models cannot be verified")

            assert "openai/* in production has a wildcard alias: name a concrete model for it in probes" in card.plain
            assert nothing_is_deleted(stage, card)
        stage.aisix.environment("production").probes = {"openai/*": f"openai/{SMALL}"}
        async with stage.bot():
            await stage.press("Try again", card)
            await stage.says(card, WAITING)

            assert await verdicts(stage) == {"openai/* in production": Verdict.PROVED}
            await approve(stage, card)


@pytest.mark.parametrize("status_urls", [True, False], ids=["with status addresses", "by the barrier alone"])
async def test_a_replica_that_lags_behind_a_wildcard_is_not_taken_for_one_that_has_it(
    redis_url: str,
    status_urls: bool,  # noqa: FBT001
) -> None:
    probes = {"openai/*": f"openai/{SMALL}"}
    async with wildcard(redis_url, probes, status_urls=status_urls) as stage, stage.bot():
        straggler = stage.aisix.replicas("production")[1]
        stage.aisix.faults.before("PATCH", "/models/", lambda: setattr(straggler, "lag", 60))

        card = await run_into(stage, "stopped: the gateway has not taken the change")

        assert not {Verdict.PROVED, Verdict.LIKELY} & set((await verdicts(stage)).values())
        assert nothing_is_deleted(stage, card)


async def test_a_new_account_that_lacks_the_concrete_name_is_caught_before_the_wildcard_moves(redis_url: str) -> None:
    probes = {"openai/*": f"openai/{SMALL}"}
    async with wildcard(redis_url, probes) as stage, stage.bot(), asked(stage, f"openai/{SMALL}"):
        stage.aisix.upstream.models_for(NEW_SECRET, {CHAT})

        card = await run_into(stage, "stopped: the new account lacks a model")

        assert "the upstream does not offer this model to the credential" in card.plain
        assert moves(stage) == []
        assert nothing_is_deleted(stage, card)


# --- an embedding model behind a semantic router, and behind a semantic cache policy ---


@asynccontextmanager
async def semantic(redis_url: str, **switches: Any) -> AsyncIterator[Stage]:
    """An embedding model that a router and a cache policy need; the chat models are on another key."""
    async with shape(redis_url, **switches) as stage:
        embedding = add(stage, "embedder", EMBEDDING, kind="embedding")
        chat = add(stage, "other-chat", on="Other key")
        billing = add(stage, "billing", on="Other key")
        router = {"embedding_model": embedding, "routes": [billing], "default": chat}
        stage.aisix.add_model("production", "support", kind="semantic", **router)
        stage.aisix.add_cache_policy("production", "similar", embedding_model=embedding)
        stage.aisix.environment("production").cache = "semantic"
        async with stage.bot():
            yield stage


async def test_an_embedding_model_is_proved_at_its_own_endpoint_and_its_dependents_are_shown(redis_url: str) -> None:
    async with semantic(redis_url) as stage, asked(stage, "support", "other-chat", embeddings=("embedder",)):
        card = await stage.ask()
        assert "1 model in 1 environment uses this key; 2 more aliases depend on them." in card.plain
        assert "support (semantic router, by its embedding model, production)" in card.plain
        assert "similar (semantic cache policy, by its embedding model, production)" in card.plain
        await stage.give(card)
        await stage.says(card, WAITING)

        assert await verdicts(stage) == {"embedder in production": Verdict.PROVED}
        probes = [c for c in stage.aisix.gateway_calls if c.caller == "probe" and c.path != "/v1/models"]
        assert {c.path for c in probes} == {"/v1/embeddings"}
        await approve(stage, card)
        assert stage.aisix.served_with(stage.key_named("(20")) > 0


async def test_g3_a_missing_embedding_model_is_caught_in_the_rehearsal_though_chat_would_answer(redis_url: str) -> None:
    async with semantic(redis_url) as stage, asked(stage, "support", embeddings=("embedder",)):
        stage.aisix.upstream.models_for(NEW_SECRET, {CHAT})

        card = await run_into(stage, "stopped: the new account lacks a model")

        assert "the upstream does not offer this model to the credential" in card.plain
        assert moves(stage) == []
        assert nothing_is_deleted(stage, card)


async def test_g3_where_nothing_can_be_rehearsed_it_is_caught_while_the_router_still_answers(redis_url: str) -> None:
    async with semantic(redis_url, model_create=False) as stage, asked(stage, "support", "other-chat"):
        stage.aisix.upstream.models_for(NEW_SECRET, {CHAT})

        card = await run_into(stage, "stopped: the new account lacks a model")

        assert await verdicts(stage) == {"embedder in production": Verdict.REJECTED}
        assert nothing_is_deleted(stage, card)
        await stage.press("Roll back", card)
        await stage.says(card, "rolled back")
        assert len(stage.aisix.provider_keys) == 2


@pytest.mark.parametrize("first", ["embedder", "chat"])
async def test_a_cache_that_embeds_what_chat_models_are_asked_does_not_confuse_the_counters(
    redis_url: str, first: str
) -> None:
    async with semantic(redis_url) as stage:
        add(stage, "chat", CHAT)
        busy, path = {"embedder": ("chat", "chat/completions"), "chat": ("embedder", "embeddings")}[first]
        for _ in range(20):  # what is asked the least is moved first
            await status_of(stage, busy, path=f"/v1/{path}")
        async with asked(stage, "support", "chat", embeddings=("embedder",)):
            card = await run_into(stage, WAITING)

            assert (await verdicts(stage)).keys() == {"chat in production", "embedder in production"}
            await approve(stage, card)


# --- an ensemble ---


@asynccontextmanager
async def council(redis_url: str, **switches: Any) -> AsyncIterator[Stage]:
    """An ensemble whose judge and two of three panel members are on the key; two answers are enough for it."""
    async with shape(redis_url, **switches) as stage:
        panel = [add(stage, "panel-1", "gpt-4.1"), add(stage, "panel-2", "o3"), add(stage, "panel-3", on="Other key")]
        judge = add(stage, "judge", CHAT)
        stage.aisix.add_model("production", "council", kind="ensemble", panel=panel, judge=judge, min_responses=2)
        async with stage.bot():
            yield stage


async def test_an_ensemble_is_shown_and_each_of_its_models_on_the_key_is_proved_by_itself(redis_url: str) -> None:
    async with council(redis_url) as stage, asked(stage, "council", "panel-1", "judge"):
        card = await stage.ask()
        assert "3 models in 1 environment use this key; 1 more alias depends on them." in card.plain
        assert "council (ensemble, in its panel, production)" in card.plain
        await stage.give(card)
        await stage.says(card, WAITING)

        found = await verdicts(stage)
        assert set(found) == {"panel-1 in production", "panel-2 in production", "judge in production"}
        assert set(found.values()) <= {Verdict.PROVED, Verdict.LIKELY}
        await approve(stage, card)


async def test_g4_a_panel_member_that_min_responses_would_hide_is_caught_in_the_rehearsal(redis_url: str) -> None:
    async with council(redis_url) as stage, asked(stage, "council", "panel-1", "panel-2", "judge"):
        stage.aisix.upstream.models_for(NEW_SECRET, {CHAT, "gpt-4.1"})

        card = await run_into(stage, "stopped: the new account lacks a model")

        assert moves(stage) == []
        assert nothing_is_deleted(stage, card)


async def test_g4_a_panel_member_that_min_responses_hides_is_caught_by_its_own_probe(redis_url: str) -> None:
    async with council(redis_url, model_create=False) as stage, asked(stage, "council", "panel-1", "judge"):
        stage.aisix.upstream.models_for(NEW_SECRET, {CHAT, "gpt-4.1"})

        card = await run_into(stage, "stopped: the new account lacks a model")

        assert (await verdicts(stage))["panel-2 in production"] is Verdict.REJECTED
        assert nothing_is_deleted(stage, card)
        await stage.press("Roll back", card)
        await stage.says(card, "rolled back")
        assert await status_of(stage, "panel-2") == 200


async def test_g4_a_judge_that_the_new_account_lacks_is_caught_although_the_whole_panel_answers(redis_url: str) -> None:
    async with council(redis_url) as stage, asked(stage, "council"):
        stage.aisix.upstream.models_for(NEW_SECRET, {"gpt-4.1", "o3"})

        card = await run_into(stage, "stopped: the new account lacks a model")

        assert moves(stage) == []
        assert nothing_is_deleted(stage, card)


# --- a passthrough route ---


@asynccontextmanager
async def routed(redis_url: str, *, held: bool = True) -> AsyncIterator[Stage]:
    """A chat model, and a passthrough route on the same key (or on another one)."""
    async with shape(redis_url) as stage:
        add(stage, "chat")
        stage.aisix.add_passthrough("production", "files", key=stage.key_named(KEY if held else "Other key"))
        async with stage.bot():
            yield stage


def route(stage: Stage) -> Any:
    return next(iter(stage.aisix.store.passthrough_routes.values()))


async def passes(stage: Stage) -> bool:
    return await status_of(stage, CHAT, path="/passthrough/files/chat/completions") == 200


async def test_g16_a_route_is_warned_of_stops_before_the_delete_and_goes_on_once_a_person_has_pointed_it(
    redis_url: str,
) -> None:
    async with routed(redis_url) as stage, asked(stage, "chat"):
        card = await stage.ask()
        assert "The passthrough route files in production holds this key. I do not move routes" in card.plain
        await stage.give(card)
        await stage.says(card, "stopped: a route still uses the old key")
        assert "point it at the replacement, then try again" in card.plain
        assert nothing_is_deleted(stage, card)
        assert await passes(stage)

        stage.aisix.edit(route(stage), key=stage.key_named("(20"))
        await stage.press("Try again", card)
        await stage.says(card, WAITING)
        assert await verdicts(stage) == {"chat in production": Verdict.PROVED}
        await approve(stage, card)
        assert await passes(stage)


async def test_g16_try_again_before_the_route_is_pointed_stops_once_more(redis_url: str) -> None:
    async with routed(redis_url) as stage:
        card = await run_into(stage, "stopped: a route still uses the old key")

        await stage.press("Try again", card)
        await stage.slack.until(lambda: stage.thread(card).count("Stopped:") == 2, timeout=60, what="a second stop")

        assert nothing_is_deleted(stage, card)


async def test_g9_a_route_where_the_key_is_not_allowed_any_more_can_be_pointed_at_the_replacement(
    redis_url: str,
) -> None:
    async with shape(redis_url, "production", "staging") as stage, stage.bot():
        add(stage, "chat")
        stage.aisix.add_passthrough("staging", "files", key=stage.key_named(KEY))
        production, staging = (stage.aisix.environment(name).id for name in ("production", "staging"))
        stage.aisix.edit(stage.key_named(KEY), allowed_environments=[production], settled=True)

        await run_into(stage, "stopped: a route still uses the old key")

        assert set(stage.key_named("(20").allowed_environments) == {production, staging}


@pytest.mark.parametrize("moment", ["before the click", "while it is deleted"])
async def test_g16_a_route_that_is_bound_to_the_old_key_after_the_proof_stops_the_delete(
    redis_url: str, moment: str
) -> None:
    async with routed(redis_url, held=False) as stage, asked(stage, "chat"):
        card = await run_into(stage, WAITING)

        def bind() -> None:
            stage.aisix.edit(route(stage), key=stage.key_named(KEY), settled=True)

        if moment == "before the click":
            bind()
        else:
            stage.aisix.faults.before("DELETE", "/provider_keys", bind)
            stage.aisix.faults.rate_limit("DELETE", "/provider_keys")
        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.says(card, "stopped: something uses the old key")
        assert "passthrough route files in production refers to the old key" in card.plain
        assert nothing_is_deleted(stage, card)
        assert await passes(stage)

        stage.aisix.edit(route(stage), key=stage.key_named("(20"))
        await stage.press("Try again", card)
        await stage.says(card, WAITING)
        await approve(stage, card)
        assert await passes(stage)


# --- a key that no model uses ---


NOTHING_PROVES = "No model uses this key, so nothing proves the new secret."


async def accept(stage: Stage, card: Message, reason: str = "tried with curl") -> None:
    """Have an approver accept that nothing proves the new secret."""
    approver = stage.slack.person("U_APPROVER")
    await stage.says(card, NOTHING_PROVES)
    assert "Delete old key" not in card.buttons
    await stage.press("Accept unproved", card, who="U_APPROVER")
    await stage.slack.until(lambda: approver.modal, what="the form")
    answer = await approver.submit({"reason": reason})
    assert not answer.errors
    await stage.says(card, WAITING)


@pytest.mark.parametrize("proof", ["true", "false"])
async def test_a_key_that_no_model_uses_is_rotated_once_an_approver_accepts_that_nothing_proves_it(
    redis_url: str, proof: str
) -> None:
    async with shape(redis_url) as stage:
        stage.overrides["REQUIRE_PROOF"] = proof
        async with stage.bot():
            card = await stage.ask()
            assert "No model uses this key." in card.plain
            await stage.give(card, "sk-wrong-CANARY-0123456789abcdef")  # nobody takes this one
            await accept(stage, card)

            assert moves(stage) == []
            assert "accepted that: tried with curl" in card.plain
            await approve(stage, card)
            assert "No model used the key." in stage.thread(card)
            assert f"because tried with curl: {NOTHING_PROVES}" in stage.thread(card)


async def test_a_key_that_only_a_route_uses_is_not_deleted_under_it(redis_url: str) -> None:
    async with shape(redis_url) as stage, stage.bot():
        stage.aisix.add_passthrough("production", "files", key=stage.key_named(KEY))
        card = await stage.ask()
        assert "No model uses this key." in card.plain
        assert "The passthrough route files in production holds this key" in card.plain
        await stage.give(card)
        await stage.says(card, "stopped: a route still uses the old key")
        assert nothing_is_deleted(stage, card)

        stage.aisix.edit(route(stage), key=stage.key_named("(20"))
        await stage.press("Try again", card)
        await accept(stage, card)
        await approve(stage, card)
        assert await passes(stage)


async def test_a_model_bound_to_a_key_that_none_used_stops_the_delete(redis_url: str) -> None:
    async with shape(redis_url) as stage, stage.bot():
        card = await run_into(stage, NOTHING_PROVES)
        await accept(stage, card)
        add(stage, "late")

        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.says(card, "stopped: something uses the old key")

        assert "late in production" in card.plain
        assert nothing_is_deleted(stage, card)
        assert await stage.state() is State.BLOCKED
