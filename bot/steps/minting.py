"""Part of the step `replace`: have the provider make the new secret, try it there, and create the key with it.

The request is in the record before it is sent, and is sent once. The secret is in the pocket of the process that has
the rotation in hand, until AISIX has it: a process that finds a credential without its secret has it go, and asks for
another one.
"""

from contextlib import suppress
from datetime import timedelta

from bot.rotation.credentials import Ability, Provider, Row
from bot.rotation.errors import ApiError, Blocked, Uncertain
from bot.rotation.made_keys import received
from bot.rotation.minting import LOST_MOST, lost_in_a_row, noted, present, with_key, with_next
from bot.rotation.parts import Mint
from bot.rotation.phrases import said
from bot.rotation.record import Rotation
from bot.rotation.stops import Cause
from bot.steps.outcomes import Outcome, Wait
from bot.steps.pacing import POLL, move_mark
from bot.steps.world import World


async def minting(rotation: Rotation, world: World) -> Outcome | None:
    """Make the next move towards a key with a minted secret; None once AISIX has been asked for it, or need not be."""
    mint, wanted = present(rotation), rotation.replacement
    if mint is None or wanted is None or wanted.key_id:
        return None
    if mint.given:
        return await _create(rotation, mint, world) if _is_mine(mint.given, rotation, world) else None
    provider = provider_of(rotation, world)
    if mint.lost:
        return Wait(with_next(rotation, world.now()), f"asking {provider.title} for a credential")
    if mint.row is None:
        return await _ask(rotation, mint, provider, world)
    return await _hand_over(rotation, mint, provider, world)


async def _hand_over(rotation: Rotation, mint: Mint, provider: Provider, world: World) -> Outcome:
    """Give AISIX what the provider made, once the provider takes it; without its secret, it is lost."""
    if mint.name not in world.pocket:
        return await _lost(rotation, mint, provider, world)
    if mint.tried_at is None:
        return await _try(rotation, mint, provider, world)
    return _about_to_create(rotation, mint, world)


def provider_of(rotation: Rotation, world: World) -> Provider:
    """Return the provider that the rotation was requested with, or stop if the settings name none that mints."""
    found = world.providers.named(rotation.account)
    if found is None or Ability.MINT not in found.abilities:
        raise Blocked(Cause.NO_PROVIDER, account=rotation.account)
    return found


def _is_mine(mark: str, rotation: Rotation, world: World) -> bool:
    return mark == move_mark(rotation.version, world)


def _mark(rotation: Rotation, world: World) -> str:
    return move_mark(rotation.version + 1, world)


def _still(rotation: Rotation, mint: Mint, doing: str) -> Outcome:
    """Note what is about to be sent; a trouble that goes on began when it began."""
    note = rotation.note if rotation.trouble_since and rotation.note else doing
    return Wait(noted(rotation, mint), note, is_calm=False)


# --- the provider makes it ---


async def _ask(rotation: Rotation, mint: Mint, provider: Provider, world: World) -> Outcome:
    if not mint.sent:
        await world.control_plane.keys()  # a secret that AISIX can't be given is made for nothing
        return _still(rotation, mint.but(sent=_mark(rotation, world)), f"asking {provider.title} for a credential")
    if not _is_mine(mint.sent, rotation, world):
        return await _look(rotation, mint, provider, world)
    await world.hold.verified(rotation.version)
    try:
        made = await provider.mint(mint.name, rotation.old_row)
    except Uncertain as trouble:
        if not trouble.arrived:
            trouble.after = noted(rotation, mint.but(sent=""))
        raise
    except ApiError as refusal:
        refused = noted(rotation, mint.but(sent=""))
        raise Blocked(Cause.NOT_MINTED, after=refused, provider=provider.title, error=refusal) from None
    world.pocket[mint.name] = made.secret
    known = mint.but(row=made.row, copied=made.copied, uncopied=made.uncopied)
    return Wait(noted(rotation, known), f"trying the new credential at {provider.title}")


async def _look(rotation: Rotation, mint: Mint, provider: Provider, world: World) -> Outcome:
    """After a lost answer, find out whether the provider has one of this name: nobody has its secret."""
    try:
        found = await called(mint.name, provider)
    except Uncertain:
        raise
    except ApiError as error:
        raise Blocked(Cause.MINT_UNKNOWN, provider=provider.title, name=mint.name, error=error) from None
    return await _lost(rotation, mint.but(row=found), provider, world)


