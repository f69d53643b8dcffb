"""A bot that the tests fork says what `python -m bot` says, and ends with them."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from tests.support.documents import ROOT
from tests.support.process import SURROUNDINGS, gone, ran
from tests.support.stage import Stage

pytestmark = [pytest.mark.rest, pytest.mark.skipif(sys.platform != "linux", reason="bots are forked on Linux alone")]


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

    tests.kill()
    await tests.wait()

    await gone(bot)
