"""How long people wait from the secret to the approver, beside what the calls alone take: on this machine, and by wave.

By wave it is counted in virtual time, where every call takes as long as the control plane's here: so neither the
machine nor the sandbox has a part in it.
"""

import asyncio
import time

from tests.bench.cut_over import CONCURRENCY, LATENCY
from tests.bench.ground import bot_on, cpu_seconds, furnish, ground
from tests.bench.table import table
from tests.support import paced

SIZES = [(models, environments) for environments in (1, 3) for models in (12, 100, 500)]
ENVIRONMENTS = ("production", "staging", "dev")


async def measured() -> str:
    real = ("secret to approver", "CPU of the bot", "calls", "test requests", "calls alone")
    virtual = ("in virtual time", "limit", "÷ limit", "each wave ÷ its limit")
    heads = ("models × environments", *real, *virtual)
    rows = [(*await here(*size), *await asyncio.to_thread(by_wave, *size)) for size in SIZES]
    return table(f"From the secret to the approver, {LATENCY * 1000:.0f} ms a call", heads, rows)


async def here(models: int, environments: int) -> tuple[str, ...]:
    """Bring one rotation to its approver on this machine."""
    async with ground(LATENCY, dev=1) as stage:
        furnish(stage, models, *ENVIRONMENTS[:environments])
        async with bot_on(stage) as bot:
            card = await stage.ask()
            before = len(stage.aisix.calls)
            began, cpu = time.monotonic(), cpu_seconds(bot.pid)
            await stage.give(card)
            await stage.says(card, "waiting for an approver", timeout=200)
            seconds, used = time.monotonic() - began, cpu_seconds(bot.pid) - cpu
        calls, requests = len(stage.aisix.calls) - before, len(stage.aisix.gateway_calls)
    alone = calls / CONCURRENCY * LATENCY
    size = f"{models} × {environments}"
    return (size, f"{seconds:.1f} s", f"{used:.1f} s", str(calls), str(requests), f"{alone:.1f} s")


def by_wave(models: int, environments: int) -> tuple[str, ...]:
    """Count what one size takes in virtual time; it has a loop of its own."""
    course = paced.to_approval(models, environments)
    waves = [course.of_wave(number) for number in range(1 + course.notches[-1].wave)]
    each = " · ".join(f"{wave.seconds / wave.limit:.1f}" for wave in waves)
    return (f"{course.seconds:.1f} s", f"{course.limit:.1f} s", f"{course.seconds / course.limit:.2f}", each)
