"""A leak: **This secret is exposed** from the requester or an approver, and the review that is due at the end."""

from bot.rotation import secret as shape
from bot.rotation.actions import Action
from bot.rotation.errors import BadInput
from bot.rotation.exposure import moves_at_once
from bot.rotation.parts import Exposure, Review
from bot.rotation.policy import check_may_steer, check_offered
from bot.rotation.progress import next_step
from bot.rotation.record import Rotation
from bot.rotation.revocation import with_task_of_a_leak
from bot.rotation.states import State, StepName
from bot.service.decisions import Decisions
from bot.service.verbs import audited


class Exposures(Decisions):
    """The two forms of a leak, for the requester and approvers."""

    @audited(Action.EXPOSED)
    async def offer_exposure(self, rotation_id: str, *, by: str) -> Rotation:
        """Return the rotation for the form, if *by* may report the leak now."""
        return await self._offered_form(rotation_id, Action.EXPOSED, by)

    @audited(Action.EXPOSED)
    async def expose(self, rotation_id: str, *, by: str, what: str, where: str, since: str) -> Rotation:
        """Record that the old secret leaked; from here on the rotation hurries, and the revocation is due."""
        said = {"what": _said(what, "what"), "where": _said(where, "where", needed=False)}
        said["since"] = _said(since, "since", needed=False)

        def exposed(rotation: Rotation) -> Rotation:
            reported = _hurrying(rotation).but(exposed=self._exposure(rotation, by).but(**said))
            return with_task_of_a_leak(reported, self._now())

        return await self._steer(rotation_id, Action.EXPOSED, exposed, by, "reported a leak")

    def _exposure(self, rotation: Rotation, by: str) -> Exposure:
        now = self._now()
        due = now + self._rules.exposed_revoke_within
        return Exposure(by=by, at=now, revoke_by=due, at_once=moves_at_once(rotation))

    @audited(Action.REVIEW)
    async def offer_review(self, rotation_id: str, *, by: str) -> Rotation:
        """Return the rotation for the form, if *by* may give the review now."""
        return await self._offered_form(rotation_id, Action.REVIEW, by)

    @audited(Action.REVIEW)
    async def give_review(
        self, rotation_id: str, *, by: str, what: str, where: str, since: str, reach: str
    ) -> Rotation:
        """Record what was found out about the leak, once."""
        texts = {"what": what, "where": where, "since": since, "reach": reach}
        review = Review(by=by, at=self._now(), **{field: _said(text, field) for field, text in texts.items()})

        def reviewed(rotation: Rotation) -> Rotation:
            return rotation.but(review=review)

        return await self._steer(rotation_id, Action.REVIEW, reviewed, by, "gave the review")

    async def _offered_form(self, rotation_id: str, action: Action, by: str) -> Rotation:
        rotation = await self.load(rotation_id)
        check_may_steer(rotation, await self._people.permissions(by))
        check_offered(rotation, action)
        return await self._opened(rotation, by, action)


def _hurrying(rotation: Rotation) -> Rotation:
    """Return *rotation*, due at once if it soaks or waits for a window: either is shorter from now on."""
    step = next_step(rotation)
    waits = rotation.state is State.RUNNING and step is not None and (step.name is StepName.SOAK or rotation.opens_at)
    return rotation.but(retry_at=None, retry_in=None) if waits else rotation


def _said(text: str, field: str, *, needed: bool = True) -> str:
    """Return what a person wrote on one line, or refuse it: everyone can read it."""
    text = shape.on_one_line(text)
    if needed and not text:
        raise BadInput("Say it in a few words: “unknown” will do.", field=field)
    shape.refuse_likeness(text, field)
    return text
