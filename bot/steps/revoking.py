"""Disables, deletes and enables a credential at its provider, as `bot/rotation/revoking.py` says; looks before each."""

from collections.abc import Awaitable, Callable, Mapping

from bot.rotation import revoking
from bot.rotation.credentials import Ability, Provider, Row, Status
from bot.rotation.errors import ApiError, Blocked, Unanswerable, Uncertain
from bot.rotation.parts import Look, Phase, There, Which
from bot.rotation.plan import users_of
from bot.rotation.record import Rotation
from bot.rotation.revocation import left_too
from bot.rotation.stops import Cause
from bot.steps.world import World

LAPSED = "The approval no longer counts."


async def revoke(rotation: Rotation, world: World) -> Rotation:
    """Do what the phase asks for; each phase first reads what is there, so it may run again after any crash."""
    task = rotation.revocation
    assert task is not None
    if task.there is None:
        assert rotation.old_row is not None
        return revoking.asked(rotation, rotation.old_row, rotation.starts, None, world.now())
    return await DO[task.there.phase](rotation, task.there, provider_of(rotation, world), world)


def provider_of(rotation: Rotation, world: World) -> Provider:
    """Return the account of the credential, or raise `ApiError` if the settings have none of that name any more."""
    provider = world.providers.named(rotation.account)
    if provider is None:
        raise ApiError(f"The settings (PROVIDERS) have no {rotation.account} any more.")
    return provider


async def _asked(rotation: Rotation, there: There, provider: Provider, world: World) -> Rotation:
    row = await provider.read(there.row.id)
    if row.status is Status.GONE:
        return revoking.entered(rotation, Phase.PROVING, world.now(), due_at=world.now())
    if against := await _against(rotation, there, provider, world):
        return against
    if Ability.DISABLE not in provider.abilities:
        return revoking.entered(rotation, Phase.ENDING, world.now())
    if row.status is Status.ACTIVE:
        await world.hold.verified(rotation.version)
        await provider.disable(row.id)
        row = await provider.read(row.id)
    if row.status is Status.ACTIVE:
        raise Uncertain(f"{provider.title} says that the credential is still active.")
    now = world.now()
    return revoking.entered(
        rotation, Phase.DISABLED, now, disabled_at=there.disabled_at or now, due_at=now + world.limits.revoke_grace
    )


async def _disabled(rotation: Rotation, _: There, __: Provider, world: World) -> Rotation:
    """Go on to the delete, which looks again; a provider that can't delete has done what it can."""
    return revoking.entered(rotation, Phase.ENDING, world.now())


async def _ending(rotation: Rotation, there: There, provider: Provider, world: World) -> Rotation:
    row = await provider.read(there.row.id)
    if row.status is not Status.GONE:
        if row.status is Status.ACTIVE and there.disabled_at:
            return _stopped(rotation, f"Somebody enabled it again at {provider.title}.", world)
        if against := await _against(rotation, there, provider, world):
            return against
        if not revoking.is_final(rotation):
            return _stopped(rotation, "The rotation is not past the delete.", world)
        await world.hold.verified(rotation.version)
        await provider.delete(row.id)
    now = world.now()
    return revoking.entered(rotation, Phase.PROVING, now, due_at=now, gone=0)


async def _proving(rotation: Rotation, there: There, provider: Provider, world: World) -> Rotation:
    row, now = await provider.read(there.row.id), world.now()
    if row.status is not Status.GONE:
        trouble = Uncertain(f"{provider.title} still shows the credential after its delete.")
        trouble.after = revoking.entered(rotation, Phase.ENDING, now, gone=0)
        raise trouble
    if there.gone + 1 >= revoking.READS and left_too(rotation):
        left = "It is gone. The other API keys that the card names are not."
        return _stopped(rotation, left, world, gone=there.gone + 1)
    if there.gone + 1 >= revoking.READS:
        return revoking.ended(rotation, now)
    return revoking.entered(
        rotation, Phase.PROVING, there.since, due_at=now + revoking.BETWEEN_READS, gone=there.gone + 1
    )


async def _enabling(rotation: Rotation, there: There, provider: Provider, world: World) -> Rotation:
    row = await _enabled(rotation, there, provider, world)
    if row.status is Status.GONE:
        return revoking.entered(rotation, Phase.PROVING, world.now(), due_at=world.now())
    by = rotation.revocation.enabled_by if rotation.revocation else ""
    return revoking.enabled(rotation, world.now(), by)


