"""Approving after a sign-in at oidc-provider, a certified OpenID Connect server (`make oidc-test`, needs npm)."""

import asyncio
import os
import signal
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.check.sign_in import sign_in
from bot.oidc import provider_of
from tests.handlers import records as r
from tests.stories.test_step_up import link_of, put
from tests.support.browser import Browser
from tests.support.documents import ROOT
from tests.support.stage import NEW_SECRET, Stage, free_port, stage_of

WORK = ROOT / "var/oidc"
"""`make oidc-test` installs the server here, as the lock in this folder pins it."""

SECRET = "a-secret/of+the=client%"


@asynccontextmanager
async def server_of(back: str) -> AsyncIterator[str]:
    """Run the server for an application at *back*, and yield its address."""
    environ = os.environ | {"CLIENT_SECRET": SECRET}
    process = await asyncio.create_subprocess_exec(
        "node", "server.mjs", back, cwd=WORK, env=environ, stdout=PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout
        async with asyncio.timeout(60):
            yield (await process.stdout.readline()).decode().strip()
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


@asynccontextmanager
async def signing_in(redis_url: str) -> AsyncIterator[Stage]:
    port = str(free_port())
    link = f"http://127.0.0.1:{port}/"
    async with server_of(f"{link}approve/signed-in") as issuer, stage_of(redis_url) as stage:
        stage.overrides |= {"PORT": port, "APPROVAL_LINK": link, "OIDC_ISSUER": issuer}
        stage.overrides |= {"OIDC_CLIENT_ID": "keyturn", "OIDC_CLIENT_SECRET": SECRET}
        yield stage


async def test_the_right_person_approves_and_nobody_else(redis_url: str) -> None:
    async with signing_in(redis_url) as stage, stage.front() as built:
        card = await put(stage, built, r.awaiting_approval())
        found = {}
        for who in ("other", "unverified", "approver"):
            browser = Browser()
            begun = await browser.open(await link_of(stage, card))
            assert 'name="login"' in begun.page
            shown = await browser.sign_in(begun, who)
            found[who] = (shown.status, "<form" in shown.page)
            if who == "approver":
                assert "Your approval counts" in (await browser.send(shown)).page

        assert found == {"other": (403, False), "unverified": (403, False), "approver": (200, True)}
        (approval,) = (await stage.record()).approvals
        assert (approval.by, approval.signed_in) == ("U_APPROVER", stage.overrides["OIDC_ISSUER"])


async def test_the_requester_gives_the_new_secret_and_nobody_else(redis_url: str) -> None:
    async with signing_in(redis_url) as stage:
        stage.overrides["SECRET_FORM"] = "web"
        async with stage.front():
            card, found = await stage.ask(), {}
            for who in ("approver", "requester"):
                browser = Browser()
                begun = await browser.open(await link_of(stage, card, "U_REQUESTER", "Enter new secret"))
                shown = await browser.sign_in(begun, who)
                found[who] = (shown.status, "<form" in shown.page)
            assert found == {"approver": (403, False), "requester": (200, True)}
            assert (await browser.send(shown, secret=NEW_SECRET, name="spare")).status == 303


async def test_a_person_who_is_signed_in_there_already_has_to_sign_in_again(redis_url: str) -> None:
    async with signing_in(redis_url) as stage, stage.front() as built:
        card, browser = await put(stage, built, r.awaiting_approval(approvals_required=2)), Browser()
        for _ in range(2):
            begun = await browser.open(await link_of(stage, card))
            assert 'name="login"' in begun.page
            assert (await browser.sign_in(begun, "approver")).status == 200


async def test_the_check_finds_all_that_it_needs(redis_url: str) -> None:
    async with signing_in(redis_url) as stage:
        settings = stage.settings()
        (found,) = await sign_in(lambda: provider_of(settings, lambda: r.at(0)))

    assert found.said == "it can sign people in: 1 key."
