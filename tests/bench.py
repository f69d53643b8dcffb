"""How long the cut-over takes at 50 ms control-plane latency: `make bench`. Ratios of one run; nothing is asserted.

Beside the bot stand the procedure's own loop, one request after another, and the limit: models / concurrency x latency.
"""

import asyncio
import tempfile
import time
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from bot.embedded import embedded_server
from bot.settings import Settings
from tests.support.stage import KEY, Stage, stage_of

LATENCY = 0.05
SIZES = (10, 100, 500)
CONCURRENCY = Settings.model_fields["control_plane_concurrency"].default


async def by_the_bot(stage: Stage, models: int) -> tuple[float, float]:
    """Return the seconds of the cut-over, and from the secret to the approver."""
    key = stage.key_named(KEY)
    for model in [m for m in stage.aisix.models.values() if m.provider_key_id == key.id]:
        stage.aisix.remove(model, settled=True)
    for number in range(models):
        stage.aisix.add_model(("production", "staging")[number % 2], f"m{number:03}", key=key, upstream="gpt-4o")
    stage.aisix.switches.latency = LATENCY
    card = await stage.ask()
    began = time.monotonic()
    await stage.give(card)
    await stage.says(card, "waiting for an approver", timeout=120)
    moves = [call for call in stage.aisix.calls if call.method == "PATCH"]
    return moves[-1].at - moves[0].at + LATENCY, time.monotonic() - began


async def by_the_loop(stage: Stage) -> float:
    """Move every model as the procedure's example does: one request after another."""
    replacement = next(key for key in stage.aisix.provider_keys.values() if KEY + " (" in key.display_name)
    models = [m for m in stage.aisix.models.values() if m.provider_key_id == replacement.id]
    began = time.monotonic()
    for model in models:
        async with httpx.AsyncClient(trust_env=False) as curl:  # a process of its own each time, as curl is
            await curl.patch(
                f"{stage.aisix.api_url}/environments/{model.environment_id}/models/{model.id}",
                headers={"Authorization": f"Bearer {stage.aisix.admin_token}"},
                json={"provider_key_id": replacement.id},
            )
    return time.monotonic() - began


async def measure(redis_url: str, models: int) -> tuple[str, ...]:
    """Return one row of the table."""
    async with stage_of(redis_url) as stage:
        stage.overrides |= {"LOG_LEVEL": "error", "SETTLE": "2"}
        async with stage.bot():
            cut_over, whole = await by_the_bot(stage, models)
            loop = await by_the_loop(stage)
    limit = max(1, models / CONCURRENCY) * LATENCY
    return (
        str(models),
        f"{cut_over:.2f} s",
        f"{loop:.2f} s",
        f"{limit:.2f} s",
        f"{cut_over / limit:.2f}",
        f"{loop / cut_over:.1f}",
        f"{whole:.2f} s",
    )


async def main() -> None:
    """Measure every size and print the table."""
    table = Table(title=f"Cut-over at {LATENCY * 1000:.0f} ms a call, {CONCURRENCY} at a time")
    for column in ("models", "bot", "loop", "limit", "bot ÷ limit", "loop ÷ bot", "secret to approver"):
        table.add_column(column, justify="right")
    for models in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            async with embedded_server(Path(folder)) as redis_url:
                table.add_row(*await measure(redis_url, models))
    Console().print(table)


if __name__ == "__main__":
    asyncio.run(main())
