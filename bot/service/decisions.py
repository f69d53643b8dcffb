"""People's decisions during a rotation: continue, roll back, accept, approve."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from bot.rotation.actions import Action
from bot.rotation.attention import objections
from bot.rotation.errors import (
    BadInput,
    WrongState,
)
from bot.rotation.finding import Acceptance, Finding
from bot.rotation.flags import SEPARATOR, flags, shown_of
from bot.rotation.holds import OnHold
from bot.rotation.parts import OnIt, Way
from bot.rotation.policies import Policy
from bot.rotation.policy import (
    Chosen,
    Permissions,
    Person,
    Pressed,
    acceptable_as_a_whole,
    check_in_time,
    check_may_accept,
    check_may_approve,
    check_may_replace,
    check_may_steer,
    check_may_take,
    check_offered,
    check_window,
    picked,
    shown_unproved,
    takes_back,
)
from bot.rotation.progress import before_approval, earlier, rolled_back, undone_from, verified_again
from bot.rotation.record import Approval, Rotation
from bot.rotation.revocation import with_task
from bot.rotation.starting import asked_at_start, shown_at_start
from bot.rotation.states import State, StepName, Track
from bot.rotation.stepping_up import check_stepped_up
from bot.service.resuming import tried_again
from bot.service.verbs import REPLAY_WINDOW, TRIES, Verbs, audited, publishable
from bot.storage.records import Conflict


class Check(NamedTuple):
    """How Keyturn asks about a person, and the rule on what they may do."""

    ask: Callable[[str, Policy], Awaitable[Permissions]]
    rule: Callable[[Rotation, Permissions], None]


class Decisions(Verbs):
    """The buttons of a card that need no secret."""

    @audited(Action.CANCEL)
    async def cancel(self, rotation_id: str, *, by: str) -> Rotation:
        """End a rotation that waits for a secret, or a stopped one that has no way back; keep the stop for the card."""

        def cancelled(rotation: Rotation) -> Rotation:
            ended = rotation.to(State.CANCELLED).but(stop=rotation.stop, ended_at=self._now(), ended_by=by)
            return with_task(ended, self._now(), self._rules.revoke_within)

        return await self._steer(rotation_id, Action.CANCEL, cancelled, by, "cancelled")

    @audited(Action.TRY_AGAIN)
    async def try_again(self, rotation_id: str, *, by: str) -> Rotation:
        """Continue from the step that the stop names, with fresh checks."""
        return await self._steer(rotation_id, Action.TRY_AGAIN, tried_again, by, "tried again")

    @audited(Action.VERIFY_AGAIN)
    async def verify_again(self, rotation_id: str, *, by: str) -> Rotation:
        """Gather the evidence again before an approver decides."""
        return await self._steer(rotation_id, Action.VERIFY_AGAIN, verified_again, by, "verified again")

    @audited(Action.ANOTHER_SECRET)
    async def another_secret(self, rotation_id: str, *, by: str, agreed: int | None = None) -> Rotation:
        """Withdraw the refused replacement; once callers are on the old key again, wait for another secret.

        *agreed* is how many models the person agreed to move back. If that is not how many would be, nothing changes
        and the rotation stays stopped: ask first. After the delete nothing changes either: start a rotation of the
        new key.
        """
        rotation = await self.load(rotation_id)
        check_may_replace(rotation, await self._people.permissions(by))
        check_offered(rotation, Action.ANOTHER_SECRET)
        if rotation.deleted_at and agreed is not None:
            raise WrongState("The old key is deleted by now, so no model goes back to it: look at the card again.")
        if rotation.deleted_at:
            return rotation
        if takes_back(rotation) and len(rotation.moved) != agreed:
            return await self._opened(rotation, by, Action.ANOTHER_SECRET)
        new = rotation.replacement
        left = (new.name,) if new and new.key_id and new.way is not Way.MINTED else ()
        taking_back = rotation.to(State.RUNNING).but(
            track=Track.WITHDRAW, done=(), approvals=(), ended_by=None, withdrawn=(*rotation.withdrawn, *left)
        )
        return await self._save(taking_back, by, "wants to give another secret")

    @audited(Action.ACCEPT_UNPROVED)
    async def offer_acceptance(self, rotation_id: str, *, by: str) -> Rotation:
        """Return the rotation for the form, if *by* may accept models unproved now."""
        rotation, _ = await self._may_accept(rotation_id, by)
        return await self._opened(rotation, by, Action.ACCEPT_UNPROVED)

    async def _may_accept(self, rotation_id: str, by: str) -> tuple[Rotation, Person]:
        rotation = self._people.strict(await self.load(rotation_id))
        permissions = await self._people.permissions(by, rotation.policy)
        check_may_accept(rotation, permissions, self_approval=rotation.self_approval)
        check_offered(rotation, Action.ACCEPT_UNPROVED)
        return rotation, permissions.person

    @audited("accepted unproved")
    async def accept_unproved(  # noqa: PLR0913 - what a form says, each by its name
        self,
        rotation_id: str,
        chosen: Chosen,
        reason: str,
        *,
        by: str,
        shown: str,
        pressed: Pressed,
        signed_in: str = "",
    ) -> Rotation:
        """Accept what is *chosen* without a proof, for a *reason* that goes into the receipt.

        *shown* is the digest of what the form showed about them; if that has changed, nothing is accepted.
        """
        rotation, person = await self._may_accept(rotation_id, by)
        check_in_time(pressed, person, self._rules.click_max_age)
        check_stepped_up(signed_in, step_up=self._rules.step_up)
        if shown != shown_unproved(rotation):
            raise BadInput(
                "This form is out of date: the models, or what is known of them, have changed. "
                f"Close it, look at the card, and press “{Action.ACCEPT_UNPROVED.value}” again.",
                field="models",
            )
        reason = publishable(reason)
        word = Acceptance(by=by, at=self._now(), reason=reason, signed_in=signed_in)
        accepted, what = _with_word(rotation, chosen, word)
        assert rotation.stop is not None
        onward = undone_from(accepted, earlier(rotation, rotation.stop.step, StepName.RECHECK)).to(State.RUNNING)
        return await self._save(onward, by, _said(what, signed_in), reason)

    @audited(Action.ROLL_BACK)
    async def roll_back(self, rotation_id: str, *, by: str) -> Rotation:
        """Point every moved model back at the old key."""
        return await self._steer(rotation_id, Action.ROLL_BACK, partial(rolled_back, by=by), by, "rolled back")

    @audited(Action.START)
    async def start_moving(  # noqa: PLR0913 - what a click says, each by its name
        self,
        rotation_id: str,
        *,
        by: str,
        pressed: Pressed,
        click: str,
        shown: str,
        reason: str = "",
        signed_in: str = "",
    ) -> Rotation:
        """Let models move, if *by* is an approver now, and *shown* is the mark of what they would move.

        While another approver's "not yet" stands, they must give a *reason*.
        """
        rotation = await self._may_start(await self.load(rotation_id), by, pressed, shown)
        check_stepped_up(signed_in, step_up=self._rules.step_up)
        reason = publishable(reason) if reason else ""
        if objections(rotation) and not reason:
            raise WrongState(f"An approver said “not yet”: press “{Action.START.value}” and say why you start.")
        if shown != asked_at_start(rotation):
            raise BadInput("Somebody has said “not yet” since: close this, and look at the card.", field="reason")
        await self._check_first(rotation_id, click)
        digest = shown_at_start(rotation)
        started = Approval(by=by, at=self._now(), digest=digest, reason=reason, signed_in=signed_in)
        moving = _taken_back(rotation, by).to(State.RUNNING).but(starts=(started,), parked_at=None)
        return await self._save(moving, by, _said("started", signed_in), reason)

    @audited(Action.START)
    async def offer_start(self, rotation_id: str, *, by: str, pressed: Pressed, shown: str) -> Rotation | None:
        """Return the rotation for the form that asks why; None if nobody has said "not yet"."""
        recorded = await self.load(rotation_id)
        if not objections(recorded):
            return None
        return await self._opened(await self._may_start(recorded, by, pressed, shown), by, Action.START)

    async def _may_start(self, recorded: Rotation, by: str, pressed: Pressed, shown: str) -> Rotation:
        rotation = self._people.strict(recorded)
        starter = await self._people.permissions(by, rotation.policy)
        check_may_accept(rotation, starter, self_approval=rotation.self_approval)
        check_offered(rotation, Action.START)
        if shown.partition(SEPARATOR)[0] != shown_at_start(rotation):
            raise WrongState("What you saw is not what is asked now: look at the card again.")
        check_in_time(pressed, starter.person, self._rules.click_max_age)
        return rotation

    async def _check_first(self, rotation_id: str, click: str) -> None:
        """Refuse a click that Slack brings a second time."""
        if click and not await self._store.is_first(f"click:{rotation_id}:{click}", REPLAY_WINDOW):
            raise WrongState("This click has counted already.")

    @audited(Action.ON_IT)
    async def on_it(self, rotation_id: str, *, by: str) -> Rotation:
        """Note that somebody takes care of callers that fail: nobody else is paged about that."""

        def taken(rotation: Rotation) -> Rotation:
            return rotation.but(on_it=OnIt(by=by, at=self._now()))

        may = Check(self._people.paged, check_may_take)
        return await self._steer(rotation_id, Action.ON_IT, taken, by, "is on it", may)

    @audited(Action.DELETE_OLD_KEY)
    async def offer_delete(self, rotation_id: str, *, by: str, pressed: Pressed, shown: str) -> Rotation | None:
        """Return the rotation for the form that asks why; None if nothing speaks against the delete."""
        recorded = await self.load(rotation_id)
        if not flags(recorded):
            return None
        return await self._opened(await self._may_approve(recorded, by, pressed, shown), by, Action.DELETE_OLD_KEY)

    @audited("asked for the page")
    async def offer_page(self, rotation_id: str, action: Action, *, by: str, pressed: Pressed, shown: str) -> Rotation:
        """Return the rotation for the page, if *by* may do *action* now, and it is what they were *shown*."""
        rotation = await self.load(rotation_id)
        match action:
            case Action.START:
                return await self._may_start(rotation, by, pressed, shown)
            case Action.ACCEPT_UNPROVED:
                rotation, person = await self._may_accept(rotation_id, by)
                check_in_time(pressed, person, self._rules.click_max_age)
                if shown != shown_unproved(rotation):
                    raise WrongState("What you saw is not what is asked now: look at the card again.")
                return rotation
            case _:
                return await self._may_approve(rotation, by, pressed, shown)

    async def _may_approve(self, recorded: Rotation, by: str, pressed: Pressed, shown: str | None) -> Rotation:
        rotation = self._people.strict(recorded)
        permissions = await self._people.permissions(by, rotation.policy)
        check_may_approve(rotation, permissions, self_approval=rotation.self_approval)
        check_offered(rotation, Action.DELETE_OLD_KEY)
        check_window(rotation, self._now())
        if shown is not None and shown.partition(SEPARATOR)[0] != rotation.seen:
            raise WrongState("What you saw is not what is asked now: look at the card again.")
        check_in_time(pressed, permissions.person, self._rules.click_max_age)
        if hold := await self._store.hold_on(rotation.plan.old_key.id, self._now()):
            raise OnHold(hold)
        return rotation

    @audited(Action.DELETE_OLD_KEY)
    async def approve(  # noqa: PLR0913 - what a click says, each by its name
        self,
        rotation_id: str,
        *,
        by: str,
        pressed: Pressed,
        click: str = "",
        shown: str | None = None,
        reason: str = "",
        signed_in: str = "",
        for_a_batch: bool = False,
    ) -> Rotation:
        """Approve the delete, if *by* is an approver now; with enough approvals, it starts.

        *click* identifies the click: a repeated delivery must not answer a later question. *shown* is the mark of what
        the person saw (None if it is not checked). While something speaks against the delete, they must give a
        *reason*. *signed_in* is where they have just signed in for it, if they have.
        """
        rotation = await self._may_approve(recorded := await self.load(rotation_id), by, pressed, shown)
        check_stepped_up(signed_in, step_up=self._rules.step_up)
        reason = publishable(reason) if reason else ""
        if flags(rotation) and not reason:
            raise WrongState(f"Something speaks against the delete: press “{Action.DELETE_OLD_KEY.value}” and say why.")
        if shown is not None and shown != shown_of(rotation):
            raise BadInput(
                "What speaks against the delete has changed: close this, look at the card, and press again.",
                field="reason",
            )
        await self._check_first(rotation_id, click)
        reviewed = await self._people.reviewed(recorded, self._now())
        approval = Approval(
            by=by,
            at=self._now(),
            digest=rotation.digest,
            reason=reason,
            flags=flags(rotation),
            tally=rotation.tally,
            signed_in=signed_in,
            for_a_batch=for_a_batch,
        )
        approved = _taken_back(reviewed, by).but(approvals=(*reviewed.approvals, approval))
        if not approved.lacks_approval:
            approved = before_approval(approved).to(State.RUNNING)
        return await self._save(approved, by, _said("approved", signed_in), reason)

    async def _steer(
        self,
        rotation_id: str,
        action: Action,
        change: Callable[[Rotation], Rotation],
        by: str,
        what: str,
        may: Check | None = None,
    ) -> Rotation:
        """Change the newest version of a rotation; a step that is recorded in between is no reason to refuse."""
        ask, check = may or Check(self._people.permissions, check_may_steer)
        for _ in range(TRIES):
            rotation = await self.load(rotation_id)
            check(rotation, await ask(by, self._people.governed(rotation).policy))
            check_offered(rotation, action)
            with suppress(Conflict):
                return await self._save(change(rotation), by, what)
        raise WrongState("This rotation moves too fast at the moment. Press again.")


def _taken_back(rotation: Rotation, by: str) -> Rotation:
    """Return *rotation* without the "not yet" of a person who says the opposite now."""
    return rotation.but(put_off=tuple(one.but(over=True) if one.by == by else one for one in rotation.put_off))


def _said(what: str, signed_in: str) -> str:
    """Say in the audit trail what somebody did, and where they signed in for it."""
    return f"{what}, signed in at {signed_in}" if signed_in else what


def _with_word(rotation: Rotation, chosen: Chosen, word: Acceptance) -> tuple[Rotation, str]:
    """Accept what is *chosen*, or the whole rotation if it has no model to name, on somebody's *word*; say which."""
    whole = acceptable_as_a_whole(rotation)
    if whole and chosen == Chosen():
        return rotation.but(accepted=word.but(of=whole)), "accepted that nothing proves the new secret"
    models = picked(rotation, chosen)
    if not models:
        raise BadInput("Choose among the models that are still unproved.", field="models")
    accepted = {model.id: _accepted(rotation.finding(model), word) for model in models}
    return rotation.learn(accepted), f"accepted {len(models)} unproved"


def _accepted(finding: Finding, word: Acceptance) -> Finding:
    assert finding.current is not None
    return finding.but(accepted=word.but(of=finding.current.signature))
