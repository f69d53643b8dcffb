"""What a person types into the form reaches one call to the control plane, and nothing else: no log at any level."""

import asyncio
import base64
import io
import json
import logging
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from redis.asyncio import Redis

from bot.http import served
from bot.rotation.errors import BadInput
from bot.rotation.secret import Submitted
from bot.service import RotationService
from bot.storage.embedded import embedded_server
from bot.telemetry import logs
from tests.support.canary import (
    CANARY,
    WAYS,
    WRONG,
    Written,
    parts,
    refuse_canary,
    refuse_in_keys,
    told_by_the_system,
)
from tests.support.process import BotProcess, answer_of, bot_process
from tests.support.stage import Stage, free_port, stage_of, submitted

OWN_LOGGERS = ("slack_bolt", "slack_sdk")


def test_the_canary_is_found_in_every_form_it_could_take_and_nothing_else_is() -> None:
    written = [way(f"x{part}y") for part in (CANARY, *parts(CANARY)) for way in WAYS]
    written += [base64.b64encode(b"x" * n + part.encode() + b"yz").decode() for part in parts(CANARY) for n in range(5)]
    written.append(urllib.parse.urlencode({"payload": json.dumps({"a": CANARY})}))

    for text in written:
        with pytest.raises(AssertionError):
            refuse_canary(f"something {text} else", "this")
    refuse_canary("".join(part[:7] + " " for part in parts(CANARY)), "pieces that are shorter")


# --- each hazard of Slack's libraries, with their loggers forced open ---


class Log:
    """What is logged, and what it says came from Slack's libraries."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def came_from(self, module: str) -> bool:
        """Tell whether a record of *module* is there, without its text."""
        return f" at {module}:" in self.text

    def open_all(self) -> None:
        """Take the first line of defence away: have Slack's libraries log everything."""
        for name in (*logging.root.manager.loggerDict, *OWN_LOGGERS):
            if name.startswith(OWN_LOGGERS):
                logging.getLogger(name).setLevel(logging.DEBUG)


@pytest.fixture(params=["json", "console"])
def log(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    """Logging as the bot sets it up for `LOG_LEVEL=debug`."""
    made, before = Log(), (list(logging.root.handlers), logging.root.level)
    levels = {name: logging.getLogger(name).level for name in logging.root.manager.loggerDict}
    monkeypatch.setattr(sys, "stdout", made.stream)
    logs.configure("debug", request.param)
    yield made
    structlog.reset_defaults()
    logging.root.handlers, logging.root.level = before
    for name in list(logging.root.manager.loggerDict):
        logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))


async def opened_form(stage: Stage) -> Any:
    card = await stage.ask()
    person = stage.slack.person("U_REQUESTER")
    await stage.press("Enter new secret", card)
    await stage.slack.until(lambda: person.modal, what="the form")
    return person


@pytest.mark.parametrize("fault", ["bad", "stale"])
async def test_a_bad_signature_or_a_wrong_clock_logs_no_body(redis_url: str, log: Log, fault: str) -> None:
    async with stage_of(redis_url, mode="http") as stage, stage.bot():
        person = await opened_form(stage)
        log.open_all()
        stage.slack.signing_fault = fault
        await submitted(person, {"secret": CANARY})

    assert "signature_refused" in log.text
    refuse_canary(log.text, "the log")


async def test_a_body_that_is_broken_on_its_way_is_not_quoted(log: Log) -> None:
    async with served(web.Application(), "PORT", port := free_port()):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n" % CANARY.encode())
        await reader.read()
        writer.close()

    refuse_canary(log.text, "the log")
    assert log.came_from("web_protocol")


