"""Who is who at this moment, by Slack and by the settings; asked at each use, and remembered nowhere."""

from datetime import datetime
from typing import Protocol

from bot.errors import NotAllowed, Unanswerable
from bot.frozen import Frozen
from bot.policy import Person, Standing, lapse
from bot.rotation import Approval, Rotation, Void


class Directory(Protocol):
    """What Slack knows of people. Raises `Unanswerable` when it cannot tell."""

    async def person(self, user_id: str) -> Person:
        """Return what is known of a member."""

    async def members(self, group_id: str) -> frozenset[str]:
        """Return the members of a user group, as they are at this moment."""


NO_SLACK = "This process does not talk to Slack."


class NoDirectory:
    """What a process knows of people that does not talk to Slack: it can look at no approval, so none counts."""

    async def person(self, _: str) -> Person:
        """Refuse."""
        raise Unanswerable(NO_SLACK)

    async def members(self, _: str) -> frozenset[str]:
        """Refuse."""
        raise Unanswerable(NO_SLACK)


class Rules(Frozen):
    """Who may do what, as the settings say it."""

    requesters: frozenset[str] | None
    approvers: frozenset[str]
    approvals_required: int = 1
    self_approval: bool = False


class People:
    """What people may do now. Raises `Unanswerable` when Slack cannot tell."""

    def __init__(self, directory: Directory, rules: Rules) -> None:
        self._directory = directory
        self._rules = rules

    async def standing(self, person_id: str) -> Standing:
        """Return a person, and what the settings make of them."""
        person = await self._directory.person(person_id)
        requesters = self._rules.requesters
        return Standing(
            person=person,
            may_request=requesters is None or await self._is_among(person_id, requesters),
            approver=await self._is_among(person_id, self._rules.approvers),
        )

    async def _is_among(self, person_id: str, ids: frozenset[str]) -> bool:
        if person_id in ids:
            return True
        for group in sorted(i for i in ids if i.startswith("S")):
            if person_id in await self._directory.members(group):
                return True
        return False

    def strict(self, rotation: Rotation) -> Rotation:
        """Return *rotation* under the stricter of the rules that it began with and those of today."""
        return rotation.but(
            approvals_required=max(rotation.approvals_required, self._rules.approvals_required),
            self_approval=rotation.self_approval and self._rules.self_approval,
        )

    async def reviewed(self, rotation: Rotation, now: datetime) -> Rotation:
        """Return *rotation* under the rules of today, without the approvals that nobody could give any more."""
        strict = self.strict(rotation)
        whys = {approval.by: await self._lapse(strict, approval) for approval in strict.approvals}
        gone = tuple(by for by, why in whys.items() if why)
        changes = tuple(dict.fromkeys(filter(None, whys.values())))
        if rotation.approvals and strict.approvals_required > rotation.approvals_required:
            changes = (*changes, f"The settings ask for {strict.approvals_required} approvals now.")
        kept = tuple(approval for approval in strict.approvals if approval.by not in gone)
        voids = (Void(by=gone, at=now, changes=changes, lapsed=True),) if changes else ()
        return strict.but(approvals=kept, voids=(*strict.voids, *voids))

    async def _lapse(self, rotation: Rotation, approval: Approval) -> str:
        try:
            standing = await self.standing(approval.by)
        except NotAllowed:
            return "Slack finds no such member."
        return lapse(rotation, standing, self_approval=rotation.self_approval)


NOBODY = People(NoDirectory(), Rules(requesters=None, approvers=frozenset()))
"""For a process that does not talk to Slack."""
