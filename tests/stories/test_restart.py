"""The bot is killed anywhere, started again, and the rotation goes on by itself to the right end."""

import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from sandbox.slack import Message
from tests.support.process import BotProcess, bot_process, gone
from tests.support.stage import IN_WAVES, KEY, NEW_SECRET, Stage

WAITING = "waiting for an approver"
PATIENT = {"PROJECTION_TIMEOUT": "60", "VERIFY_TIMEOUT": "60", "PATIENCE": "60"}
QUICK = {"LEASE": "1", "CONTROL_PLANE_CONCURRENCY": "1", "KEYTURN_DATA": "data", **IN_WAVES, **PATIENT}


class Theatre:
    """A stage whose bot is a process that can be killed and started again."""

    def __init__(self, stage: Stage, folder: Path, *, embedded: bool) -> None:
        self.stage, self.folder = stage, folder
        self.old_key = stage.key_named(KEY)
        self.bots: list[BotProcess] = []
        self.environ = {**stage.environ, **QUICK}
        if embedded:
            del self.environ["REDIS_URL"]
        stage.aisix.switches.latency = 0.03  # an acknowledgement is with Slack before the first call is answered
        stage.aisix.on_change(lambda event: self._look(event.subject) if event.kind == "call" else None)
        self.creations = 0
        stage.aisix.faults.before("POST", "/provider_keys", self._count, times=None)
        self.deleted_before_approval = False
        self.approved = False

    def _count(self) -> None:
        self.creations += 1

    def _look(self, call) -> None:
        if call.method == "DELETE" and self.old_key.id in call.path and not self.approved:
            self.deleted_before_approval = True

    @property
    def bot(self) -> BotProcess:
        return self.bots[-1]

    async def begin(self, stack: AsyncExitStack) -> None:
        self.bots.append(await stack.enter_async_context(bot_process(self.environ, self.folder)))

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

    async def approve(self, card: Message) -> None:
        self.approved = True
        await self.stage.press("Delete old key", card, who="U_APPROVER")

    async def end(self, card: Message) -> None:
        """Do what people would do from here on: paste once more if asked to, approve, and read the receipt."""
        stage = self.stage
        wanted = {"Enter new secret", "Delete old key"}
        await stage.slack.until(lambda: self.approved or wanted & set(card.buttons), timeout=60, what="somebody's turn")
        if "Enter new secret" in card.buttons:
            await stage.give(card)
        if not self.approved:
            await self.approve(card)
        await stage.thread_says(card, "Receipt")

    def ended_well(self) -> None:
        aisix = self.stage.aisix
        made = [key for key in aisix.provider_keys.values() if key.display_name != "Other key"]
        used = {m.provider_key_id for m in aisix.models.values() if m.display_name not in ("unrelated", "chat-any")}

        assert [key.id for key in made] == list(used), "one replacement, every model on it, and no key left over"
        assert self.old_key.id not in aisix.provider_keys
        assert len(aisix.models) == 5, "no throw-away model left over"
        assert not self.deleted_before_approval


@pytest.fixture(params=["embedded", "shared"])
async def store(request: pytest.FixtureRequest) -> str:
    """Where the records are: in the embedded server, or in a Redis that outlives the bot."""
    return str(request.param)


def theatre_of(stage: Stage, folder: Path, store: str) -> Theatre:
    return Theatre(stage, folder, embedded=store == "embedded")


async def test_killed_in_the_middle_of_the_cut_over(bare_stage: Stage, tmp_path: Path, store: str) -> None:
    theatre = theatre_of(bare_stage, tmp_path, store)
    async with AsyncExitStack() as stack:
        await theatre.begin(stack)
        card = await bare_stage.ask()
        theatre.kill_before("PATCH", "/models/", effect=False, number=2)
        await bare_stage.give(card)
        await theatre.bot.ended()
        assert len(bare_stage.keys_in_use()) == 3, "some models are moved, some are not"

        await theatre.begin(stack)
        await theatre.end(card)

    theatre.ended_well()
    assert theatre.creations == 1


BARRIER = 4
"""The throw-away model that is the first barrier, after the three of the rehearsal."""


@pytest.mark.parametrize(
    ("method", "number", "effect"),
    [("POST", 1, True), ("DELETE", 1, False), ("POST", BARRIER, True), ("DELETE", BARRIER, False)],
    ids=["created", "to be removed", "created as a barrier", "a barrier to be removed"],
)
async def test_killed_over_a_throw_away_model_it_leaves_none_behind(
    bare_stage: Stage,
    tmp_path: Path,
    method: str,
    number: int,
    effect: bool,  # noqa: FBT001
) -> None:
    theatre = theatre_of(bare_stage, tmp_path, "shared")
    models = set(bare_stage.aisix.models)
    async with AsyncExitStack() as stack:
        await theatre.begin(stack)
        card = await bare_stage.ask()
        theatre.kill_before(method, "/models", effect=effect, number=number)
        await bare_stage.give(card)
        await theatre.bot.ended()

        await theatre.begin(stack)
        await theatre.end(card)

    theatre.ended_well()
    assert set(bare_stage.aisix.models) == models


