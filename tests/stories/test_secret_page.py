"""`SECRET_FORM=web` and `keyturn secret`: the new secret reaches AISIX and nothing else, over real sockets."""

import asyncio
import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from bot.rotation.parts import Way
from sandbox.slack import Message
from tests.stories.test_step_up import link_of, settings_of
from tests.support.browser import Browser, Shown
from tests.support.canary import CANARY, WRONG, refuse_canary, refuse_in_keys
from tests.support.issuer import Issuer, issuer_of
from tests.support.process import BotProcess, bot_process
from tests.support.stage import Stage, stage_of

TYPED = {"name": "OpenAI spare", "reason": "quarterly", "ticket": "OPS-4412"}


@asynccontextmanager
async def giving(redis_url: str) -> AsyncIterator[tuple[Stage, Issuer]]:
    async with issuer_of() as issuer, stage_of(redis_url, overrides=settings_of(issuer)) as stage:
        stage.overrides |= {"SECRET_FORM": "web"}
        stage.aisix.upstream.accept(CANARY)
        stage.aisix.switches.raw_bodies = True
        issuer.claims = {"email": "requester@example.com", "email_verified": True}
        yield stage, issuer


async def opened(stage: Stage, card: Message, browser: Browser) -> Shown:
    return await browser.open(await link_of(stage, card, "U_REQUESTER", "Enter new secret"))


def creations(stage: Stage) -> list[Any]:
    return [call.body["api_key"] for call in stage.aisix.calls if (call.method, call.path[-14:]) == POSTED]


POSTED = ("POST", "/provider_keys")


def fields(page: str) -> dict[str, str]:
    """What the fields that people read hold."""
    return {name: html.unescape(value) for name, value in re.findall(r'name="(\w+)" type="text" value="([^"]*)"', page)}


def public(stage: Stage, card: Message) -> str:
    person = stage.slack.person("U_REQUESTER")
    return "\n".join(map(str, [card.plain, stage.thread(card), *person.ephemerals, person.modal]))


def check_unkept(page: Shown) -> None:
    """Fail if a page could be kept, framed or told to another site, or holds a part of a secret."""
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    policy = page.headers["Content-Security-Policy"]
    assert all(part in policy for part in ("default-src 'none'", "form-action 'self'", "frame-ancestors 'none'"))
    refuse_canary(f"{page.page} {page.headers}", "a page")


async def test_a_secret_goes_from_the_page_to_aisix_and_into_no_log_no_page_no_message_and_no_redis(
    redis_url: str, tmp_path: Path
) -> None:
    async with giving(redis_url) as (stage, _issuer), bot_process(stage.environ, tmp_path) as bot:
        card, browser = await stage.ask(), Browser()
        shown = await opened(stage, card, browser)
        assert 'type="password" autocomplete="new-password"' in shown.page

        wrong = await browser.send(shown, secret=f"{CANARY} {WRONG}", **TYPED)
        assert (wrong.status, "This has a space in the middle" in wrong.page) == (409, True)
        assert fields(wrong.page) == TYPED
        pasted_twice = await browser.send(wrong, secret=CANARY, **TYPED | {"reason": f"now {CANARY}"})
        assert (pasted_twice.status, fields(pasted_twice.page)) == (409, TYPED | {"reason": ""})
        done = await browser.send(pasted_twice, secret=CANARY, **TYPED)
        assert (done.status, done.headers["Location"]) == (303, "/keyturn/secret/taken")
        thanks = await browser.open(f"{stage.overrides['APPROVAL_LINK']}secret/taken")
        assert "you can close this page" in thanks.page
        again = await browser.send(shown, secret=CANARY, **TYPED)
        assert (again.status, "This page has been used" in again.page) == (409, True)

        await stage.says(card, "waiting for an approver")
        assert "new secret by Keyturn's page" in card.plain
        assert creations(stage) == [CANARY]
        for page in (shown, wrong, pasted_twice, done, thanks, again):
            check_unkept(page)
        refuse_canary(public(stage, card), "Slack")
        refuse_canary(bot.output, "the log")
        async with Redis.from_url(redis_url) as redis:
            await refuse_in_keys(redis)


