"""The workspace in the browser, with real gateways behind it."""

import os
import signal

from tests.sandbox.programs import started
from tests.sandbox.windows import Window, window


def keys_of(seen: Window, environment: str = "production") -> set[frozenset[str]]:
    """Return the marks of the keys that each model is on, at the replicas that tell."""
    return {frozenset(model["at"].values()) for model in seen.environment(environment)["models"] if "at" in model}


async def test_the_page_says_that_its_gateways_are_real_and_shows_what_each_of_them_holds():
    play = await started("-m", "sandbox.page", PYTHONUNBUFFERED="1")
    assert play.stdout is not None
    printed = ""
    while "Ctrl-C" not in printed:
        printed += (line := (await play.stdout.readline()).decode())
        assert line, printed
    address = next(word for word in printed.split() if word.startswith("http://"))
    async with window(address, "U_REQUESTER") as requester:
        shown = await requester.until(lambda seen: seen.items["gateways"])
        await requester.until(lambda seen: keys_of(seen) == {frozenset("A"), frozenset("B")})
        await requester.until(lambda seen: seen.items["traffic"]["totals"]["good"] > 20)
        await requester.until(
            lambda seen: any(second["served"].get("A") for second in seen.items["traffic"]["seconds"])
        )
        await requester.do("switch", name="production, replica 2", value="closed")
        await requester.until(lambda seen: seen.environment("production")["replicas"][1]["state"] == "cut off")
    play.send_signal(signal.SIGINT)

    assert await play.wait() == 0
    assert shown == f"real gateways, {os.environ['AISIX_BIN']}, on a real etcd"
    assert shown in printed.replace("\n", " ")
