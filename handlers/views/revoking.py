"""Sentences about the second delete: where a credential still works, who revokes it until when, and how that ended."""

from bot.rotation.exposure import needing
from bot.rotation.parts import Revocation, Which
from bot.rotation.record import Rotation
from bot.rotation.revocation import left_too
from bot.rotation.revoking import READS, row_of
from bot.rotation.states import State
from handlers.views import there
from handlers.views.blocks import code, when
from handlers.views.links import place_of
from handlers.views.replies import few


def still_works(rotation: Rotation) -> str:
    """Say where an API key still works: deleting it in AISIX does not revoke it there; a new one may never have."""
    is_new = rotation.revocation is not None and rotation.revocation.which is Which.NEW
    return f"{_credential(rotation)} {'may still work' if is_new else 'still works'} at {_provider(rotation)}"


def _credential(rotation: Rotation) -> str:
    """Name the API key that is to be revoked."""
    task = rotation.revocation
    return f"The {task.which if task else Which.OLD} API key"


def _provider(rotation: Rotation) -> str:
    """Name where the key belongs: the provider if that is known for sure, else the host."""
    return place_of(rotation.plan.old_key)


def due(rotation: Rotation) -> str:
    """Say by when it has to be revoked; empty where no task says so."""
    return f" by {when(rotation.revocation.due_at)}" if rotation.revocation else ""


def task(rotation: Rotation) -> str:
    """Say who revokes what by when, or how that ended; empty without a task."""
    if rotation.revocation is None:
        return ""
    if not rotation.is_owed:
        return ended(rotation, rotation.revocation)
    if doing := there.said(rotation):
        return doing
    does = f"{_first(rotation, rotation.revocation)}revokes it there{due(rotation)}"
    said = f"{still_works(rotation)}. Next: <@{rotation.revocation.owner}> {does}."
    return "\n".join(filter(None, [said, also(rotation), which(rotation)]))


def also(rotation: Rotation) -> str:
    """Name what is to be revoked with it: people gave it, and nothing uses it; empty if there is nothing."""
    names = left_too(rotation) if rotation.is_owed else ()
    if not names:
        return ""
    was = "the API key that was" if len(names) == 1 else "the API keys that were"
    return f"With it, as nothing uses {'it' if len(names) == 1 else 'them'}: {was} given as {few([*map(code, names)])}."


def _first(rotation: Rotation, task: Revocation) -> str:
    """Say what has to be made sure of before: the key may still be in use."""
    if rotation.exposed and needing(rotation):
        return "gets every model off it first (▲ above), and "
    if task.which is Which.NEW:
        return "makes sure that nothing uses the new key (▲ above), and " if rotation.left_alone else ""
    may_be_there = rotation.state is State.CANCELLED and not rotation.plan.old_key_gone
    return "makes sure in AISIX that the old key is gone, and " if may_be_there else ""


def which(rotation: Rotation) -> str:
    """Say how to tell the API key from others on the provider's page; empty once nobody has to."""
    if rotation.revocation is None or not rotation.is_owed:
        return ""
    can = there.can(rotation)
    row = row_of(rotation)
    if row and can:
        hint = f" ({code(row.hint, 40)})" if row.hint else ""
        return f"It is {code(row.name or row.id)}{hint} there. {can}"
    made = rotation.revocation.made_at
    known = f"It was made on or before {made:%Y-%m-%d}, and is called" if made else "It is called"
    look = f"Look for the right one there: AISIX shows no part of it. {known} {code(_name(rotation))} in AISIX."
    return f"{look} {can}".strip()


def _name(rotation: Rotation) -> str:
    """Return what the key was called in AISIX: people tend to call it alike at the provider."""
    is_new = rotation.revocation is not None and rotation.revocation.which is Which.NEW
    return rotation.names[-1] if is_new and rotation.names else rotation.plan.old_key.display_name


def ended(rotation: Rotation, task: Revocation) -> str:
    """Say who revoked it, or why nobody need."""
    assert task.ended_at is not None
    if task.there and not task.reason and task.there.gone + 1 >= READS:
        return there.ended(rotation, task.there)
    who = f"<@{task.ended_by}>, {when(task.ended_at)}"
    if task.reason:
        why = code(task.reason, 300)
        return f"{_credential(rotation)} need not be revoked at {_provider(rotation)}, says {who}: {why}."
    names = left_too(rotation)
    too = f" So was what was given as {few([*map(code, names)])}." if names else ""
    return f"{_credential(rotation)} was revoked at {_provider(rotation)} by {who}.{too}"
