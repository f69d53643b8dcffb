"""The page of the sandbox without a browser: who may ask, what is served, what is shown, and what can be thrown."""

import os
import re
import subprocess
from pathlib import Path

import aiohttp
import pytest

from handlers.commands import COMMAND, WORDS
from sandbox.company import LAG, OLD_SECRET, company
from sandbox.page import router
from sandbox.page.acts import ACTS, Desk
from sandbox.page.screen import HOME_TS, screen
from sandbox.page.server import STATIC, Page
from sandbox.page.workshop import Workshop
from sandbox.slack import Slack
from tests.sandbox.programs import PROJECT
from tests.sandbox.windows import window

GOLDEN = Path(__file__).parents[1] / "handlers" / "golden"
LOADS_FROM_ELSEWHERE = r"""(?:src|href|from|import|url\()\s*=?\s*["'(]?(?:https?:)?//"""
READS_AS_CODE = r"(?:inner|outer|Adjacent)HTML|document\.write|createContextualFragment|DOMParser|\beval\b|Function\("


@pytest.fixture
async def address():
    """A page without a bot: nobody acknowledges anything."""
    async with company() as bare:
        there = router.with_router(bare)
        page = Page(Workshop(there, there.callers(), [router.switch(there, lambda: None)]))
        async with page as address:
            assert page.server.addresses == ["127.0.0.1"], "on the loopback and nowhere else"
            yield address


async def got(url, **headers):
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
        return answer


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example:80"}, {"Origin": "https://evil.example"}, {"Origin": "null"}], ids=str
)
@pytest.mark.parametrize("path", ["", "live?as=U_REQUESTER"])
async def test_another_sites_page_may_not_ask(address, path, headers):
    assert (await got(address + path, **headers)).status == 403


@pytest.mark.parametrize("path", ["", "draw"])
async def test_the_page_may_load_nothing_from_elsewhere_and_run_nothing_written_into_it(address, path):
    policy = (await got(address + path)).headers["Content-Security-Policy"]

    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in policy


@pytest.mark.parametrize("file", sorted(STATIC.iterdir()), ids=lambda file: file.name)
def test_no_file_of_the_page_loads_anything_from_elsewhere_or_reads_text_as_html_or_code(file):
    text = file.read_text(encoding="utf-8")

    assert not re.search(LOADS_FROM_ELSEWHERE, text)
    assert file.suffix != ".js" or not re.search(READS_AS_CODE, text)


def test_everything_that_the_bot_sends_is_drawn():
    script = "".join((STATIC / name).read_text(encoding="utf-8") for name in ("blocks.js", "rich.js"))
    drawn = set(re.findall(r"^  (\w+): ", script, re.MULTILINE))
    goldens = [file.read_text(encoding="utf-8") for file in GOLDEN.glob("*.json")]
    sent = {kind for text in goldens for kind in re.findall(r'"type": "(\w+)"', text)}

    assert {
        "section",
        "context",
        "data_table",
        "plan",
        "header",
        "actions",
        "input",
        "button",
        "external_select",
    } <= sent
    assert sent <= drawn | {
        "mrkdwn",
        "plain_text",
        "modal",
        "home",
        "raw_text",
        "raw_number",
        "line",
        "bar",
        "area",
        "pie",
    }


def test_the_message_box_knows_every_word_of_the_command():
    script = (STATIC / "composer.js").read_text(encoding="utf-8")

    assert WORDS
    assert [word for word in WORDS if f'"{COMMAND} {word}"' not in script] == []


def test_where_chromium_is_missing_make_says_so_in_a_sentence():
    environ = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    command = ("make", "-s", "-o", ".venv/.ready", "browser-test", "CHROMIUM=/nowhere")
    made = subprocess.run(command, cwd=PROJECT, env=environ, capture_output=True, text=True, check=False)

    assert made.returncode != 0
    assert (made.stdout + made.stderr).startswith("make browser-test needs Chromium: install Debian's package chromium")