async def called(name: str, provider: Provider) -> Row | None:
    """Return the credential of exactly this name; raise `ApiError` if the provider does not list any."""
    if Ability.LIST not in provider.abilities:
        raise ApiError(f"{provider.title} does not list credentials.")
    return next((row for row in await provider.rows() if row.name == name), None)


async def _lost(rotation: Rotation, mint: Mint, provider: Provider, world: World) -> Outcome:
    """Delete a credential whose secret nobody has, as the provider may allow few; the clean-up proves that it went."""
    await world.hold.verified(rotation.version)
    with suppress(ApiError):
        if mint.row:
            await provider.delete(mint.row.id)
    rotation = noted(rotation, mint.but(lost=True))
    if lost_in_a_row(rotation) % LOST_MOST == 0:
        raise Blocked(Cause.MINTS_LOST, after=rotation, number=LOST_MOST, provider=provider.title)
    return Wait(rotation, "a new credential was lost on the way; asking for another one")


# --- the provider takes it ---


async def _try(rotation: Rotation, mint: Mint, provider: Provider, world: World) -> Outcome:
    """Wait until the provider takes what it made; if it can't be tried there, the rehearsal has to prove it."""
    untried = ""
    try:
        if await provider.works(world.pocket[mint.name]):
            return _tried(rotation, mint, "", world)
    except ApiError as trouble:
        untried = str(trouble)
    if waited_since(mint, world) < world.limits.mint_patience:
        return Wait(rotation, f"waiting until {provider.title} takes the new credential", POLL)
    if untried:
        return _tried(rotation, mint, untried, world)
    time, after = said(world.limits.mint_patience), noted(rotation, mint.but(lost=True))
    world.pocket.pop(mint.name)
    raise Blocked(Cause.NOT_TAKEN_AT_PROVIDER, after=after, provider=provider.title, time=time)


def waited_since(mint: Mint, world: World) -> timedelta:
    """Return how long ago a credential was asked for."""
    return world.now() - mint.asked_at


def _tried(rotation: Rotation, mint: Mint, untried: str, world: World) -> Outcome:
    known = mint.but(tried_at=world.now(), untried=untried)
    return Wait(noted(rotation, known), "creating the new key")


# --- AISIX gets it ---


def _about_to_create(rotation: Rotation, mint: Mint, world: World) -> Outcome:
    assert rotation.replacement is not None
    wanted = rotation.replacement.but(asked_at=world.now(), row=mint.row)
    known = mint.but(given=_mark(rotation, world), given_to=wanted.name, given_at=world.now())
    return _still(rotation.but(replacement=wanted), known, "creating the new key")


async def _create(rotation: Rotation, mint: Mint, world: World) -> Outcome | None:
    """Have AISIX create the key, once; afterwards nobody has the secret."""
    plan, wanted = rotation.plan, rotation.replacement
    assert wanted is not None
    if mint.name not in world.pocket:
        return None
    await world.hold.verified(rotation.version)
    try:
        key_id = await world.control_plane.create_key(
            plan.old_key, wanted.name, plan.needed_in, world.pocket[mint.name]
        )
    except Uncertain as trouble:
        if trouble.arrived:
            del world.pocket[mint.name]
            raise
        return _again(noted(rotation, mint.but(given="", given_to="", given_at=None)), trouble, world)
    except ApiError as refusal:
        del world.pocket[mint.name]
        refused = noted(rotation, mint.but(lost=True, given_to="", given_at=None))
        return Wait(refused.but(replacement=wanted.but(refusal=str(refusal))), "AISIX refused the new key")
    del world.pocket[mint.name]
    made = received(rotation, key_id).but(replacement=wanted.but(key_id=key_id)) if key_id else rotation
    return Wait(with_key(made), "comparing the new key with the old one")


def _again(rotation: Rotation, trouble: Uncertain, world: World) -> Outcome:
    """Ask AISIX again soon, as long as `PATIENCE` lasts: a longer pause would lose the secret."""
    since = rotation.trouble_since or world.now()
    if world.now() - since > world.limits.patience:
        world.pocket.clear()
        raise Blocked(Cause.NO_ANSWER, after=rotation, trouble=trouble, time=said(world.limits.patience))
    return Wait(rotation.but(trouble_since=since), f"{trouble} Trying again.", POLL, is_calm=False)
