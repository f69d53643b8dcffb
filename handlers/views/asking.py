"""The small forms that ask one person for a few words."""

from bot.rotation.record import Rotation
from bot.rotation.states import State
from handlers.views import revoking
from handlers.views.blocks import Block, code, plain, section
from handlers.views.modal import REASON, REASON_MOST, field

NOT_YET_FORM, QUESTION_FORM, ANSWER_FORM = "not_yet_form", "question_form", "answer_form"
NOT_NEEDED_FORM = "not_needed_form"
QUESTION, ANSWER = "question", "answer"
EVERYONE = "Everyone can see it, with your name."


def not_yet_form(rotation: Rotation) -> Block:
    """Ask an approver why no model is to move yet, or the old key is not to be deleted yet."""
    does = "start" if rotation.state is State.AWAITING_START else "delete"
    waits = f"The rotation goes on waiting. Every approver is shown what you write, and has to give a reason to {does}."
    void = " Approvals given so far become void." if rotation.approvals else ""
    return _form(
        NOT_YET_FORM,
        rotation.id,
        ("Not yet", "Not yet", "Cancel"),
        [
            section(f"For {_key(rotation)}. {waits}{void}"),
            field(REASON, "Why not yet?", EVERYONE, REASON_MOST),
        ],
    )


def question_form(rotation: Rotation) -> Block:
    """Ask an approver for the question to the requester."""
    return _form(
        QUESTION_FORM,
        rotation.id,
        ("Ask the requester", "Ask", "Cancel"),
        [
            section(f"For {_key(rotation)}. <@{rotation.requested_by}> answers in the thread."),
            field(QUESTION, "Your question", EVERYONE, REASON_MOST),
        ],
    )


def answer_form(rotation: Rotation, number: int) -> Block:
    """Ask the requester for the answer to the question of that *number*."""
    asked = rotation.questions[number - 1]
    return _form(
        ANSWER_FORM,
        f"{rotation.id} {number}",
        ("Answer", "Answer", "Cancel"),
        [
            section(f"For {_key(rotation)}. <@{asked.by}> asks: {code(asked.text, REASON_MOST)}"),
            field(ANSWER, "Your answer", EVERYONE, REASON_MOST),
        ],
    )


def _key(rotation: Rotation) -> str:
    return code(rotation.plan.old_key.display_name)


def not_needed_form(rotation: Rotation) -> Block:
    """Ask an approver why a credential that still works need not be revoked."""
    return _form(
        NOT_NEEDED_FORM,
        rotation.id,
        ("Not needed", "Not needed", "Cancel"),
        [
            section(f"For {_key(rotation)}. {revoking.still_works(rotation)}. {revoking.also(rotation)}".strip()),
            field(REASON, "Why need nobody revoke it?", EVERYONE, REASON_MOST),
        ],
    )


def _form(callback_id: str, metadata: str, words: tuple[str, str, str], blocks: list[Block]) -> Block:
    """Build a form; *words* are its title, and the labels of its two buttons."""
    title, submit, close = map(plain, words)
    return {
        "type": "modal",
        "callback_id": callback_id,
        "private_metadata": metadata,
        "title": title,
        "submit": submit,
        "close": close,
        "blocks": blocks,
    }
