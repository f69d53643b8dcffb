"""What the check says of the weekly list of old keys."""

from typing import Any

import pytest

from bot.check.people import ages
from bot.terminal import Level
from tests.bot.values import NOW


class Settings:
    def __init__(self, every: Any, channel: str | None) -> None:
        self.rotate_every, self.age_channel, self.policies = every, channel, ()


@pytest.mark.parametrize(
    ("every", "channel", "joined", "said"),
    [
        (None, None, True, []),
        (None, "C_AGES", True, [Level.WARN]),
        (NOW, None, True, [Level.WARN]),
        (NOW, "C_AGES", None, [Level.WARN]),
        (NOW, "C_AGES", False, [Level.WRONG]),
        (NOW, "C_AGES", True, [Level.OK]),
    ],
)
async def test_the_check_says_whether_old_keys_can_be_listed(every, channel, joined, said):
    async def is_in(asked: str) -> bool | None:
        assert asked == "C_AGES"
        return joined

    settings: Any = Settings(every, channel)
    assert [finding.level for finding in await ages(is_in, settings)] == said
