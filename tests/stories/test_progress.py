"""Progress is shown to people, ever less often, and what they have to know at once is shown at once."""

from datetime import datetime, timedelta
from itertools import pairwise

from bot.app import Parts, parts
from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.settings import Settings
from tests.bot.values import NOW, running, stopped
from tests.support.stage import Environment, Stage

EVENT = {"by": "keyturn", "what": "step", "why": ""}


class Clock:
    """A time that the test sets."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        return self.time


async def shown(built: Parts, record: Rotation) -> Rotation:
    """Record, and show; what has to wait is left to the next time."""
    saved = await built.store.save(record, EVENT, at=NOW)
    await built.announcer.show(saved)
    return saved


async def test_a_step_that_takes_ten_minutes_is_told_in_few_edits_and_its_end_at_once(bare_stage: Stage) -> None:
    clock, slack = Clock(), bare_stage.slack
    with Environment(bare_stage.environ):
        settings = Settings(_env_file=None)
    async with parts(settings, now=clock) as built:
        record = await shown(built, running(done=("replace", "baseline", "rehearse")))
        card, told = slack.messages("C_OPS")[0], []
        for second in range(0, 600, 5):
            clock.time = NOW + timedelta(seconds=second)
            record = await shown(built, record.but(note=f"{second} of 600", retry_at=clock.time))
            if f"{second} of 600" in card.plain:
                told.append(second)

        edits = [call for call in slack.calls if call.method == "chat.update"]
        assert told[0] <= 10
        assert told[-1] > 300, "it is still told"
        assert len(told) < 15
        assert len(edits) < 30
        gaps = [after - before for before, after in pairwise(told)]
        assert gaps == sorted(gaps), "ever less often"

        stop = stopped().stop
        await shown(built, record.but(stop=stop, state=State.BLOCKED))
        assert "stopped: it stopped" in card.plain
