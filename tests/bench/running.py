"""Rotations that run: recorded as they are once their secret was given and their replacement is there."""

from datetime import UTC, datetime

from redis.asyncio import Redis
from saq.queue.redis import RedisQueue

from bot.app import control_plane_of
from bot.rotation.plan import make_plan
from bot.rotation.record import Replacement, Rotation
from bot.rotation.states import State
from bot.settings import read_settings
from bot.storage.jobs import Jobs
from bot.storage.records import Store
from tests.support.stage import Environment, namespace_of


async def begun(pairs: list[list[str]], environ: dict[str, str], redis: Redis) -> list[str]:
    with Environment(environ):
        settings = read_settings(None)
    async with control_plane_of(settings) as control_plane, Redis.from_url(environ["REDIS_URL"]) as plain:
        inventory, now = await control_plane.inventory(), datetime.now(UTC)
        namespace = namespace_of(environ)
        store, jobs = Store(redis, namespace), Jobs(RedisQueue(plain, name=namespace.queue))
        for number, (old, new) in enumerate(pairs):
            key, made = inventory.key(old), inventory.key(new)
            assert key
            assert made
            rotation = Rotation(
                id=f"r{number:03}",
                team="T_SANDBOX",
                channel="C_OPS",
                requested_by="U_REQUESTER",
                requested_at=now,
                started_at=now,
                plan=make_plan(inventory, key, settings.aisix_gateways),
                state=State.RUNNING,
                attempt=1,
                replacement=Replacement(name=made.display_name, asked_at=now, key_id=new),
                names=(made.display_name,),
                made=(new,),
                done=("replace",),
            )
            await jobs.advance(await store.save(rotation, {"by": "bench", "what": "begun", "why": ""}, at=now))
    return [f"r{number:03}" for number in range(len(pairs))]
