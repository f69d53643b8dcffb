"""Compose all messages of one rotation at once: the thread lists the models if the card has no room for all."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from bot.rotation.record import Rotation
from handlers.views.around import NOTHING, Around
from handlers.views.card import card
from handlers.views.pushes import reminders
from handlers.views.replies import Reply, calling
from handlers.views.thread import checklist, milestones


class Composed(NamedTuple):
    """A card with its thread."""

    card: dict[str, object]
    steady: dict[str, object]
    """What of the card is worth an edit."""

    checklist: dict[str, object] | None
    replies: Callable[..., Iterator[Reply]]
    """Takes whether the receipt's file is there, which is known only when the replies are due."""


def composed(rotation: Rotation, approvers: str, around: Around = NOTHING) -> Composed:
    """Compose *rotation*; *approvers* are mentions."""
    content, unlisted, steady = card(rotation, around)
    return Composed(
        content,
        steady,
        checklist(rotation) if rotation.attempt else None,  # no step runs before the first secret
        partial(_replies, rotation, approvers, unlisted, around),
    )


def _replies(
    rotation: Rotation, approvers: str, unlisted: Sequence[tuple[str, ...]], around: Around, *, attached: bool = False
) -> Iterator[Reply]:
    """Yield the replies; each mentions those alone who have something to do."""
    told = milestones(rotation, approvers, unlisted, around.places, attached=attached)
    for reply in (*told, *reminders(rotation, approvers, around.escalation)):
        yield calling(reply, rotation.requested_by, around.team_url)
