"""A bot that the tests fork is what `python -m bot` is, to the system and to whoever runs it; and it ends with them."""

import asyncio
import json
import os
import re
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.forked import ROOT, SURROUNDINGS
from tests.support.process import BotProcess, bot_process, gone, ran
from tests.support.stage import Stage

pytestmark = [pytest.mark.rest, pytest.mark.skipif(sys.platform != "linux", reason="bots are forked on Linux alone")]


def text(pid: int, name: str) -> str:
    """Return what the system says of a process under *name*."""
    return Path(f"/proc/{pid}/{name}").read_text()


def state(pid: int) -> dict[str, str]:
    """Return what is counted of a process's state: signals and rights."""
    lines = dict(line.split(":\t", 1) for line in text(pid, "status").splitlines())
    names = ("Umask", "SigPnd", "SigBlk", "SigIgn", "SigCgt", "NoNewPrivs", "CapEff")
    return {name: lines[name].strip() for name in names}


def parent(pid: int) -> int:
    """Return whose child a process is."""
    return int(text(pid, "status").partition("PPid:\t")[2].split()[0])


def opened(pid: int) -> list[str]:
    """Return what a process has open beside its input and its output."""
    found = []
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was that of the folder itself, or is closed by now
            found += [str(file.readlink())] if int(file.name) > 2 else []
    return found


def kinds(pid: int, folder: Path) -> Counter[str]:
    """Return how many of each kind a process has open; how many sockets depends on what it does at the moment."""
    names = [re.sub(r"\d+", "", name.removeprefix(str(folder))) for name in opened(pid)]
    return Counter(name for name in names if not name.startswith("socket:"))


@pytest.fixture
async def pair(bare_stage: Stage, tmp_path: Path) -> AsyncIterator[tuple[BotProcess, BotProcess]]:
    """One from the command line and one forked, each with a server of its own."""
    alone = {name: value for name, value in bare_stage.environ.items() if name != "REDIS_URL"}
    folders = [tmp_path / "typed", tmp_path / "forked"]
    for folder in folders:
        folder.mkdir()
    async with bot_process(alone, folders[0], command_line=True) as typed, bot_process(alone, folders[1]) as forked:
        yield typed, forked


async def test_the_system_sees_no_difference(pair: tuple[BotProcess, BotProcess]) -> None:
    typed, forked = pair

    assert text(typed.pid, "cmdline") != text(forked.pid, "cmdline"), "one is forked"
    assert state(typed.pid) == state(forked.pid)
    assert text(typed.pid, "limits") == text(forked.pid, "limits")


async def test_nothing_is_open_in_it_that_is_not_its_own(pair: tuple[BotProcess, BotProcess]) -> None:
    typed, forked = pair

    assert kinds(typed.pid, typed.folder) == kinds(forked.pid, forked.folder)
    theirs = {*opened(os.getpid()), *opened(parent(forked.pid))}
    assert [name for name in opened(forked.pid) if name in theirs and name.startswith("socket:")] == []


async def test_told_to_stop_both_end_in_order(pair: tuple[BotProcess, BotProcess]) -> None:
    assert [(await bot.terminated())[0] for bot in pair] == [0, 0]
    assert ["stopping" in [event["event"] for event in bot.events] for bot in pair] == [True, True]


SAID = {
    "wrong words": (("nonsense",), {}, 2),
    "a setting of the environment": ((), {"SLACK_BOT_TOKEN": "xoxb-1"}, 1),
    "a width of the environment": (("--help",), {"COLUMNS": "50"}, 0),
    "a file in the folder": (("audit", "verify", "trail.jsonl"), {}, 1),
}


@pytest.mark.parametrize("case", SAID)
async def test_both_say_the_same_and_end_with_the_same_status(tmp_path: Path, case: str) -> None:
    command, environ, status = SAID[case]
    (tmp_path / "trail.jsonl").write_text("nonsense\n")

    typed = await ran(environ, tmp_path, *command, stdin="nonsense\n", command_line=True)

    assert await ran(environ, tmp_path, *command, stdin="nonsense\n") == typed
    assert typed[0] == status


async def test_a_bot_that_is_killed_has_the_status_of_one(bare_stage: Stage, tmp_path: Path) -> None:
    async with bot_process(bare_stage.environ, tmp_path) as bot:
        bot.kill()

        assert await bot.ended() == -9


TESTS = """
import asyncio, json, pathlib, sys
from tests.support.process import BotProcess

async def main():
    bot = await BotProcess(json.loads(sys.argv[1]), pathlib.Path(sys.argv[2])).start()
    print((await bot.ready()).pid, flush=True)
    await bot.ended(600)

asyncio.run(main())
"""


async def test_when_the_tests_are_killed_nothing_of_theirs_goes_on(bare_stage: Stage, tmp_path: Path) -> None:
    words = [TESTS, json.dumps(bare_stage.environ), str(tmp_path)]
    tests = await asyncio.create_subprocess_exec(sys.executable, "-c", *words, cwd=ROOT, env=SURROUNDINGS, stdout=PIPE)
    assert tests.stdout
    bot = int(await tests.stdout.readline())
    nursery = parent(bot)

    tests.kill()
    await tests.wait()

    await gone(bot)
    await gone(nursery)
