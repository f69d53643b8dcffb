"""`make play` from outside: the one address that it prints, the bot behind it, and its end."""

import re
import signal

from tests.sandbox.programs import started
from tests.sandbox.windows import Window, window

ADDRESS = re.compile(r"http://\S+")


async def test_a_bot_of_its_own_answers_behind_the_one_address_also_after_it_was_killed() -> None:
    play = await started("-m", "sandbox.page", PYTHONUNBUFFERED="1", http_proxy="http://127.0.0.1:9")
    assert play.stdout is not None
    printed = ""
    while "Ctrl-C" not in printed:
        printed += (line := (await play.stdout.readline()).decode())
        assert line, printed
    addresses = ADDRESS.findall(printed)
    async with window(addresses[0], "U_REQUESTER") as requester:
        await help_comes(requester)
        await requester.do("switch", name="bot", value="killed")
        await requester.until(lambda seen: seen.items["team"]["away"])
        await requester.do("switch", name="bot", value="runs")
        await requester.until(lambda seen: not seen.items["team"]["away"])
        await help_comes(requester)
    play.send_signal(signal.SIGINT)

    assert await play.wait() == 0
    assert len(addresses) == 1
    assert addresses[0].startswith("http://127.0.0.1:")


async def help_comes(requester: Window) -> None:
    """Ask for help and read one more answer than before."""
    before = requester.told().count("rotates a provider key without an outage")
    await requester.do("command", text="/rotate-key help", channel="C_OPS")
    await requester.until(lambda seen: seen.told().count("rotates a provider key without an outage") > before)
