"""The credentials that a rotation has had its provider make: which is the present one, and which have to go. Pure."""

from datetime import datetime

from bot.rotation.parts import Chore, Mint, Way
from bot.rotation.record import Replacement, Rotation
from bot.rotation.states import State

LOST_MOST = 3
"""After so many lost credentials in a row, the rotation stops."""


def is_minted(rotation: Rotation) -> bool:
    """Return whether the present secret is one that the provider makes, or has made."""
    return rotation.replacement is not None and rotation.replacement.way is Way.MINTED


def present(rotation: Rotation) -> Mint | None:
    """Return the credential of the present secret; None if a person gave that, or it waits for one."""
    last = rotation.mints[-1] if rotation.mints else None
    return last if is_minted(rotation) and last and last.attempt == rotation.attempt else None


def is_asked_for(rotation: Rotation) -> bool:
    """Return whether AISIX has been asked for the replacement, or may have been."""
    mint = present(rotation)
    return mint is None or bool(mint.given)


def with_next(rotation: Rotation, now: datetime) -> Rotation:
    """Return *rotation* with the intent to have one more credential made."""
    name = f"keyturn-{rotation.id}-{len(rotation.mints) + 1}"
    return rotation.but(mints=(*rotation.mints, Mint(name=name, attempt=rotation.attempt, asked_at=now)))


def noted(rotation: Rotation, mint: Mint) -> Rotation:
    """Return *rotation* with what is known of one of its credentials now."""
    return rotation.but(mints=tuple(mint if one.name == mint.name else one for one in rotation.mints))


def minted(rotation: Rotation, name: str, now: datetime) -> Rotation:
    """Return *rotation* with the intent to have a secret made, and a replacement called *name* with it."""
    replacement = Replacement(name=name, asked_at=now, way=Way.MINTED)
    return with_next(rotation.but(replacement=replacement, attempt=rotation.attempt + 1), now)


def with_key(rotation: Rotation) -> Rotation:
    """Return *rotation* where its present credential knows the key in AISIX that was created with it."""
    mint, key_id = present(rotation), rotation.replacement_id
    return noted(rotation, mint.but(key_id=key_id)) if mint and key_id else rotation


def lost_in_a_row(rotation: Rotation) -> int:
    """Return how many credentials of the present secret are lost, up to the last one."""
    return sum(mint.lost for mint in rotation.mints if mint.attempt == rotation.attempt)


def unwanted(rotation: Rotation) -> tuple[Mint, ...]:
    """Return the credentials that the provider may have and that the rotation has no use for, or none any more.

    The present one is not among them while the rotation may still go on with it. Whether something uses one all the
    same, only AISIX can tell.
    """
    return tuple(mint for mint in rotation.mints if _may_be_there(mint) and not _is_kept(mint, rotation))


def _may_be_there(mint: Mint) -> bool:
    return bool(mint.sent or mint.row) and not (mint.gone_at or mint.stays)


def _is_kept(mint: Mint, rotation: Rotation) -> bool:
    is_over = rotation.state in (State.ROLLED_BACK, State.CANCELLED)
    return mint == present(rotation) and not (mint.lost or is_over)


def next_unwanted(rotation: Rotation) -> Mint | None:
    """Return the unwanted credential that Keyturn looks after first."""
    return min(unwanted(rotation), key=look_at, default=None)


def look_at(mint: Mint) -> datetime:
    """Return when Keyturn looks after an unwanted credential."""
    return mint.look_at or mint.asked_at


def clear_at(rotation: Rotation) -> datetime | None:
    """Return from when on something that the provider made has to go; None if there is nothing."""
    mint = next_unwanted(rotation)
    return look_at(mint) if mint else None


FAILS = 5
"""After so many tries in a row, about five minutes, what Keyturn can't delete becomes a task of people."""


def is_cleared(rotation: Rotation) -> bool:
    """Return whether Keyturn itself deletes, or has deleted, the credential of a rotation that is over."""
    mint, failed = present(rotation), next((each for each in rotation.setbacks if each.chore is Chore.CLEAR), None)
    return mint is not None and not mint.stays and (mint.gone_at is not None or not failed or failed.number < FAILS)


def cleared(before: Rotation, after: Rotation) -> str:
    """Say for the audit trail which credential is gone, or stays, since *before*; empty if none."""
    known = {mint.name: mint for mint in before.mints}
    for mint in after.mints:
        was = known.get(mint.name, mint)
        if mint.gone_at and not was.gone_at:
            return f"deleted {mint.name} at its provider" if mint.row else f"found no {mint.name} at its provider"
        if mint.stays and not was.stays:
            return f"left {mint.name} at its provider"
    return ""