async def test_an_exception_in_a_listener_logs_its_place_and_not_its_text(
    stage: Stage, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: object, rotation_id: str, submitted: Submitted, *, by: str) -> None:
        pasted = submitted.take().secret
        raise LookupError(f"bad value {pasted}") from KeyError(pasted)

    async def fail_too(self: object, *_: object, **__: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr(RotationService, "give_secret", fail)
    monkeypatch.setattr(RotationService, "_steer", fail_too)
    monkeypatch.setattr(RotationService, "keys_like", fail_too)
    person = await opened_form(stage)
    log.open_all()

    sent = await submitted(person, {"secret": CANARY})
    assert "Keyturn made a mistake here" in sent.errors["secret"]
    pressed = await stage.press("Cancel", stage.slack.messages("C_OPS")[0])
    assert pressed.error is None, "it was acknowledged before"
    await stage.told("U_REQUESTER", "Keyturn made a mistake here")
    await person.close_modal()
    await person.command("")
    await stage.slack.until(lambda: person.modal, what="the picker")
    assert await person.type_ahead("open") == []

    assert log.text.count("listener_failed") == 3
    assert "LookupError" in log.text, "it failed on the secret"
    assert "test_logging.py" in log.text, "the place is kept"
    refuse_canary(log.text, "the log")
    refuse_canary(str(sent.errors), "the form")


async def test_nothing_that_goes_to_slack_or_comes_from_it_is_logged(
    stage: Stage, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.rotation.secret.checked", _repeat)
    person = await opened_form(stage)
    log.open_all()

    sent = await submitted(person, {"secret": CANARY})
    asked = await person.command("help")
    await stage.told("U_REQUESTER", "rotates a provider key")
    await stage.built.slack.chat_postMessage(channel="C_OPS", text=CANARY)

    assert CANARY in sent.errors["secret"], "even if an answer repeated the secret"
    for module, what in (
        ("__init__", "frames of the socket"),
        ("asyncio_runner", "answers to forms"),
        ("async_internal_utils", "calls of the Web API"),
        ("async_client", "answers to a response_url"),
    ):
        assert log.came_from(module), f"the libraries have logged {what}"
    assert asked.payload["response_url"] not in log.text
    assert asked.payload["trigger_id"] not in log.text
    refuse_canary(log.text, "the log")


def _repeat(pasted: str, *_: object) -> None:
    raise BadInput(f"{pasted} is wrong")


@pytest.mark.parametrize("name", logs.PINNED)
def test_a_library_that_was_made_to_talk_is_silenced_again(name: str, log: Log) -> None:
    logging.getLogger(name).setLevel(logging.DEBUG)
    logs.configure("debug", "json")

    assert logging.getLogger(name).level == logging.WARNING


def test_tracebacks_show_no_local_variables(log: Log) -> None:
    def fail(secret: str) -> None:
        raise ValueError("wrong")

    try:
        fail(CANARY)
    except ValueError as error:
        structlog.get_logger("keyturn").error("failed", exc_info=error)
        logging.getLogger("some.library").exception("failed")

    assert log.text.count("in fail") == 2
    refuse_canary(log.text, "the log")


# --- a whole rotation, as a process, and every place that it leaves a trace in ---


def echo_the_request(stage: Stage) -> None:
    """Have the control plane refuse the next creation and repeat what it was sent, secret and all."""

    async def act(request: web.Request, _: object) -> web.Response:
        sent = await request.json()
        return web.json_response({"error": {"message": f"invalid api_key {sent['api_key']}", "body": sent}}, status=409)

    stage.aisix.faults._plan("POST", "/provider_keys", 1, act)  # noqa: SLF001 - a fault of this story alone


async def tell_the_story(stage: Stage) -> None:
    """A secret where it does not belong, a mistake at the field, a wrong secret, an AISIX that is away, and the end."""
    requester = stage.slack.person("U_REQUESTER")
    await requester.command(CANARY)
    await stage.told("U_REQUESTER", "That looks like a secret")
    card = await stage.ask()
    await stage.give(card, f"{CANARY} {WRONG}")
    told = {"name": "OpenAI new", "reason": "quarterly", "ticket": "OPS-4412"}
    for field in told:
        sent = await submitted(requester, {"secret": CANARY, **told, field: f"new {CANARY[5:20]}"})
        assert sent.errors.keys() == {field}
    await submitted(requester, {"secret": WRONG, **told})
    await stage.says(card, "stopped: the new secret was refused")
    echo_the_request(stage)
    await stage.give(card, CANARY, button="Another secret")
    await stage.says(card, "stopped: the new key was not created")
    stage.aisix.faults.drop("POST", "/provider_keys", after_effect=True)
    await stage.give(card, CANARY, button="Another secret")
    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.thread_says(card, "Receipt")


@pytest.mark.parametrize(("mode", "style"), [("socket", "json"), ("http", "console")])
async def test_a_whole_rotation_leaves_the_secret_nowhere(tmp_path: Path, mode: str, style: str) -> None:
    data = tmp_path / "data"
    written = Written(data)
    async with stage_of("", mode=mode) as stage:
        stage.aisix.switches.raw_bodies = True
        stage.aisix.upstream.accept(CANARY)
        stage.overrides |= {"LOG_FORMAT": style, "LOG_LEVEL": "debug", "KEYTURN_DATA": str(data)}
        stage.overrides.setdefault("PORT", str(free_port()))
        environ = {name: value for name, value in stage.environ.items() if name != "REDIS_URL"}
        async with bot_process(environ, tmp_path, command_line=True) as bot:
            await tell_the_story(stage)
            await refuse_in_process(bot, stage)
            await bot.terminated()
        written.refuse()
        async with embedded_server(data) as redis_url, Redis.from_url(redis_url) as redis:
            await refuse_in_keys(redis)
        refuse_canary(bot.output, "the log")
        refuse_in_calls(stage)


async def refuse_in_process(bot: BotProcess, stage: Stage) -> None:
    """Look at what the system tells of the bot and of the server that is its child, and at the figures."""
    told = told_by_the_system(bot.pid)
    assert len(told) == 4 or sys.platform != "linux", told.keys()
    for name, text in told.items():
        refuse_canary(text, f"the process's {name}")
    status, figures = await answer_of(f"http://127.0.0.1:{stage.environ['PORT']}/metrics")
    assert status == 200
    refuse_canary(figures, "/metrics")


def refuse_in_calls(stage: Stage) -> None:
    for call in stage.slack.calls:
        refuse_canary(json.dumps(call.args, ensure_ascii=False), f"a call of {call.method}")
        refuse_canary(json.dumps(call.args), f"a call of {call.method}")
    for ack in stage.slack.acks:
        refuse_canary(json.dumps(ack.body, ensure_ascii=False), "an answer to a form")
    holding = [call for call in stage.aisix.calls if "sk-" in str(call.body)]
    assert {(call.method, call.path) for call in holding} == {("POST", "/api/provider_keys")}
    for call in stage.aisix.calls:
        if call not in holding:
            refuse_canary(f"{call.path} {call.body}", f"{call.method} {call.path}")
