"""Delete at the provider what it made for a rotation and nothing needs, and read back that it is gone."""

from datetime import datetime, timedelta

from bot.rotation.credentials import Provider, Row, Status
from bot.rotation.errors import ApiError, Uncertain
from bot.rotation.minting import next_unwanted, noted
from bot.rotation.parts import Mint
from bot.rotation.record import Rotation
from bot.steps.minting import called
from bot.steps.pacing import A_WHILE
from bot.steps.world import World

LOOK_FOR = timedelta(hours=1)
"""How long Keyturn looks for what was asked for and never seen: the request, or the list, may be late."""

NEXT_LOOK = timedelta(seconds=10)
"""The shortest pause between two looks; it grows with the time that has passed."""


async def clear(rotation: Rotation, world: World) -> Rotation:
    """Delete an unwanted credential; one whose key AISIX still has stays, as something may use it."""
    mint, now = next_unwanted(rotation), world.now()
    assert mint is not None, "the chore is due"
    provider = world.providers.named(rotation.account)
    if provider is None:
        raise ApiError(f"The settings (PROVIDERS) name no `{rotation.account}` any more.")
    if wait := await _holds(rotation, mint, world):
        return noted(rotation, wait)
    row = mint.row or await called(mint.name, provider)
    if row is None:
        return noted(rotation, _unseen(mint, now))
    await world.hold.verified(rotation.version)
    await _delete(row, provider)
    return noted(rotation, mint.but(row=row, gone_at=now))


async def _delete(row: Row, provider: Provider) -> None:
    await provider.delete(row.id)
    if (await provider.read(row.id)).status is not Status.GONE:
        raise Uncertain(f"{provider.title} still has `{row.name}`.")


def _unseen(mint: Mint, now: datetime) -> Mint:
    passed = now - mint.asked_at
    return mint.but(gone_at=now) if passed > LOOK_FOR else mint.but(look_at=now + max(passed, NEXT_LOOK))


async def _holds(rotation: Rotation, mint: Mint, world: World) -> Mint | None:
    """Return what to note of a credential that AISIX has, or may have soon; None if it certainly has it not."""
    if not mint.given_to:
        return None
    now, keys = world.now(), await world.control_plane.keys()
    has = any(key.display_name == mint.given_to or key.id == mint.key_id for key in keys)
    if has and rotation.is_over:
        return mint.but(stays=f"AISIX still has the key `{mint.given_to}`, and something may use it")
    if has:
        return mint.but(look_at=now + A_WHILE)
    if mint.key_id:
        is_gone = await world.control_plane.is_gone(mint.key_id, rotation.plan.old_key.id)
        return None if is_gone else mint.but(look_at=now + NEXT_LOOK)
    late = (mint.given_at or now) + world.limits.create_grace
    return mint.but(look_at=late) if now < late else None
