"""When approvers and the requester may say something to each other. Pure."""

from collections.abc import Iterator

from bot.rotation.actions import Action
from bot.rotation.attention import open_questions
from bot.rotation.record import Rotation
from bot.rotation.states import State

ASKED_IN = frozenset({State.AWAITING_START, State.AWAITING_APPROVAL, State.BLOCKED})
"""States in which approvers decide something, and may ask about it."""

PUT_OFF_IN = frozenset({State.AWAITING_START, State.AWAITING_APPROVAL})
"""States in which an approver may say "not yet": others then give a reason to start, or to delete."""

QUESTIONS_MOST = 20
"""Questions about one rotation; the record holds them all."""


def talk(rotation: Rotation) -> Iterator[Action]:
    """Yield the buttons by which they talk."""
    if rotation.state in PUT_OFF_IN and not rotation.parked_at:
        yield Action.NOT_YET
    if rotation.state in ASKED_IN and len(rotation.questions) < QUESTIONS_MOST:
        yield Action.ASK
    if open_questions(rotation):
        yield Action.ANSWER


def is_unanswered(rotation: Rotation, number: int) -> bool:
    """Return whether the question of that *number*, from 1, waits for its answer."""
    return 0 < number <= len(rotation.questions) and rotation.questions[number - 1].is_open
