"""What approvers and the requester say to each other: a question, its answer, and "not yet"."""

from functools import partial

from bot.rotation.actions import Action
from bot.rotation.errors import WrongState
from bot.rotation.flags import SAID, Flag
from bot.rotation.parts import PutOff, Question, Void
from bot.rotation.policy import check_may_accept, check_may_answer, check_may_ask, check_offered
from bot.rotation.record import Rotation
from bot.rotation.talking import is_unanswered
from bot.service.verbs import Verbs, audited, publishable


class Talk(Verbs):
    """The buttons that move no rotation, and the forms behind them."""

    @audited(Action.ASK)
    async def offer_question(self, rotation_id: str, *, by: str) -> Rotation:
        """Return the rotation for the form, if *by* may ask the requester now."""
        return await self._opened(await self._may_ask(rotation_id, by), by, Action.ASK)

    @audited(Action.ASK)
    async def ask(self, rotation_id: str, question: str, *, by: str) -> Rotation:
        """Ask the requester a *question* that everybody can read."""
        await self._may_ask(rotation_id, by)
        asked = Question(by=by, at=self._now(), text=publishable(question, field="question"))

        def with_question(rotation: Rotation) -> Rotation:
            return rotation.but(questions=(*rotation.questions, asked))

        allowed = partial(self._may_ask, rotation_id, by)
        return await self._note(allowed, with_question, by, "asked the requester", asked.text)

    async def _may_ask(self, rotation_id: str, by: str) -> Rotation:
        rotation = self._people.strict(recorded := await self.load(rotation_id))
        check_may_ask(rotation, await self._people.permissions(by, rotation.policy))
        check_offered(rotation, Action.ASK)
        return recorded

    @audited(Action.ANSWER)
    async def offer_answer(self, rotation_id: str, number: int, *, by: str) -> tuple[Rotation, int]:
        """Return the rotation for the form, and which question it is about; a *number* of 0 means the newest one."""
        rotation = await self._may_answer(rotation_id, number, by)
        newest = max(place for place in range(1, len(rotation.questions) + 1) if is_unanswered(rotation, place))
        return await self._opened(rotation, by, Action.ANSWER), number or newest

    @audited(Action.ANSWER)
    async def answer(self, rotation_id: str, number: int, text: str, *, by: str) -> Rotation:
        """Answer a question, by its number from 1."""
        await self._may_answer(rotation_id, number or GONE, by)
        text = publishable(text, field="answer")

        def with_answer(rotation: Rotation) -> Rotation:
            answered = rotation.questions[number - 1].but(answer=text, answered_at=self._now())
            return rotation.but(questions=(*rotation.questions[: number - 1], answered, *rotation.questions[number:]))

        allowed = partial(self._may_answer, rotation_id, number, by)
        return await self._note(allowed, with_answer, by, "answered", text)

    async def _may_answer(self, rotation_id: str, number: int, by: str) -> Rotation:
        rotation = await self.load(rotation_id)
        check_may_answer(rotation, await self._people.permissions(by))
        check_offered(rotation, Action.ANSWER)
        if number and not is_unanswered(rotation, number):
            raise WrongState("This question is answered: the thread has the answer.")
        return rotation

    @audited(Action.NOT_YET)
    async def offer_not_yet(self, rotation_id: str, *, by: str) -> Rotation:
        """Return the rotation for the form that asks why, if *by* may put off the delete now."""
        return await self._opened(await self._may_put_off(rotation_id, by), by, Action.NOT_YET)

    @audited(Action.NOT_YET)
    async def not_yet(self, rotation_id: str, reason: str, *, by: str) -> Rotation:
        """Put off the delete for a *reason*, which every later approver is shown; approvals given so far are void."""
        await self._may_put_off(rotation_id, by)
        said = PutOff(by=by, at=self._now(), reason=publishable(reason))
        allowed = partial(self._may_put_off, rotation_id, by)
        return await self._note(allowed, partial(_put_off, said), by, "said not yet", said.reason)

    async def _may_put_off(self, rotation_id: str, by: str) -> Rotation:
        rotation = self._people.strict(recorded := await self.load(rotation_id))
        permissions = await self._people.permissions(by, rotation.policy)
        check_may_accept(rotation, permissions, self_approval=rotation.self_approval)
        check_offered(rotation, Action.NOT_YET)
        return recorded


GONE = -1
"""The number of no question: a form always has the number of one."""


def _put_off(said: PutOff, rotation: Rotation) -> Rotation:
    """Return *rotation* with what an approver *said*: people who approved before did not know it."""
    others = tuple(one for one in rotation.put_off if one.by != said.by)
    gone = tuple(approval.by for approval in rotation.approvals)
    void = Void(by=gone, at=said.at, changes=(SAID[Flag.PUT_OFF],) * len(gone), lapsed=True)
    voids = (*rotation.voids, void) if gone else rotation.voids
    return rotation.but(put_off=(*others, said), approvals=(), voids=voids)
