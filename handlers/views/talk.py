"""What approvers and the requester say to each other, as replies in the thread: each mentions whom it asks, once."""

from collections.abc import Iterator

from bot.rotation.actions import Action
from bot.rotation.attention import open_questions
from bot.rotation.parts import PutOff, Question
from bot.rotation.record import Rotation
from handlers.views.blocks import actions, button, code, message, section
from handlers.views.replies import Reply, reply

QUESTION = "question-"
"""The prefix of the block id of a question's button, before its number."""

MOST = 300


def talk(rotation: Rotation, key: str) -> Iterator[Reply]:
    """Yield each question, each answer, and each "not yet"; *key* names what they are about."""
    for number, question in enumerate(rotation.questions, start=1):
        yield from _question(rotation, key, question, number)
    for said in rotation.put_off:
        yield _not_yet(rotation, key, said)


def _question(rotation: Rotation, key: str, asked: Question, number: int) -> Iterator[Reply]:
    requester, text = rotation.requested_by, code(asked.text, MOST)
    said = f"{key}: <@{asked.by}> asks <@{requester}>: {text}"
    answers = [button(Action.ANSWER.value, Action.ANSWER.name.lower(), rotation.id)]
    row = actions(answers, f"{QUESTION}{number}") if asked in open_questions(rotation) else []
    content = message(said, [section(said), *row])
    yield Reply(f"question:{number}", content, "" if row else "over", asks=frozenset({requester}))
    if asked.answered_at:
        answer = f"{key}: <@{requester}> answers <@{asked.by}>: {code(asked.answer, MOST)}\nThe question was: {text}"
        yield reply(f"answer:{number}", answer, frozenset({asked.by}))


def _not_yet(rotation: Rotation, key: str, said: PutOff) -> Reply:
    text = f"{key}: not yet, says <@{said.by}>: {code(said.reason, MOST)}. <@{rotation.requested_by}>"
    if said.over:
        text = f"{key}: not yet, said <@{said.by}>: {code(said.reason, MOST)}. They have approved since."
    told = reply(f"not-yet:{said.at.isoformat()}", text, frozenset({rotation.requested_by}))
    return told._replace(edition="over" if said.over else "")
