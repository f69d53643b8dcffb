"""How many calls to Slack a rotation of 500 models makes, from `/rotate-key` to the receipt, as the settings are."""

from collections import Counter

from tests.bench.ground import bot_on, furnish, ground
from tests.bench.table import table

MODELS = 500


async def measured() -> str:
    async with ground(latency=0.05) as stage:
        furnish(stage, MODELS, "production", "staging")
        async with bot_on(stage, WATCH="0"):
            begun = len(stage.slack.calls)
            card = await stage.ask()
            await stage.give(card)
            await stage.says(card, "waiting for an approver", timeout=300)
            await stage.press("Delete old key", card, who="U_APPROVER")
            await stage.thread_says(card, "Receipt", timeout=120)
            await stage.says(card, "old key deleted", timeout=60)
        calls = Counter(call.method for call in stage.slack.calls[begun:])
    rows = [(f"`{method}`", str(number)) for method, number in calls.most_common()]
    title = f"Calls to Slack of a rotation of {MODELS} models"
    return table(title, ("method", "calls"), [*rows, ("all", str(calls.total()))])
