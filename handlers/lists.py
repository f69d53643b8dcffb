"""Lists of rotations as text: a line for each, with the link to its card."""

from collections.abc import Sequence
from itertools import accumulate

from bot.rotation.record import Rotation
from handlers.announcer import SlackAnnouncer
from handlers.views import revoking
from handlers.views.blocks import code, when
from handlers.views.links import motive
from handlers.views.words import state_label

PAGE = 10
"""How many rotations a list has."""

ROOM = 3600
"""Letters for the lines of a list: Slack shows about 4,000 of a message."""


async def listing(title: str, rotations: Sequence[Rotation], announcer: SlackAnnouncer, *after: str) -> str:
    """List *rotations* under a title; a line that does not fit is counted, not cut."""
    lines = [f"• {await line(rotation, announcer)}" for rotation in rotations]
    room = ROOM - sum(map(len, after))
    whole = [line for line, length in zip(lines, accumulate(map(len, lines)), strict=True) if length <= room]
    left = [f"And {len(lines) - len(whole)} more, which do not fit here."] if len(whole) < len(lines) else []
    return "\n".join([title, *whole, *left, *after])


async def line(rotation: Rotation, announcer: SlackAnnouncer) -> str:
    """Tell of one rotation, with the link to its card."""
    name = code(rotation.plan.old_key.display_name, 60)
    why = f", {motive(rotation, announcer.places)}" if rotation.motive else ""
    task = ", still to be revoked" if rotation.is_owed else ""
    return (
        f"{name}: {state_label(rotation)}, asked for by <@{rotation.requested_by}>, "
        f"{when(rotation.requested_at)}{why}{task} ({await place(rotation, announcer)})"
    )


async def task(rotation: Rotation, announcer: SlackAnnouncer) -> str:
    """Say who has to revoke which credential by when."""
    assert rotation.revocation is not None
    name, which = code(rotation.plan.old_key.display_name, 60), rotation.revocation.which
    where = await place(rotation, announcer)
    return f"• {name}: the {which} API key, by <@{rotation.revocation.owner}>{revoking.due(rotation)} ({where})"


async def place(rotation: Rotation, announcer: SlackAnnouncer) -> str:
    """Link to the card of a rotation, or say that there is none yet."""
    link = await announcer.link(rotation)
    return f"<{link}|open>" if link else "not shown yet"