async def test_what_nobody_takes_shows_what_slack_would_show_to_that_person_only(address):
    async with window(address, "U_GUEST") as guest, window(address, "U_APPROVER") as approver:
        await guest.do("command", text="/rotate-key status", channel="C_OPS")
        await guest.until(lambda seen: 'failed with the error "dispatch_failed"' in seen.told())
        await approver.do("say", text="<b>hello</b>", channel="C_OPS")
        await guest.until(lambda seen: "&lt;b&gt;hello&lt;/b&gt;" in seen.told())

        assert "dispatch_failed" not in approver.told()


async def test_home_stands_above_what_the_app_says_and_its_buttons_are_pressed_as_one_of_home():
    async with Slack() as slack:
        person, desk = slack.person("U_MEMBER"), Desk(slack, slack.person("U_MEMBER"), [], None)
        given = {"channel": "D_U_MEMBER", "ts": HOME_TS, "label": "History…", "row": "row", "value": "home"}
        assert f"message/D_U_MEMBER/{HOME_TS}" not in screen(slack, person.id)
        button = {"type": "button", "text": {"type": "plain_text", "text": "History…"}, "value": "home"}
        view = {"type": "home", "blocks": [{"type": "actions", "block_id": "row", "elements": [button]}]}
        slack.site.views.publish(person.id, view)

        assert screen(slack, person.id)[f"message/D_U_MEMBER/{HOME_TS}"]["blocks"][0]["block_id"] == "row"
        await ACTS["click"](desk, given)
        assert slack.payloads[-1]["payload"]["container"]["type"] == "view"


async def test_the_page_shows_the_credentials_at_the_provider_and_what_becomes_of_them():
    async with company() as there:
        page = Page(Workshop(there, there.callers(), []))
        async with page as address, window(address, "U_REQUESTER") as requester:
            await requester.do("switch", name=f"secret {OLD_SECRET}", value="no")
            await requester.until(lambda seen: "disabled" in [row["status"] for row in rows(seen)])
            there.provider.become(there.provider.of_secret(OLD_SECRET), "gone")
            await requester.until(lambda seen: rows(seen)[-1]["status"] == "deleted")

            assert [row["hint"] for row in rows(requester)] == ["sk-sandbox-...a17c", "sk-sandbox-...2e8b"]
            refused = await requester.do("switch", name=f"secret {OLD_SECRET}", value="yes")
            assert refused["refused"] == "It is deleted at the provider: nothing brings it back."


def rows(seen):
    return seen.items["provider"]["rows"]


@pytest.mark.parametrize(
    ("act", "given", "words"),
    [
        ("dance", {}, "nothing of that name"),
        ("click", {"channel": "C_OPS", "ts": "1.1", "label": "Delete", "row": "b"}, "That message is gone."),
        ("submit", {"values": {}}, "no modal open"),
        ("switch", {"name": "slack", "value": "asleep"}, "cannot be 'asleep'"),
        ("switch", {"name": "secret sk-other", "value": "yes"}, "no such secret"),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_sentence(address, act, given, words):
    async with window(address, "U_REQUESTER") as requester:
        assert words in (await requester.do(act, **given))["refused"]


async def test_every_switch_can_be_thrown_and_put_back():
    async with company() as bare:
        there = router.with_router(bare)
        workshop, started = Workshop(there, there.callers(), []), []
        for switch in [*workshop.switches, router.switch(there, lambda: started.append(1))]:
            first, *others = [value for value, _words in switch.choices]
            for value in (*others, first):
                switch.set(value)
                assert switch.shown()["value"] == value
        production, replicas = there.aisix.environment("production"), there.aisix.all_replicas()

        assert len(started) == 2
        assert (production.probes, production.cache) == ({}, False)
        assert not any(replica.down or replica.cut_off or replica.reject_rows for replica in replicas)
        assert {replica.lag for replica in replicas} == {LAG}