async def test_only_the_person_in_the_browser_that_signed_in_gives_the_secret_and_only_by_its_own_form(
    redis_url: str,
) -> None:
    async with giving(redis_url) as (stage, issuer), stage.front():
        card, browser = await stage.ask(), Browser()
        issuer.claims = {"email": "approver@example.com", "email_verified": True}
        assert "Someone else signed in" in (await opened(stage, card, Browser())).page
        issuer.claims = {"email": "requester@example.com", "email_verified": True}
        shown = await opened(stage, card, browser)
        filled = {"secret": CANARY, **TYPED}
        told = [
            await Browser().send(shown, **filled),
            await browser.send(shown, None, **filled | {"token": "forged"}),
            await browser.send(Shown(shown.url, 200, {}, ""), None, **filled),
            await browser.send(shown, {"Sec-Fetch-Site": "cross-site"}, **filled),
            await browser.send(shown, {"Content-Type": "text/plain"}, **filled),
            await browser.send(Shown(shown.url.replace("secret", "approve"), 200, {}, shown.page), None, **filled),
        ]
        assert [page.status for page in told] == [409, 403, 403, 403, 403, 409]
        refuse_canary("".join(page.page for page in told), "a page")

        elsewhere = await opened(stage, card, browser)  # another tab: the first one's form has ended with its cookie
        assert (await browser.send(shown, **filled)).status == 403
        assert creations(stage) == []
        both = await asyncio.gather(*(browser.send(elsewhere, **filled) for _ in range(2)))
        assert sorted(page.status for page in both) == [303, 409]
        await stage.recorded(lambda record: record.replacement_id)
        assert creations(stage) == [CANARY]


async def test_a_page_that_was_open_when_the_rotation_was_cancelled_gives_nothing(redis_url: str) -> None:
    async with giving(redis_url) as (stage, _issuer), stage.front():
        card, browser = await stage.ask(), Browser()
        shown = await opened(stage, card, browser)
        await stage.press("Cancel", card)
        await stage.recorded(lambda record: record.is_over)

        late = await browser.send(shown, secret=CANARY, **TYPED)
        assert (late.status, "no longer applies: this rotation is cancelled" in late.page) == (409, True)
        assert "has been used" in (await browser.open(shown.url)).page
        assert creations(stage) == []


async def test_another_secret_gets_a_link_in_the_place_of_the_form(redis_url: str) -> None:
    async with giving(redis_url) as (stage, _issuer), stage.bot():
        stage.aisix.switches.model_create = False  # so there is no rehearsal, and callers' models meet the wrong secret
        card, browser, person = await stage.ask(), Browser(), stage.slack.person("U_REQUESTER")
        first = await opened(stage, card, browser)
        assert (await browser.send(first, secret=WRONG, **TYPED)).status == 303
        await stage.says(card, "stopped: the new secret was refused")
        await stage.press("Another secret", card)
        await stage.slack.until(lambda: person.modal, what="the question")
        await person.submit()
        view = person.modal or {}
        [link] = [one["url"] for block in view["blocks"] for one in block.get("elements", ()) if "url" in one]

        shown = await browser.open(link)
        assert fields(shown.page)["reason"] == "quarterly"
        await stage.says(card, "waiting for the new secret")
        assert (await browser.send(shown, secret=CANARY, **fields(shown.page))).status == 303
        await stage.recorded(lambda record: record.attempt == len(creations(stage)) == 2)
        assert creations(stage) == [WRONG, CANARY]


# --- keyturn secret ---


async def token_of(stage: Stage, rotation_id: str) -> str:
    person = stage.slack.person("U_REQUESTER")
    before = len(person.ephemerals)
    await person.command(f"token {rotation_id}", channel="C_OPS")
    await stage.slack.until(lambda: len(person.ephemerals) > before, what="the token")
    return str(person.ephemerals[-1]["text"]).split("`")[1]


async def typed(stage: Stage, folder: Path, rotation_id: str, token: str, secret: str) -> tuple[int, str]:
    environ = stage.environ | ({"KEYTURN_TOKEN": token} if token else {})
    bot = await BotProcess(environ, folder, "secret", rotation_id, "--reason", "quarterly").start(secret)
    return await bot.ended(), bot.output


async def test_a_token_from_slack_lets_its_person_give_the_secret_of_that_rotation_once_at_the_command_line(
    redis_url: str, tmp_path: Path
) -> None:
    async with stage_of(redis_url) as stage, stage.bot():
        stage.aisix.upstream.accept(CANARY)
        stage.aisix.switches.raw_bodies = True
        card = await stage.ask()
        record = await stage.record()
        token, said = await token_of(stage, record.id), list[tuple[int, str]]()
        for rotation_id, given, secret in (
            ("r222222", token, CANARY),
            (record.id, "forged", CANARY),
            (record.id, "", CANARY),
            (record.id, token, f"{CANARY} {WRONG}"),
            (record.id, token, f"{CANARY}\n"),
            (record.id, token, CANARY),
        ):
            said.append(await typed(stage, tmp_path, rotation_id, given, secret))
        words = ["does not know", "This token is not", "no terminal to ask", "space in the middle", "Taken.", "not for"]
        assert [(status, word in told) for (status, told), word in zip(said, words, strict=True)] == [
            (status, True) for status in (1, 1, 1, 1, 0, 1)
        ], said

        await stage.says(card, "waiting for an approver")
        assert "new secret by the command line" in card.plain
        given = (await stage.record()).replacement
        assert given is not None
        assert (given.way, creations(stage)) == (Way.COMMAND_LINE, [CANARY])
        refuse_canary(f"{said} {public(stage, card)}", "what people see")
        assert token not in str(said)
        async with Redis.from_url(redis_url) as redis:
            await refuse_in_keys(redis)
