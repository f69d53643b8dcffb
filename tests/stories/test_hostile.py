"""Hostile input through the real app: whatever comes, somebody hears words, and no mention or link that is not ours.

Hostile names from AISIX are in tests/bot/test_hostile_answers.py and tests/handlers/test_names.py.
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import strategies as st

from bot.app import Parts
from handlers.views.anyway import DELETE_FORM, delete_form
from handlers.views.modal import (
    ACCEPTANCE_FORM,
    PICKER,
    SECRET_FORM,
    TAKE_BACK_FORM,
    acceptance_form,
    picker,
    secret_form,
    take_back_form,
)
from sandbox.slack import payloads
from tests.conftest import Tried
from tests.handlers import records as r
from tests.handlers.limits import complaints, strays
from tests.stories.test_modes import posted, signed
from tests.support.hostile import JSON, WORDS, amounts, fuzz
from tests.support.stage import Stage, stage_of

Json = dict[str, Any]
FAULT = "Keyturn made a mistake"
LISTS = re.compile(r"<https://sandbox\.slack\.com/archives/\w+/p\d+\|(open|asked for by|Open its card)>")
SPOKEN = ("response_url", "chat.postMessage", "chat.postEphemeral", "chat.update")
ANSWERS = (*SPOKEN[:3], "views.open")


class Front:
    """The half of the bot that people talk to, and a loop to run it in."""

    def __init__(self, stage: Stage, built: Parts, run: Callable[[Any], Any]) -> None:
        self.stage, self.built, self.run = stage, built, run
        self.site = stage.slack.site
        self.person = stage.slack.person("U_REQUESTER")

    def sent(self, kind: str, payload: Json) -> Any:
        return self.stage.slack._deliver(kind, json.loads(json.dumps(payload)))  # noqa: SLF001 - no client would send it

    def answered(self, work: Any) -> Any:
        """Do *work*, and wait until the bot has said or opened something; what it said is harmless."""
        calls = self.stage.slack.calls
        result = self.run(work)
        self.run(
            self.stage.slack.until(
                lambda: any(c.method in ANSWERS and c.status for c in calls), 15, "an answer in words"
            )
        )
        for said in (_content(call.args) for call in calls if call.method in SPOKEN):
            assert FAULT not in said["text"]
            assert complaints(said) == []
            assert strays(json.loads(LISTS.sub("", json.dumps(said)))) == []
        for seen in (
            self.site.ephemerals,
            self.site.views.stacks,
            self.site.world.said,
            calls,
            self.stage.slack.payloads,
        ):
            seen.clear()  # so that a long run stays fast
        return result


def _content(args: Json) -> Json:
    blocks = args.get("blocks") or []
    return {"text": args.get("text") or "", "blocks": json.loads(blocks) if isinstance(blocks, str) else blocks}


@pytest.fixture
def front(redis_url: str) -> Iterator[Front]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        stage = runner.run(stack.enter_async_context(stage_of(redis_url)))
        stage.slack.ack_within = 30.0  # a busy machine is no fault of a form
        yield Front(stage, runner.run(stack.enter_async_context(stage.front())), runner.run)
        runner.run(stack.aclose())


@amounts(20)
def test_whatever_is_typed_after_the_command_is_answered(front: Front, many: int, tried: Tried) -> None:
    @fuzz(tried, many, text=st.one_of(WORDS, WORDS.map(lambda word: f"OpenAI {word}")))
    def hold(text: str) -> None:
        front.answered(front.person.command(text))


FORMS: dict[str, Callable[[Any], Json]] = {
    PICKER: lambda _: picker("C_OPS"),
    SECRET_FORM: lambda rotation: secret_form(rotation, "new"),
    TAKE_BACK_FORM: lambda _: take_back_form(r.running("verify")),
    ACCEPTANCE_FORM: lambda _: acceptance_form(r.unsure(r.running("soak"))),
    DELETE_FORM: lambda _: delete_form(r.awaiting_approval(tally=r.FAILING_CALLERS)),
}
FIELD = st.one_of(JSON, st.fixed_dictionaries({"value": st.one_of(JSON, st.fixed_dictionaries({"value": JSON}))}))
NAMES = st.sampled_from(["key", "secret", "rest", "name", "models", "causes", "reason"])
STATES = st.one_of(
    JSON, st.fixed_dictionaries({"values": JSON}), st.fixed_dictionaries({"values": st.dictionaries(NAMES, FIELD)})
)


@pytest.mark.parametrize("form", FORMS)
@amounts(20)
def test_a_form_of_any_shape_is_answered(front: Front, form: str, many: int, tried: Tried) -> None:
    event = {"by": "a test", "what": "recorded", "why": ""}
    rotation = front.run(front.built.store.save(r.awaiting_secret(version=0), event, at=r.at(0)))

    @fuzz(tried, many, state=STATES, metadata=st.one_of(st.just(rotation.id), JSON))
    def hold(state: Any, metadata: Any) -> None:
        view = front.site.views.open("U_REQUESTER", FORMS[form](rotation))
        payload = payloads.submission(front.site, front.person.user, view)
        payload["view"] |= {"state": state, "private_metadata": metadata}
        sent = front.sent("interactive", payload)
        ack = front.answered(sent) if form == PICKER else front.run(sent)
        assert ack.error is None
        said = (ack.body or {}).get("errors", {})
        assert all(isinstance(words, str) and FAULT not in words for words in said.values())


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
    async with stage_of(redis_url, mode="http") as stage, stage.front():
        for body in ODD:
            for kind in ("application/x-www-form-urlencoded", "application/json"):
                headers = signed(stage, body.encode()) | {"Content-Type": kind}
                assert await posted(stage, body.encode(), headers) < 500, body
        assert (await stage.slack.person("U_REQUESTER").command("help")).error is None
