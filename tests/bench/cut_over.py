"""How long it takes to move every model: by the bot, by the procedure's own loop of curl calls, and at the least.

The least is models / concurrency x latency, rounded up to whole calls: there is no part of a call.
"""

import asyncio
import math
import shutil
import statistics
import time

from bot.settings import Settings
from tests.bench.ground import bot_on, furnish, ground
from tests.bench.table import table
from tests.support.stage import KEY, Stage

LATENCY = 0.05
SIZES = {10: 7, 100: 3, 500: 3}
"""Models, and how often the bot is measured: what takes a moment is told by several. The loop is slow, and steady."""

CONCURRENCY = Settings.model_fields["control_plane_concurrency"].default
CALL = """curl -s -o /dev/null -X PATCH -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' \
  -d '{{"provider_key_id": "{key}"}}' {api}/environments/{environment}/models/{model}"""


async def by_the_bot(stage: Stage) -> tuple[float, float]:
    """Return the seconds from the first move to the answer to the last, and from the secret to the approver."""
    async with bot_on(stage, WAVES="rest"):
        card = await stage.ask()
        began = time.monotonic()
        await stage.give(card)
        await stage.says(card, "waiting for an approver", timeout=200)
        whole = time.monotonic() - began
    moves = [call for call in stage.aisix.calls if call.method == "PATCH"]
    return max(call.at + call.took for call in moves) - min(call.at for call in moves), whole


async def by_the_loop(stage: Stage) -> float:
    """Move every model as the procedure's example does: one curl after another."""
    replacement = next(key for key in stage.aisix.provider_keys.values() if KEY + " (" in key.display_name)
    api, token = stage.aisix.api_url, stage.aisix.admin_token
    calls = [
        CALL.format(token=token, key=replacement.id, api=api, environment=model.environment_id, model=model.id)
        for model in stage.aisix.models.values()
        if model.provider_key_id == replacement.id
    ]
    began = time.monotonic()
    shell = await asyncio.create_subprocess_exec("sh", stdin=asyncio.subprocess.PIPE)
    await shell.communicate("\n".join(calls).encode())
    return time.monotonic() - began


async def row(models: int, times: int) -> tuple[str, ...]:
    """Measure one size, and take the median of the bot's figures."""
    figures, loop = [], 0.0
    for _ in range(times):
        async with ground(LATENCY) as stage:
            furnish(stage, models, "production")
            figures.append(await by_the_bot(stage))
            loop = loop or await by_the_loop(stage)
    cut_over, whole = (statistics.median(each) for each in zip(*figures, strict=True))
    limit = math.ceil(models / CONCURRENCY) * LATENCY
    seconds = (f"{cut_over:.2f} s", f"{limit:.2f} s", f"{cut_over / limit:.2f}")
    return (f"{models} models", *seconds, f"{loop:.1f} s", f"{loop / cut_over:.1f}", f"{whole:.1f} s")


async def measured() -> str:
    if shutil.which("curl") is None:
        raise SystemExit("This compares the bot with a loop of curl calls, and there is no curl here.")
    heads = ("cut-over", "bot", "limit", "bot ÷ limit", "curl loop", "loop ÷ bot", "secret to approver")
    title = f"Cut-over, {LATENCY * 1000:.0f} ms a call to the control plane, {CONCURRENCY} at a time"
    return table(title, heads, [await row(models, times) for models, times in SIZES.items()])
