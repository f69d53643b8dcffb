"""The page of the sandbox without a browser: who may ask, what is served, what is shown, and what can be thrown."""

import asyncio
import json
import os
import re
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from handlers.commands import COMMAND, WORDS
from sandbox.company import LAG, company
from sandbox.page import router
from sandbox.page.server import STATIC, Page
from sandbox.page.workshop import Workshop
from tests.sandbox.windows import window

GOLDEN = Path(__file__).parents[1] / "handlers" / "golden"
SCRIPTS = sorted(STATIC.glob("*.js"))
LOADED_FROM_ELSEWHERE = re.compile(r"""(?:src|href|from|import|url\()\s*=?\s*["'(]?(?:https?:)?//""")
Json = dict[str, Any]


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """A page without a bot: nobody acknowledges anything."""
    async with company() as bare:
        there = router.with_router(bare)
        workshop = Workshop(there, there.callers(), [router.switch(there, lambda: None)])
        async with Page(workshop) as address:
            yield address


async def got(url: str, **headers: str) -> aiohttp.ClientResponse:
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
        await answer.read()
        return answer


async def test_the_page_listens_on_the_loopback_and_nowhere_else():
    page = Page()
    async with page as address:
        assert page.server.addresses == ["127.0.0.1"]
        assert address.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Host": "evil.example:80"}, {"Origin": "https://evil.example"}, {"Origin": "null"}],
    ids=str,
)
@pytest.mark.parametrize("path", ["", "live?as=U_REQUESTER"])
async def test_another_sites_page_may_not_ask(address: str, path: str, headers: dict[str, str]):
    assert (await got(address + path, **headers)).status == 403


@pytest.mark.parametrize("path", ["", "draw"])
async def test_the_page_may_load_nothing_from_elsewhere_and_run_nothing_written_into_it(address: str, path: str):
    policy = (await got(address + path)).headers["Content-Security-Policy"]

    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in policy


@pytest.mark.parametrize("file", sorted(STATIC.iterdir()), ids=lambda file: file.name)
def test_no_file_of_the_page_asks_for_anything_from_elsewhere(file: Path):
    assert not LOADED_FROM_ELSEWHERE.search(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.name)
def test_text_from_outside_is_never_read_as_html_or_code(file: Path):
    reads = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|\beval\b|Function\("
    )

    assert not re.search(reads, file.read_text(encoding="utf-8"))


def table(name: str) -> set[str]:
    """Read the keys of a table of the drawing."""
    script = (STATIC / "blocks.js").read_text(encoding="utf-8")
    body = re.search(rf"export const {name} = {{\n(.*?)\n}};", script, re.DOTALL)
    assert body
    return set(re.findall(r"^  (\w+): ", body[1], re.MULTILINE))


def used(part: Any, names: tuple[str, ...]) -> set[str]:
    """Find the types of what stands under *names*, at any depth."""
    if isinstance(part, list):
        return {kind for each in part for kind in used(each, names)}
    if not isinstance(part, dict):
        return set()
    here = [
        each
        for name in names
        if name in part
        for each in (part[name] if isinstance(part[name], list) else [part[name]])
    ]
    return {each["type"] for each in here} | used(list(part.values()), names)


def test_everything_that_the_bot_sends_is_drawn():
    goldens = [json.loads(file.read_text(encoding="utf-8")) for file in GOLDEN.glob("*.json")]
    blocks = used(goldens, ("blocks",))
    elements = used(goldens, ("elements", "element", "accessory")) - {"mrkdwn", "plain_text"}

    assert {"section", "context", "table", "actions", "input"} <= blocks <= table("BLOCKS")
    assert {"button", "plain_text_input", "external_select", "static_select", "multi_static_select"} <= elements
    assert elements <= table("ELEMENTS")


def test_the_message_box_knows_every_word_of_the_command():
    script = (STATIC / "composer.js").read_text(encoding="utf-8")

    assert WORDS
    assert [word for word in WORDS if f'"{COMMAND} {word}"' not in script] == []


async def test_where_there_is_no_chromium_make_says_so_in_a_sentence():
    root = Path(__file__).parents[2]
    command = ("make", "-o", ".venv/.ready", "browser-test", "CHROMIUM=/nowhere")
    environ = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    making = await asyncio.create_subprocess_exec(*command, cwd=root, env=environ, stdout=PIPE, stderr=STDOUT)
    printed, _ = await making.communicate()

    assert making.returncode != 0
    assert printed.decode().startswith("make browser-test needs Chromium: install Debian's package chromium, or say ")


async def test_what_nobody_takes_shows_what_slack_would_show_to_that_person_only(address: str):
    async with window(address, "U_GUEST") as guest, window(address, "U_APPROVER") as approver:
        await guest.do("command", text="/rotate-key status", channel="C_OPS")
        await guest.until(lambda seen: 'failed with the error "dispatch_failed"' in seen.told())
        await approver.do("say", text="<b>hello</b>", channel="C_OPS")
        await guest.until(lambda seen: "&lt;b&gt;hello&lt;/b&gt;" in seen.told())

        assert "dispatch_failed" not in approver.told()


@pytest.mark.parametrize(
    ("act", "given", "words"),
    [
        ("dance", {}, "nothing of that name"),
        ("click", {"channel": "C_OPS", "ts": "1.1", "label": "Delete", "row": "b"}, "That message is gone."),
        ("submit", {"values": {}}, "no modal open"),
        ("switch", {"name": "slack", "value": "asleep"}, "cannot be 'asleep'"),
        ("switch", {"name": "weather", "value": "rain"}, "no such switch"),
        ("switch", {"name": "secret sk-other", "value": "yes"}, "no such secret"),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_sentence(address: str, act: str, given: Json, words: str):
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

        replicas = there.aisix.all_replicas()

        assert len(started) == 2
        assert not there.aisix.environment("production").probes
        assert there.aisix.environment("production").cache is False
        assert not any(replica.down or replica.cut_off or replica.reject_rows for replica in replicas)
        assert {replica.lag for replica in replicas} == {LAG}
