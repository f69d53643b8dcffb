"""The whole of it, from `/rotate-key` to the receipt."""

from bot.rotation import State
from tests.support.stage import KEY, Stage


async def test_a_rotation_goes_from_the_command_to_the_deleted_key(stage: Stage) -> None:
    card = await stage.ask()
    old = stage.key_named(KEY)

    assert "3 models in 2 environments use this key; 1 more alias depends on them." in card.plain

    await stage.give(card)
    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.says(card, "old key deleted")
    await stage.thread_says(card, "Receipt")

    assert old.id not in stage.aisix.provider_keys
    assert await stage.state() is State.COMPLETED
    assert old.id not in stage.keys_in_use()
    print(card.plain)
    print(stage.thread(card))
