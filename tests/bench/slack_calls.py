"""How many calls to Slack a rotation makes, from `/rotate-key` to the receipt, as the settings are."""

import asyncio
from collections import Counter

from tests.bench.ground import bot_on, furnish, ground
from tests.bench.table import table

SIZES = (3, 12, 500)
LAST_OF_THE_START = "blocks.validate"
WRITES = ("chat.postMessage", "chat.update", "files.completeUploadExternal")
BEFORE = {3: (19, 33), 12: (21, 35), 500: (31, 45)}
"""Messages with edits, and all calls, of commit b6ba0c3, with the cards of before."""


async def measured() -> str:
    found = {models: await calls(models) for models in SIZES}
    methods = sorted({method for counts in found.values() for method in counts})
    rows = [(f"`{method}`", *(str(found[models][method]) for models in SIZES)) for method in methods]
    now = [[sum(counts[method] for method in WRITES) for counts in found.values()], [c.total() for c in found.values()]]
    before = [*zip(*BEFORE.values(), strict=True)]
    for what, new, old in zip(("messages and edits", "all"), now, before, strict=True):
        rows += [(what, *map(str, new)), (f"{what}, with the cards of before", *map(str, old))]
    return table("Calls to Slack of a good rotation", ("method", *(f"{models} models" for models in SIZES)), rows)


async def calls(models: int) -> Counter[str]:
    """Count what a rotation calls, and not what the bot asks at its start."""
    async with ground(latency=0.05) as stage:
        furnish(stage, models, "production", "staging")
        async with bot_on(stage, WATCH="0"):
            slack = stage.slack
            await slack.until(lambda: any(call.method == LAST_OF_THE_START for call in slack.calls), what="a bot")
            begun = len(stage.slack.calls)
            card = await stage.ask()
            await stage.give(card)
            await stage.says(card, "waiting for an approver", timeout=300)
            await stage.press("Delete old key", card, who="U_APPROVER")
            await stage.thread_says(card, "Receipt", timeout=120)
            await stage.says(card, "old key deleted", timeout=60)
            await asyncio.sleep(3)  # for what may follow
        return Counter(call.method for call in stage.slack.calls[begun:])
