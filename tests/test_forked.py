"""A bot that the tests fork ends with them."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from tests.support.documents import ROOT
from tests.support.process import SURROUNDINGS, gone
from tests.support.stage import Stage

pytestmark = [pytest.mark.rest, pytest.mark.skipif(sys.platform != "linux", reason="bots are forked on Linux alone")]


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
