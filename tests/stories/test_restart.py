"""The bot's process is killed, started again, and the rotation goes on by itself to the right end.

That it may be killed at any of its calls is in test_pull_the_plug.py, within one process.
"""

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bot.storage import embedded
from sandbox.slack import Message
from tests.support.process import BotProcess, bot_process, gone
from tests.support.stage import KEY, NEW_SECRET, Stage

WAITING = "waiting for an approver"
PATIENT = {"PROJECTION_TIMEOUT": "60", "VERIFY_TIMEOUT": "60", "PATIENCE": "60"}
QUICK = {"LEASE": "3", "CONTROL_PLANE_CONCURRENCY": "1", "KEYTURN_DATA": "data", **PATIENT}


class Theatre:
    """A stage whose bot is a process that can be killed and started again."""

    def __init__(self, stage: Stage, folder: Path, stack: AsyncExitStack, *, embedded: bool) -> None:
        self.stage, self.folder, self._stack = stage, folder, stack
        self.old_key = stage.key_named(KEY)
        self.bots: list[BotProcess] = []
        self.environ = {**stage.environ, **QUICK}
        if embedded:
            del self.environ["REDIS_URL"]
        stage.aisix.switches.latency = 0.01  # an acknowledgement is with Slack before the first call is answered

    @property
    def bot(self) -> BotProcess:
        return self.bots[-1]

    async def begin(self) -> None:
        self.bots.append(await self._stack.enter_async_context(bot_process(self.environ, self.folder)))

    def kill_before(self, method: str, part: str, *, effect: bool, number: int = 1) -> None:
        """Have the bot killed while its call *number* of that kind is under way, with or without its effect."""
        seen = 0

        def kill() -> None:
            nonlocal seen
            seen += 1
            if seen == number:
                self.bot.kill()
            elif seen == number - 1 and not effect:
                self.stage.aisix.faults.drop(method, part)

        if number == 1 and not effect:
            self.stage.aisix.faults.drop(method, part)
        self.stage.aisix.faults.before(method, part, kill, times=None)

    async def killed(self) -> None:
        """See it killed, and start it again."""
        await self.bot.ended()
        await self.begin()

    async def terminated(self, seconds: float) -> None:
        """Tell it to stop, see it gone within so many *seconds*, and start it again."""
        status, took = await self.bot.terminated()
        assert (status, took < seconds) == (0, True), (took, self.bot.output)
        await self.begin()

    async def approved(self, card: Message) -> None:
        await self.stage.says(card, WAITING)
        assert self.old_key.id in self.stage.aisix.provider_keys
        await self.stage.press("Delete old key", card, who="U_APPROVER")

    async def ended_well(self, card: Message) -> None:
        await self.stage.thread_says(card, "Receipt")
        aisix = self.stage.aisix
        made = [key for key in aisix.provider_keys.values() if key.display_name != "Other key"]
        used = {m.provider_key_id for m in aisix.models.values() if m.display_name not in ("unrelated", "chat-any")}

        assert [key.id for key in made] == list(used), "one replacement, every model on it, and no key left over"
        assert self.old_key.id not in aisix.provider_keys
        assert len(aisix.models) == 5, "no throw-away model left over"
        assert self.stage.thread(card).count("Receipt") == 1


@pytest.fixture(params=["embedded", "shared"])
async def theatre(bare_stage: Stage, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Theatre]:
    """A bot whose records are in its embedded server, or in a Redis that outlives it."""
    bare_stage.overrides |= {"CONTROL_PLANE_TIMEOUT": "90", "SHUTDOWN_GRACE": "1"}
    async with AsyncExitStack() as stack:
        theatre = Theatre(bare_stage, tmp_path, stack, embedded=request.param == "embedded")
        await theatre.begin()
        yield theatre


async def test_g11_g12_a_bot_that_is_killed_at_any_point_resumes(theatre: Theatre) -> None:
    stage = theatre.stage
    card, person = await stage.ask(), stage.slack.person("U_REQUESTER")
    await stage.press("Enter new secret", card)
    await stage.slack.until(lambda: person.modal, what="the form")
    theatre.bot.kill()
    await theatre.killed()

    theatre.kill_before("POST", "/provider_keys", effect=False)
    await person.submit({"secret": NEW_SECRET})
    await theatre.killed()
    await stage.says(card, "give it once more")

    theatre.kill_before("POST", "/provider_keys", effect=True)
    theatre.kill_before("PATCH", "/models/", effect=False, number=2)
    await stage.give(card)
    await theatre.killed()
    await theatre.bot.ended()
    assert len(stage.keys_in_use()) == 3, "some models are moved, some are not"
    await theatre.begin()

    await stage.says(card, WAITING)
    theatre.bot.kill()
    await theatre.killed()

    theatre.kill_before("DELETE", "/provider_keys/", effect=False)
    await theatre.approved(card)
    await theatre.killed()
    await theatre.ended_well(card)


async def test_a_bot_that_is_told_to_stop_ends_in_its_grace_and_loses_nothing(theatre: Theatre) -> None:
    stage, asked = theatre.stage, list[str]()
    card = await stage.ask()
    stage.aisix.faults.before("POST", "/provider_keys", lambda: asked.append("creation"))
    stage.aisix.faults.hang("POST", "/provider_keys", after_effect=True)
    await stage.give(card)
    await stage.aisix.until(lambda: "creation" in asked, what="the creation")

    stage.aisix.faults.before("PATCH", "/models/", lambda: asked.append("move"))
    await theatre.terminated(30)
    await stage.aisix.until(lambda: "move" in asked, what="the cut-over")
    await theatre.terminated(20)

    await theatre.approved(card)
    await theatre.ended_well(card)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends it on Linux")
@pytest.mark.parametrize("theatre", ["embedded"], indirect=True)
async def test_a_killed_bot_leaves_no_server_of_its_own_behind(theatre: Theatre) -> None:
    server = int((theatre.folder / "data" / "valkey.pid").read_text())
    await theatre.bot.killed()

    await gone(server)


async def test_a_server_of_its_own_that_does_not_end_does_not_hold_up_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "END_TIMEOUT", 0.1)
    async with embedded.embedded_server(tmp_path):
        pid = int((tmp_path / "valkey.pid").read_text())
        os.kill(pid, signal.SIGSTOP)

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("theatre", ["embedded"], indirect=True)
@pytest.mark.parametrize("lost", [True, False])
async def test_a_server_of_its_own_that_fails_ends_the_bot_with_a_sentence(theatre: Theatre, *, lost: bool) -> None:
    data = theatre.folder / "data"
    server = int((data / "valkey.pid").read_text())
    os.kill(server, signal.SIGSTOP)
    if lost:
        data.rename(theatre.folder / "elsewhere")
        data.touch()
    os.kill(server, signal.SIGKILL)

    assert await theatre.bot.ended(30) == 1
    said = theatre.bot.lines[-1]
    why = (
        "KEYTURN_DATA can't be written (data: Not a directory): it"
        if lost
        else "The server that keeps KEYTURN_DATA (data)"
    )
    assert said.startswith(f"Keyturn has stopped. {why} ")
    assert "Traceback" not in theatre.bot.output