async def _enabled(rotation: Rotation, there: There, provider: Provider, world: World) -> Row:
    """Enable the credential; return it as the provider shows it then: active, or gone."""
    row = await provider.read(there.row.id)
    if row.status is Status.DISABLED:
        await world.hold.verified(rotation.version)
        await provider.enable(row.id)
        row = await provider.read(row.id)
    if row.status is Status.DISABLED:
        raise Uncertain(f"{provider.title} says that the credential is still disabled.")
    return row


DO: Mapping[Phase, Callable[[Rotation, There, Provider, World], Awaitable[Rotation]]] = {
    Phase.ASKED: _asked,
    Phase.DISABLED: _disabled,
    Phase.ENDING: _ending,
    Phase.PROVING: _proving,
    Phase.ENABLING: _enabling,
}
"""What is done in each phase that has a due time."""


async def _against(rotation: Rotation, there: There, provider: Provider, world: World) -> Rotation | None:
    """Return *rotation* stopped if something speaks against going on now; None if nothing does."""
    why = revoking.needed(rotation) or await _in_the_gateway(rotation, world)
    if why := why or await _unapproved(rotation, there, world):
        return _stopped(rotation, why, world)
    kept = revoking.new_row(rotation)
    if (kept and kept.id == there.row.id) or await world.owners.is_shared(rotation, there.row.id):
        return _stopped(rotation, "Another key in AISIX has this credential too.", world)
    look = await looked(rotation, there.row, provider, world)
    if why := " ".join(revoking.objections(rotation, there, look)):
        return _stopped(rotation, why, world, look=look)
    return None


async def _unapproved(rotation: Rotation, there: There, world: World) -> str:
    """Say why too few of those who asked for it still may; empty if enough do. What a leak does, a start allows."""
    try:
        if there.by_itself:
            started = await world.people.started(rotation)
            return "" if started.starts else started.note or LAPSED
        reviewed = await world.people.reviewed(rotation.but(approvals=there.approvals), world.now())
    except Unanswerable:
        raise Uncertain("Slack does not tell whether those who asked for the revocation still may.") from None
    if len(reviewed.approvals) >= reviewed.approvals_required:
        return ""
    changes = reviewed.voids[-1].changes if reviewed.voids[len(rotation.voids) :] else ()
    return " ".join((LAPSED, *changes[:1]))


async def looked(rotation: Rotation, row: Row, provider: Provider, world: World) -> Look:
    """Ask the provider of the use of a credential since the models had left it."""
    since = revoking.looks_since(rotation, provider.usage_lag)
    return Look(at=world.now(), since=since, usage=await provider.usage(row, since))


async def _in_the_gateway(rotation: Rotation, world: World) -> str:
    """Say what in AISIX uses a key with this credential, or may use it unseen; empty if nothing does."""
    task = rotation.revocation
    if rotation.deleted_at or task is None:
        return ""
    inventory = await world.control_plane.inventory()
    keys = [rotation.plan.old_key] if task.which is Which.OLD else rotation.own_keys(inventory.keys)
    users = [user for key in keys for user in users_of(inventory, key)]
    if users:
        return f"{users[0]} still uses it at the gateway."
    return "AISIX does not list everything that may use it." if inventory.unlisted else ""


def _stopped(rotation: Rotation, why: str, world: World, **fields: object) -> Rotation:
    return revoking.entered(rotation, Phase.STOPPED, world.now(), stopped=why, **fields)


async def enabled_first(rotation: Rotation, world: World) -> Rotation:
    """Return *rotation* once no model can go back to a disabled key; stop if that can't be had.

    Raises `Uncertain` while nobody can tell, so that no model moves.
    """
    task = rotation.revocation
    if not revoking.must_enable(rotation) or task is None or task.there is None:
        return rotation
    try:
        provider = provider_of(rotation, world)
        row = await _enabled(rotation, task.there, provider, world)
    except Uncertain:
        raise
    except ApiError as refusal:
        raise Blocked(Cause.STAYS_DISABLED, error=refusal) from refusal
    if row.status is Status.GONE:
        raise Blocked(Cause.STAYS_DISABLED, error=f"{provider.title} has it no more.")
    return revoking.enabled(rotation, world.now(), "")
