"""Step: find the requested replacement, and compare it with the old key."""

from bot.rotation.errors import Blocked
from bot.rotation.inventory import ProviderKey
from bot.rotation.likeness import difference
from bot.rotation.minting import is_minted
from bot.rotation.record import Rotation
from bot.rotation.stops import Cause
from bot.steps.inventory import confirm_gone, whole_inventory
from bot.steps.minting import minting
from bot.steps.outcomes import Ask, Done, Outcome, Wait
from bot.steps.own_keys import adopt, the_replacement
from bot.steps.pacing import POLL
from bot.steps.world import World


async def replace(rotation: Rotation, world: World) -> Outcome:
    """Find the requested replacement, and compare it with the old key."""
    assert rotation.replacement is not None
    if rotation.replacement.refusal:
        raise Blocked(Cause.NOT_CREATED, refusal=rotation.replacement.refusal)
    if (move := await minting(rotation, world)) is not None:
        return move
    keys = await world.control_plane.keys()
    key = the_replacement(rotation, keys)
    if key is None:
        return await _missing_replacement(rotation, world)
    if key.id == rotation.plan.old_key.id:
        raise Blocked(Cause.NO_REPLACEMENT)
    rotation = adopt(rotation, key)
    old = next((k for k in keys if k.id == rotation.plan.old_key.id), rotation.plan.old_key)
    _refuse_difference(rotation, old, key)
    missing = set(rotation.plan.needed_in) - set(key.allowed_environments)
    if key.allowed_environments and missing:
        await world.control_plane.allow_key(key, missing)
        return Wait(rotation, "Allowing the new key in every affected environment.", POLL)
    return Done(rotation)


async def _missing_replacement(rotation: Rotation, world: World) -> Outcome:
    wanted = rotation.replacement
    assert wanted is not None
    if wanted.key_id:
        await whole_inventory(rotation, world)  # raises if another organization answers
        await confirm_gone(wanted.key_id, rotation.plan.old_key.id, world)
        raise Blocked(Cause.REPLACEMENT_GONE)
    if world.now() - wanted.asked_at < world.limits.create_grace:
        return Wait(rotation, "Keyturn could not find out whether the key was created; looking again.", POLL)
    await whole_inventory(rotation, world)
    again = "have one created again" if is_minted(rotation) else "give it once more"
    return Ask(rotation, f"The new key was not created, and Keyturn kept no copy of the secret: {again}.")


def _refuse_difference(rotation: Rotation, old: ProviderKey, key: ProviderKey) -> None:
    field = difference(old, key)
    if field is not None:
        raise Blocked(Cause.DIFFERENT, after=rotation, field=field)
