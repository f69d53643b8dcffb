"""`APPROVAL_LINK`: from the button over the company's sign-in to the delete, over real sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bot.app import Parts
from bot.rotation.record import Rotation
from bot.rotation.states import State
from sandbox.slack import Message
from sandbox.slack.person import Person
from tests.handlers import records as r
from tests.support.browser import Browser, Shown
from tests.support.issuer import SECRET, Issuer, issuer_of
from tests.support.stage import Stage, free_port, stage_of


def settings_of(issuer: Issuer) -> dict[str, str]:
    """Return the settings with which a bot asks for a sign-in there."""
    port = str(free_port())
    return {"PORT": port, "APPROVAL_LINK": f"http://127.0.0.1:{port}/keyturn/", **issuer.settings()}


@asynccontextmanager
async def stepping_up(redis_url: str) -> AsyncIterator[tuple[Stage, Issuer]]:
    async with issuer_of() as issuer, stage_of(redis_url, overrides=settings_of(issuer)) as stage:
        yield stage, issuer


async def put(stage: Stage, built: Parts, rotation: Rotation) -> Message:
    """Put a rotation into the channel as it is."""
    saved = await built.store.save(
        rotation.but(version=0), {"by": "a test", "what": "recorded", "why": ""}, at=built.world.now()
    )
    await built.announcer.first(saved)
    return stage.slack.messages("C_OPS")[-1]


async def link_of(stage: Stage, card: Message, who: str = "U_APPROVER", button: str = "Delete old key") -> str:
    """Have *who* press, and return the link that only they get."""
    person = stage.slack.person(who)
    before = len(person.ephemerals)
    await stage.press(button, card, who)
    await stage.slack.until(lambda: len(person.ephemerals) > before, what="the link")
    return url_in(person)


def url_in(person: Person) -> str:
    blocks = person.ephemerals[-1].get("blocks") or []
    return next(element["url"] for block in blocks for element in block.get("elements", []) if "url" in element)


async def test_a_rotation_ends_with_an_approval_on_the_page(redis_url: str, caplog: Any, capsys: Any) -> None:
    async with stepping_up(redis_url) as (stage, issuer), stage.bot():
        card = await stage.ask()
        await stage.give(card)
        await stage.says(card, "waiting for an approver")
        link, browser = await link_of(stage, card), Browser()

        shown = await browser.open(link)
        assert (shown.status, shown.url) == (200, f"{stage.overrides['APPROVAL_LINK']}approve")
        assert all(said in shown.page for said in ("OpenAI production", "chat-large", "support-embed", "proved"))
        assert await stage.state() is State.AWAITING_APPROVAL

        done = await browser.send(shown)
        assert "Your approval counts" in done.page
        await stage.says(card, "deleted")
        record = await stage.recorded(lambda record: record.deleted_at)
        assert [word.signed_in for word in record.approvals] == [f"{issuer.url} (pwd)"]

        (asked,), (redeemed,) = issuer.asked, issuer.redeemed
        assert {name: asked[name] for name in ("response_type", "prompt", "max_age", "code_challenge_method")} == {
            "response_type": "code", "prompt": "login", "max_age": "60", "code_challenge_method": "S256",
        }  # fmt: skip
        everything = "\n".join([*capsys.readouterr(), *(record.getMessage() for record in caplog.records)])
        public = "\n".join(message.plain for message in [card, *stage.slack.thread(card)])
        for secret in (link.rpartition("/")[2], redeemed["code"], asked["state"], asked["nonce"], SECRET, "@example"):
            assert secret not in everything
            assert secret not in public


async def test_what_looks_at_a_link_first_neither_approves_nor_uses_it_up(redis_url: str) -> None:
    async with stepping_up(redis_url) as (stage, _issuer), stage.front() as built:
        card = await put(stage, built, r.awaiting_approval())
        link, browser = await link_of(stage, card), Browser()
        for _ in range(3):
            assert (await Browser().open(link, follow=0)).status == 303
        shown = await browser.open(link)
        for _ in range(3):
            assert (await browser.open(shown.url)).status == 200

        assert (await stage.record()).approvals == ()
        assert "Your approval counts" in (await browser.send(shown)).page


async def test_a_page_is_never_kept_framed_or_told_and_its_cookies_are_for_this_host_alone(redis_url: str) -> None:
    async with stepping_up(redis_url) as (stage, _issuer), stage.front() as built:
        card = await put(stage, built, r.awaiting_approval())
        link, browser = await link_of(stage, card), Browser()
        pages = [await browser.open(link, follow=0), await browser.open(link), await Browser().open(link + "x")]

    for page in pages:
        assert page.headers.get("Cache-Control") == "no-store"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["X-Frame-Options"] == "DENY"
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert all(part in policy for part in ("form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"))
        assert "unsafe" not in policy
    assert len(browser.set_cookies) == 4
    for cookie in browser.set_cookies:
        assert cookie.startswith("__Host-keyturn-")
        assert all(part in cookie for part in ("HttpOnly", "Secure", "SameSite=Lax", "Path=/"))
        assert "Domain" not in cookie


async def test_only_the_form_of_the_page_in_the_browser_that_signed_in_approves(redis_url: str) -> None:
    async with stepping_up(redis_url) as (stage, _issuer), stage.front() as built:
        card = await put(stage, built, r.awaiting_approval())
        browser = Browser()
        shown = await browser.open(await link_of(stage, card))
        told = [
            await Browser().send(shown),
            await browser.send(shown, token="forged"),
            await browser.send(Shown(shown.url, 200, {}, "")),
            await browser.send(shown, {"Sec-Fetch-Site": "cross-site"}),
            await browser.send(shown, {"Sec-Fetch-Site": "same-site"}),
            await browser.send(shown, {"Content-Type": "text/plain"}),
        ]

        assert [page.status for page in told] == [409, 403, 403, 403, 403, 403]
        assert all("Nothing was approved" in page.page for page in told)
        assert (await stage.record()).approvals == ()
        assert "Your approval counts" in (await browser.send(shown, {"Sec-Fetch-Site": "same-origin"})).page
        assert "has been used" in (await browser.send(shown)).page
        assert len((await stage.record()).approvals) == 1


LIES: dict[str, tuple[dict[str, Any], str]] = {
    "another person": ({"claims": {"email": "other@example.com", "email_verified": True}}, "Someone else signed in"),
    "an unverified address": ({"claims": {"email": "approver@example.com", "email_verified": False}}, "is verified"),
    "another key": ({"signs_with": "another"}, "signature is wrong"),
    "another issuer": ({"claims": {"iss": "https://evil.example"}}, "another issuer"),
    "another audience": ({"claims": {"aud": "other"}}, "another application"),
    "another nonce": ({"claims": {"nonce": "other"}}, "another sign-in"),
    "expired": ({"claims": {"exp": 1}}, "has expired"),
    "no new sign-in": ({"claims": {"auth_time": 1}}, "signed in already"),
    "no time of the sign-in": ({"claims": {"auth_time": None}}, "does not tell auth_time"),
    "somebody else's address": ({"claims": {"email": None}, "userinfo": {
        "sub": "u-2", "email": "approver@example.com", "email_verified": True}}, "describes somebody else"),
    "no address anywhere": ({"claims": {"email": None}}, "is verified"),
    "given up": ({"refuses": "access_denied"}, "You did not sign in"),
    "another name": ({"discovery": {"issuer": "https://evil.example"}}, "is not the same"),
    "no TLS": ({"discovery": {"token_endpoint": "http://login.example.com/token"}}, "no usable token_endpoint"),
    "no PKCE": ({"discovery": {"code_challenge_methods_supported": ["plain"]}}, "does not offer S256"),
    "no keys": ({"discovery": {"jwks_uri": None}}, "no usable jwks_uri"),
}  # fmt: skip


async def test_no_lie_of_a_provider_opens_the_page(redis_url: str) -> None:
    async with stepping_up(redis_url) as (stage, issuer), stage.front() as built:
        card, honest = await put(stage, built, r.awaiting_approval()), {**vars(issuer)}
        for lie, (changes, words) in LIES.items():
            vars(issuer).update(honest | changes)
            shown = await (browser := Browser()).open(await link_of(stage, card))
            assert words in shown.page, lie
            assert shown.status in (403, 503), lie
            assert "<form" not in shown.page
            assert (await browser.open(f"{stage.overrides['APPROVAL_LINK']}approve")).status == 409
        vars(issuer).update(honest | {"claims": {"email": None}, "userinfo": {
            "email": "Approver@Example.com", "email_verified": True}})  # fmt: skip

        shown = await (browser := Browser()).open(await link_of(stage, card))
        assert "Your approval counts" in (await browser.send(shown)).page
        assert [word.by for word in (await stage.record()).approvals] == ["U_APPROVER"]


async def test_a_code_that_was_redeemed_is_worth_nothing_to_anybody(redis_url: str) -> None:
    async with stepping_up(redis_url) as (stage, issuer), stage.front() as built:
        card, browser = await put(stage, built, r.awaiting_approval()), Browser()
        began = await browser.open(await link_of(stage, card), follow=0)
        back = await browser.open(began.headers["Location"], follow=0)
        there, before = back.headers["Location"], Browser({place: {**jar} for place, jar in browser.cookies.items()})
        assert (await browser.open(there)).status == 200

        for again in (before, browser, Browser()):
            shown = await again.open(there)
            assert shown.status in (403, 409)
            assert "<form" not in shown.page
        assert len(issuer.redeemed) == 1


async def test_in_http_mode_the_same_site_serves_slack_and_the_page(redis_url: str) -> None:
    async with issuer_of() as issuer, stage_of(redis_url, mode="http") as stage:
        stage.overrides |= issuer.settings() | {"APPROVAL_LINK": f"http://127.0.0.1:{stage.overrides['PORT']}"}
        async with stage.front() as built:
            card, browser = await put(stage, built, r.awaiting_approval(tally=r.FAILING_CALLERS)), Browser()
            shown = await browser.open(await link_of(stage, card))
            assert "Why delete anyway?" in shown.page
            wrong = await browser.send(shown, reason="")
            assert (wrong.status, "Say why in a few words" in wrong.page) == (409, True)
            assert "Your approval counts" in (await browser.send(wrong, reason="theirs <b>not</b> ours")).page
            assert [word.reason for word in (await stage.record()).approvals] == ["theirs <b>not</b> ours"]


@pytest.mark.parametrize("scopes", [frozenset({"users:read", "usergroups:read", "chat:write"})])
async def test_without_the_scope_for_addresses_nobody_gets_a_link_and_hears_why(
    redis_url: str, scopes: frozenset[str]
) -> None:
    async with stepping_up(redis_url) as (stage, _issuer), stage.front() as built:
        card = await put(stage, built, r.awaiting_approval())
        stage.slack.site.switches.scopes = scopes
        await stage.press("Delete old key", card, "U_APPROVER")
        await stage.told("U_APPROVER", "The app needs the scope users:read.email")
