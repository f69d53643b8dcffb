"""Hostile input through the real app: whatever comes, somebody hears words, and no mention or link that is not ours."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import aiohttp
import pytest
from hypothesis import strategies as st
from redis import Redis

from bot.app import Parts
from handlers.views.modal import ACCEPTANCE_FORM, PICKER, SECRET_FORM, acceptance_form, picker, secret_form
from sandbox.slack import Message, payloads
from tests.bot.test_hostile_answers import serving, tenants
from tests.handlers import records as r
from tests.handlers.limits import complaints, strays
from tests.stories.test_modes import signed
from tests.support.hostile import JSON, NASTY, WORDS, amounts, fuzz
from tests.support.stage import Stage, stage_of

Json = dict[str, Any]
Tried = Callable[..., None]
FAULT = "Keyturn made a mistake"
LISTS = re.compile(r"<https://sandbox\.slack\.com/archives/\w+/p\d+\|(open|asked for by|Open its card)>")
SPOKEN = ("response_url", "chat.postMessage", "chat.postEphemeral", "chat.update")
ANSWERS = (*SPOKEN[:3], "views.open")


class Front:
    """The half of the bot that people talk to, one rotation that waits for its secret, and a loop to run them in."""

    def __init__(self, stage: Stage, built: Parts, run: Callable[[Any], Any]) -> None:
        self.stage, self.built, self.run = stage, built, run
        self.site = stage.slack.site
        self.person = stage.slack.person("U_REQUESTER")

    def answered(self, work: Any) -> Any:
        """Do *work*, and wait until the bot has said or opened something; what it said is harmless."""
        calls = self.stage.slack.calls
        before = len(calls)
        result = self.run(work)
        self.run(
            self.stage.slack.until(
                lambda: any(c.method in ANSWERS and c.status for c in calls[before:]), 15, "an answer in words"
            )
        )
        self.harmless(calls[before:])
        return result

    def harmless(self, calls: list[Any]) -> None:
        """See that nothing that was said pings, links, is too long, or owns up to a fault."""
        for said in (_content(call.args) for call in calls if call.method in SPOKEN):
            assert FAULT not in said["text"]
            assert complaints(said) == []
            assert strays(json.loads(LISTS.sub("", json.dumps(said)))) == []

    def tidy(self) -> None:
        """Forget what people have seen, so that a long run stays fast."""
        self.site.ephemerals.clear()
        self.site.views.stacks.clear()
        self.site.world.said.clear()
        self.stage.slack.calls.clear()
        self.stage.slack.payloads.clear()


def _content(args: Json) -> Json:
    blocks = args.get("blocks") or []
    return {"text": args.get("text") or "", "blocks": json.loads(blocks) if isinstance(blocks, str) else blocks}


@contextmanager
def front(redis_url: str, **overrides: str) -> Iterator[Front]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        stage = runner.run(stack.enter_async_context(stage_of(redis_url)))
        stage.overrides |= overrides
        stage.slack.ack_within = 30.0  # a busy machine is no fault of a form
        built = runner.run(stack.enter_async_context(stage.front()))
        yield Front(stage, built, runner.run)
        runner.run(stack.aclose())


def rotation_of(at: Front) -> Any:
    event = {"by": "a test", "what": "recorded", "why": ""}
    work = at.built.store.save(r.awaiting_secret(version=0), event, at=at.built.world.now())
    return at.run(work)


@amounts(20)
def test_whatever_is_typed_after_the_command_is_answered(redis_url: str, many: int, tried: Tried) -> None:
    with front(redis_url) as at:

        @fuzz(tried, many, text=st.one_of(WORDS, WORDS.map(lambda word: f"OpenAI {word}")))
        def hold(text: str) -> None:
            at.answered(at.person.command(text))
            at.tidy()


FORMS: dict[str, Callable[[Any], Json]] = {
    PICKER: lambda _: picker("C_OPS"),
    SECRET_FORM: lambda rotation: secret_form(rotation, "new"),
    ACCEPTANCE_FORM: lambda rotation: acceptance_form(rotation, rotation.plan.models),
}
FIELD = st.one_of(JSON, st.fixed_dictionaries({"value": st.one_of(JSON, st.fixed_dictionaries({"value": JSON}))}))
STATES = st.one_of(
    JSON,
    st.fixed_dictionaries({"values": JSON}),
    st.fixed_dictionaries(
        {"values": st.dictionaries(st.sampled_from(["key", "secret", "rest", "name", "models", "reason"]), FIELD)}
    ),
)


@pytest.mark.parametrize("form", FORMS)
@amounts(20)
def test_a_form_of_any_shape_is_answered(redis_url: str, form: str, many: int, tried: Tried) -> None:
    with front(redis_url) as at:
        rotation = rotation_of(at)

        @fuzz(tried, many, state=STATES, metadata=st.one_of(st.just(rotation.id), JSON))
        def hold(state: Any, metadata: Any) -> None:
            view = at.site.views.open("U_REQUESTER", FORMS[form](rotation))
            payload = payloads.submission(at.site, at.person.user, view)
            payload["view"] |= {"state": state, "private_metadata": metadata}
            work = at.stage.slack._deliver("interactive", json.loads(json.dumps(payload)))  # noqa: SLF001 - no client would send it
            ack = at.answered(work) if form == PICKER else at.run(work)
            assert ack.error is None
            said = (ack.body or {}).get("errors", {})
            assert all(isinstance(words, str) and FAULT not in words for words in said.values())
            if form == PICKER:
                at.tidy()


CLICK = st.fixed_dictionaries(
    {"action_id": st.sampled_from(["enter_secret", "roll_back", "delete_old_key", "accept_unproved", "choose_key"])},
    optional=dict.fromkeys(("value", "block_id", "action_ts", "selected_option", "text"), JSON),
)


@amounts(30)
def test_a_click_of_any_shape_is_answered(redis_url: str, many: int, tried: Tried) -> None:
    with front(redis_url) as at:
        rotation_of(at)
        spoilt = st.dictionaries(st.sampled_from(["trigger_id", "state", "hash"]), JSON)

        @fuzz(tried, many, action=CLICK, spoilt=spoilt)
        def hold(action: Json, spoilt: Json) -> None:
            body = payloads.interaction("block_actions", at.person.user, payloads.Place([], {}, {}), **spoilt)
            url = payloads.response_url(at.site, at.person.user, "C_OPS")
            body |= {"actions": [{"type": "button", "block_id": "b"} | action], "response_url": url}
            at.answered(at.stage.slack._deliver("interactive", json.loads(json.dumps(body))))  # noqa: SLF001
            at.tidy()


@amounts(15)
def test_a_key_of_a_hostile_control_plane_is_shown_or_refused_in_words(redis_url: str, many: int, tried: Tried) -> None:
    with front(redis_url) as at, serving(at.run) as server:
        client = at.built.world.control_plane
        client._base = server.url  # noqa: SLF001 - the same server for every input

        @fuzz(tried, many, tenant=tenants())
        def hold(tenant: dict[str, bytes]) -> None:
            server.answers.clear()
            server.answers.update({path: (body, {}) for path, body in tenant.items()})
            at.answered(at.person.command("OpenAI production"))
            at.tidy()
            with Redis.from_url(redis_url) as redis:
                redis.flushdb()  # or the next one would be answered with the card of this one


async def test_a_rotation_of_hostile_names_goes_through_and_pings_nobody(redis_url: str) -> None:
    async with stage_of(redis_url) as stage, stage.bot():
        said: list[Message] = []
        stage.slack.on_change(lambda kind, what: said.append(what) if kind == "message" else None)
        nasty = [
            name for name in NASTY if name != "\ud800" and "*" not in name
        ]  # half a character; a wildcard, that cannot be asked
        key = stage.aisix.add_key("".join(nasty), provider="openai", secret="sk-old-0123456789abcdef")
        for number, name in enumerate((*nasty[:10], "x" * 2_000, "".join(nasty))):
            stage.aisix.add_model("production", f"{name}{number}", key=key, upstream="gpt-4o")
        card = await stage.ask(key.id)
        await stage.give(card)
        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.thread_says(card, "Receipt", timeout=40)

        for message in said:
            for text, blocks in [*message.edits, (message.text, message.blocks)]:
                assert complaints({"text": text, "blocks": blocks}) == []
                assert strays({"text": text, "blocks": blocks}) == []
        assert len(said) > 5


# --- signed, and yet no payload ---

ODD = (
    "", "payload=", "payload=nonsense", "payload=[]", "payload=null", "payload=7", "payload=%22x%22",
    "payload=" + "[" * 5000,
    '{"type":"url_verification","challenge":"x"}', 'payload={"type":"block_actions"}', "command=%2Frotate-key", "[1]",
    'payload={"type":"block_actions","actions":null}', 'payload={"type":"block_actions","actions":[7]}',
    'payload={"type":"view_submission","view":7}', 'payload={"type":7}', 'payload={"type":"block_suggestion"}',
    'payload={"type":"block_actions","user":[],"team":7,"enterprise":"x"}', "ssl_check=1",
    'payload={"type":"view_submission","view":{"callback_id":7,"state":7,"private_metadata":[]}}',
)  # fmt: skip


async def test_what_is_signed_and_no_payload_is_refused_and_the_next_one_served(redis_url: str) -> None:
    now = str(int(time.time()))
    async with stage_of(redis_url, mode="http") as stage, stage.front(), aiohttp.ClientSession() as http:
        for body in ODD:
            for kind in ("application/x-www-form-urlencoded", "application/json"):
                headers = signed(stage, body.encode(), now) | {"Content-Type": kind}
                async with http.post(stage.slack.events_url, data=body.encode(), headers=headers) as answer:
                    assert answer.status < 500, body
        answer = await stage.slack.person("U_REQUESTER").command("help")
        assert answer.error is None