async def test_killed_while_it_waits_for_approval(bare_stage: Stage, tmp_path: Path, store: str) -> None:
    theatre = theatre_of(bare_stage, tmp_path, store)
    async with AsyncExitStack() as stack:
        await theatre.begin(stack)
        card = await bare_stage.ask()
        await bare_stage.give(card)
        await bare_stage.thread_says(card, "Approval wanted")
        await theatre.bot.killed()

        await theatre.begin(stack)
        assert theatre.old_key.id in bare_stage.aisix.provider_keys
        await theatre.end(card)

    theatre.ended_well()
    assert theatre.creations == 1


async def test_a_form_opened_before_the_kill_can_be_sent_after_it(bare_stage: Stage, tmp_path: Path) -> None:
    theatre = theatre_of(bare_stage, tmp_path, "embedded")
    person = bare_stage.slack.person("U_REQUESTER")
    async with AsyncExitStack() as stack:
        await theatre.begin(stack)
        card = await bare_stage.ask()
        await bare_stage.press("Enter new secret", card)
        await bare_stage.slack.until(lambda: person.modal, what="the form")
        await theatre.bot.killed()

        await theatre.begin(stack)
        await person.submit({"secret": NEW_SECRET})
        await bare_stage.says(card, WAITING)
        await theatre.end(card)

    theatre.ended_well()
    assert theatre.creations == 1


@pytest.mark.parametrize(("effect", "pastes"), [(False, 2), (True, 1)])
async def test_killed_during_the_creation_of_the_replacement(
    bare_stage: Stage, tmp_path: Path, *, effect: bool, pastes: int
) -> None:
    theatre = theatre_of(bare_stage, tmp_path, "shared" if effect else "embedded")
    async with AsyncExitStack() as stack:
        await theatre.begin(stack)
        card = await bare_stage.ask()
        theatre.kill_before("POST", "/provider_keys", effect=effect)
        await bare_stage.give(card)
        await theatre.bot.ended()

        await theatre.begin(stack)
        await theatre.end(card)

    theatre.ended_well()
    assert theatre.creations == pastes
    assert len(forms(bare_stage)) == pastes


@pytest.mark.parametrize(
    ("method", "part", "effect"),
    [("GET", "/provider_keys", True), ("DELETE", "/provider_keys/", False), ("DELETE", "/provider_keys/", True)],
    ids=["before the last look", "before the delete's effect", "after the delete's effect"],
)
async def test_killed_between_the_approval_and_the_end(
    bare_stage: Stage, tmp_path: Path, method: str, part: str, *, effect: bool
) -> None:
    theatre = theatre_of(bare_stage, tmp_path, "embedded" if effect else "shared")
    async with AsyncExitStack() as stack:
        await theatre.begin(stack)
        card = await bare_stage.ask()
        await bare_stage.give(card)
        await bare_stage.says(card, WAITING)
        theatre.kill_before(method, part, effect=effect)
        await theatre.approve(card)
        await theatre.bot.ended()

        await theatre.begin(stack)
        await theatre.end(card)

    theatre.ended_well()
    assert theatre.creations == 1
    assert bare_stage.thread(card).count("Receipt") == 1


async def test_told_to_stop_it_ends_at_once_with_status_0_and_nothing_is_lost(
    bare_stage: Stage, tmp_path: Path, store: str
) -> None:
    theatre = theatre_of(bare_stage, tmp_path, store)
    patches: list[object] = []
    async with AsyncExitStack() as stack:
        await theatre.begin(stack)
        card = await bare_stage.ask()
        bare_stage.aisix.faults.before("PATCH", "/models/", lambda: patches.append(1), times=None)
        await bare_stage.give(card)
        await bare_stage.aisix.until(lambda: patches, what="the cut-over")

        status, seconds = await theatre.bot.terminated()
        assert (status, seconds < 20) == (0, True), theatre.bot.output

        await theatre.begin(stack)
        await theatre.end(card)

    theatre.ended_well()
    assert theatre.creations == 1


async def test_told_to_stop_while_the_creation_hangs_it_ends_after_its_grace(bare_stage: Stage, tmp_path: Path) -> None:
    bare_stage.overrides |= {"CONTROL_PLANE_TIMEOUT": "90", "SHUTDOWN_GRACE": "1"}
    theatre = theatre_of(bare_stage, tmp_path, "embedded")
    async with AsyncExitStack() as stack:
        await theatre.begin(stack)
        card = await bare_stage.ask()
        asked: list[object] = []
        bare_stage.aisix.faults.before("POST", "/provider_keys", lambda: asked.append(1))
        bare_stage.aisix.faults.hang("POST", "/provider_keys", after_effect=True)
        await bare_stage.give(card)
        await bare_stage.aisix.until(lambda: asked, what="the creation")

        status, seconds = await theatre.bot.terminated()
        assert (status, seconds < 30) == (0, True), (seconds, theatre.bot.output)

        await theatre.begin(stack)
        await theatre.end(card)

    theatre.ended_well()
    assert theatre.creations == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends it on Linux")
async def test_a_killed_bot_leaves_no_server_of_its_own_behind(bare_stage: Stage, tmp_path: Path) -> None:
    theatre = theatre_of(bare_stage, tmp_path, "embedded")
    async with AsyncExitStack() as stack:
        await theatre.begin(stack)
        server = int((tmp_path / "data" / "valkey.pid").read_text())
        await theatre.bot.killed()

        await gone(server)


def forms(stage: Stage) -> list[object]:
    """Return the forms that were sent with a secret."""
    return [sent for sent in stage.slack.payloads if sent["payload"].get("type") == "view_submission"]
