"""The clock that all processes of a bot share: Redis's."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.rotation.errors import Unanswerable
from bot.storage import clock as clocks
from bot.storage.clock import SharedClock, shared_clock


class Server:
    """Says what time it is, after as long as it takes."""

    def __init__(self) -> None:
        self.here, self.there, self.takes = 1000.0, 1_795_000_000.25, 0.0

    async def time(self) -> tuple[int, int]:
        self.after(self.takes)
        return int(self.there), int(self.there % 1 * 1_000_000)

    def after(self, seconds: float) -> datetime:
        """Let time pass, and return what it is there."""
        self.here += seconds
        self.there += seconds
        return datetime.fromtimestamp(self.there, UTC)


@pytest.fixture
def server(monkeypatch) -> Server:
    made = Server()
    monkeypatch.setattr(clocks, "running_clock", lambda: made.here)
    return made


async def test_the_clock_shows_the_time_of_redis(redis):
    before = await redis.time()
    async with shared_clock(redis) as clock:
        now = clock.now().timestamp()
    after = await redis.time()

    assert before[0] - 1 < now < after[0] + 2


async def test_the_clock_runs_on_by_a_monotonic_clock(server):
    clock = SharedClock(server)
    await clock.set()
    later = server.after(12)

    assert clock.now() == later


async def test_a_slow_answer_of_redis_does_not_set_the_clock(server):
    clock = SharedClock(server)
    await clock.set()
    known = clock.now() - timedelta(seconds=server.here)
    server.takes = 3
    await clock.set()

    assert clock.now() - timedelta(seconds=server.here) == known


async def test_a_redis_that_failed_over_to_another_clock_is_followed_and_logged(server, capsys):
    clock = SharedClock(server)
    await clock.set()
    server.there += 600
    await clock.set()

    assert clock.now() == server.after(0)
    assert "clock_jumped" in capsys.readouterr().out


async def test_the_clock_runs_on_while_redis_is_away(server, monkeypatch):
    monkeypatch.setattr(clocks, "ASK_EVERY", 0.001)
    asked = 0

    async def away() -> tuple[int, int]:
        nonlocal asked
        asked += 1
        raise OSError

    async with shared_clock(server) as clock:
        monkeypatch.setattr(server, "time", away)
        while asked < 3:
            await clocks.asyncio.sleep(0.001)
        later = server.after(5)

        assert clock.now() == later
    with pytest.raises(Unanswerable):
        await SharedClock(server).set()
