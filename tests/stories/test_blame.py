"""What is said of the new secret where a model fails: it is refused only if the provider refuses the credential."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bot.rotation.evidence import Verdict
from bot.rotation.stops import StopKind
from sandbox.slack import Message
from tests.support.stage import KEY, NEW_SECRET, Stage, stage_of

QUICK = {"PROJECTION_TIMEOUT": "5", "VERIFY_TIMEOUT": "1.5"}
WAITING = "waiting for an approver"
REFUSED = "the new secret was refused"


def vertex(name: str) -> str:
    account = {
        "type": "service_account",
        "client_email": f"{name}@example.com",
        "private_key": f"-----BEGIN PRIVATE KEY-----\nCANARY{name}01234567890123456789012\n-----END PRIVATE KEY-----\n",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return json.dumps({"project": "p", "region": "eu", "service_account_json": account})


OLD_VERTEX, NEW_VERTEX = vertex("old"), vertex("new")


@asynccontextmanager
async def on_vertex(redis_url: str, *upstreams: str) -> AsyncIterator[Stage]:
    """Set the stage with models on a Vertex key; the gateway does not know who made `gpt-4o`."""
    async with stage_of(redis_url, overrides=QUICK) as stage:
        key = stage.aisix.add_key("Vertex", provider="google-vertex", secret=OLD_VERTEX, environments=["production"])
        for upstream in upstreams:
            stage.aisix.add_model("production", f"vertex-{upstream}", key=key, upstream=upstream)
        stage.aisix.upstream.accept(NEW_VERTEX)
        async with stage.bot():
            yield stage


async def rotate(stage: Stage, key: str, secret: str, words: str) -> Message:
    card = await stage.ask(key)
    await stage.give(card, secret)
    return await stage.says(card, words)


async def verdicts(stage: Stage) -> dict[str, Verdict]:
    rotation = await stage.record()
    current = {m.alias: rotation.finding(m).current for m in rotation.plan.models if m.environment_name != "staging"}
    return {alias: seen.verdict for alias, seen in current.items() if seen}


async def test_a_model_that_the_gateway_never_could_serve_is_as_before(redis_url: str) -> None:
    async with on_vertex(redis_url, "gemini-3", "gpt-4o") as stage:
        card = await rotate(stage, "Vertex", NEW_VERTEX, WAITING)

        assert "as before" in card.plain
        assert REFUSED not in stage.thread(card)
        assert (await verdicts(stage))["vertex-gemini-3"] is Verdict.LIKELY


async def test_where_secrets_are_traded_for_tokens_no_version_makes_it_a_proof_within_an_hour(redis_url: str) -> None:
    async with on_vertex(redis_url, "gemini-3") as stage:
        card = await rotate(stage, "Vertex", NEW_VERTEX, WAITING)

        assert stage.aisix.switches.server == "AISIX/0.10.0"
        assert await verdicts(stage) == {"vertex-gemini-3": Verdict.LIKELY}
        assert "a gateway may use a token of the old secret" in card.plain


async def test_where_no_model_ever_could_be_served_nothing_is_proved_and_nothing_refused(redis_url: str) -> None:
    async with on_vertex(redis_url, "gpt-4o") as stage:
        card = await rotate(stage, "Vertex", NEW_VERTEX, "stopped:")

        assert "stopped: the new secret is not proved" in card.plain
        assert REFUSED not in stage.thread(card) + card.plain
        assert "Delete old key" not in card.buttons


async def test_a_refused_exchange_that_the_old_key_did_not_have_is_a_refused_secret(redis_url: str) -> None:
    async with on_vertex(redis_url, "gemini-3", "gpt-4o") as stage:
        stage.aisix.upstream.refuse(NEW_VERTEX)

        card = await rotate(stage, "Vertex", NEW_VERTEX, "stopped: the new secret was refused")

        assert "the provider refused to exchange the secret for a token" in card.plain
        assert "No model has been moved" in card.plain


# --- embedding models that call themselves direct ---


def add_direct(stage: Stage, alias: str, **settings: Any) -> None:
    """Add a model of an embedding upstream that calls itself direct."""
    key = stage.key_named(KEY)
    stage.aisix.add_model("production", alias, key=key, upstream="text-embedding-3-small", **settings)


async def test_a_model_with_an_embedding_block_is_asked_for_an_embedding(redis_url: str) -> None:
    async with stage_of(redis_url, overrides=QUICK) as stage, stage.bot():
        add_direct(stage, "embed", embedding={"dimensions": 3})

        await rotate(stage, KEY, NEW_SECRET, WAITING)

        assert (await verdicts(stage))["embed"] is Verdict.PROVED
        asked = {c.path for c in stage.aisix.gateway_calls if c.alias == "embed"}
        assert asked == {"/v1/embeddings"}


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
