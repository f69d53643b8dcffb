"""Everybody is acknowledged before anybody's wish is seen to."""

import asyncio

import pytest

from handlers.crowd import Crowd


@pytest.mark.parametrize("many", [1, 50])
async def test_nobodys_wish_is_seen_to_before_everybody_is_acknowledged(many: int) -> None:
    crowd, acks, seen = Crowd(calm=1, longest=60), [], []

    async def asks() -> None:
        acks.append(ack := crowd.ack())
        await ack()
        seen.append(sum(one.response is not None for one in acks))

    await asyncio.gather(*(asks() for _ in range(many)))

    assert seen == [many] * many


async def test_one_is_acknowledged_while_the_crowd_goes_on() -> None:
    crowd = Crowd(calm=60, longest=120)
    ack = crowd.ack()
    asked = asyncio.create_task(ack(response_action="clear"))
    await asyncio.sleep(0)

    assert ack.response is not None
    assert not asked.done()
    asked.cancel()


async def test_a_crowd_without_an_end_holds_nobody_up_for_long() -> None:
    crowd = Crowd(calm=60, longest=0.2)

    async with asyncio.timeout(30):
        await crowd.ack()()
